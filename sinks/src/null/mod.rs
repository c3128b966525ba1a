//! The sink that stores nothing: every record is reported delivered at the next poll. For benchmarks and tests
//! only; what goes in is gone.

use std::time::Instant;

use crate::{Capabilities, Delivery, Health, Settled, Sink, Submission, Wake};

/// An arena is addressed by `u32`, so no record can be larger; the sink itself has no limit.
const RECORD_BYTES_MAX: usize = u32::MAX as usize;

/// Settings of a `null` sink: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {}

/// A sink that forgets every record and calls it delivered. It allocates nothing once it is warm.
#[derive(Debug)]
pub struct NullSink {
    wake: Wake,
    queue: Vec<Submission>,
    /// When the first batch of the queue was submitted: from then on a poll is due.
    due: Option<Instant>,
}

/// Opens a `null` sink, which can't fail.
#[must_use]
pub fn open(_options: &Options, wake: Wake) -> NullSink {
    NullSink { wake, queue: Vec::new(), due: None }
}

impl Sink for NullSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities { record_bytes_max: RECORD_BYTES_MAX, batches_in_flight_max: 1024 }
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        self.queue.push(submission);
        if self.due.is_none() {
            self.due = Some(now);
            self.wake.wake();
        }
    }

    fn poll(&mut self, _now: Instant, settled: &mut Vec<Settled>) {
        self.due = None;
        let queue = self.queue.drain(..);
        settled.extend(queue.map(|submission| Settled { batch: submission.batch, delivery: Delivery::All }));
    }

    fn next_poll(&self) -> Option<Instant> {
        self.due
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn close(&mut self, _now: Instant, _deadline: Instant) {}

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Subject};

    struct Null;

    impl Subject for Null {
        type Sink = NullSink;

        fn open(&self, wake: Wake) -> NullSink {
            open(&Options {}, wake)
        }
    }

    #[test]
    fn it_keeps_the_contract_of_a_sink() {
        conformance::all(&Null);
    }
}
