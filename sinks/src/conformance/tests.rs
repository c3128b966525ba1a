//! The conformance tests find what they are for.

use super::*;
use crate::null::{self, NullSink};
use crate::{Capabilities, Fate, Fault, FaultKind, Health, Retry, Whose};

const FAULT: Fault = Fault::new(FaultKind::Internal, Whose::Engine, Retry::No, Fate::NotStored);

/// How a sink breaks the contract.
#[derive(Clone, Copy)]
enum Flaw {
    KeepsABatch,
    MakesABatchUp,
    ReportsAStranger,
    Fails,
    LosesARecord,
    ForgetsToWake,
    StaysBusy,
}

struct Flawed {
    sink: NullSink,
    flaw: Flaw,
}

impl Sink for Flawed {
    fn capabilities(&self) -> Capabilities {
        self.sink.capabilities()
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        self.sink.submit(submission, now);
    }

    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        self.sink.poll(now, settled);
        match (self.flaw, settled.last_mut()) {
            (Flaw::KeepsABatch, Some(_)) => drop(settled.pop()),
            (Flaw::MakesABatchUp, Some(_)) => {
                settled.push(Settled { batch: filled(999), delivery: Delivery::All });
            }
            (Flaw::ReportsAStranger, Some(last)) => {
                last.delivery = Delivery::Some(vec![(RECORDS, FAULT)]);
            }
            (Flaw::Fails, Some(last)) => last.delivery = Delivery::None(FAULT),
            _ => {}
        }
    }

    fn next_poll(&self) -> Option<Instant> {
        match self.flaw {
            Flaw::ForgetsToWake => None,
            _ => self.sink.next_poll(),
        }
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn close(&mut self, _now: Instant, _deadline: Instant) {}

    fn is_idle(&self) -> bool {
        self.sink.is_idle() && !matches!(self.flaw, Flaw::StaysBusy)
    }
}

impl Subject for Flaw {
    type Sink = Flawed;

    fn open(&self, wake: Wake) -> Flawed {
        let wake = if matches!(self, Flaw::ForgetsToWake) { Wake::new(|| ()) } else { wake };
        Flawed { sink: null::open(&null::Options {}, wake), flaw: *self }
    }

    fn stored(&self) -> Option<Vec<Vec<u8>>> {
        matches!(self, Flaw::LosesARecord).then(Vec::new)
    }

    fn patience(&self) -> Duration {
        // Only those that never settle wait so long; for the others time must not matter.
        match self {
            Flaw::KeepsABatch | Flaw::ForgetsToWake => Duration::from_millis(20),
            _ => Duration::from_mins(1),
        }
    }
}

fn complaint(flaw: Flaw) -> String {
    let panic =
        std::panic::catch_unwind(|| every_batch_comes_back_once(&flaw)).expect_err("the flaw is found");
    panic
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}

#[test]
fn every_flaw_is_found() {
    for (flaw, expected) in [
        (Flaw::KeepsABatch, "patience"),
        (Flaw::MakesABatchUp, "never submitted"),
        (Flaw::ReportsAStranger, "not submitted"),
        (Flaw::Fails, "failed: internal"),
        (Flaw::LosesARecord, "reported delivered, not stored"),
        (Flaw::ForgetsToWake, "patience"),
        (Flaw::StaysBusy, "everything is settled"),
    ] {
        let complaint = complaint(flaw);
        assert!(complaint.contains(expected), "{complaint}");
    }
}
