//! The Kinesis sink: the desk, the client, and the clock between them.

use std::time::{Duration, Instant};

use super::call::Answer;
use super::client::Client;
use super::desk::Desk;
use super::options::{Compression, Options, problems};
use super::payload::Payload;
use crate::{Capabilities, Gauge, Health, OpenError, Settled, Sink, Submission, Wake};

/// Batches that the sink holds at a time. What is more waits in the lane, and so does what waits for a retry.
const BATCHES_IN_FLIGHT_MAX: usize = 256;

/// A sink that puts records into one stream of Amazon Kinesis. See [`super`] for what it promises.
#[derive(Debug)]
pub struct KinesisSink {
    desk: Desk,
    client: Client,
    answers: Vec<Answer>,
    linger: Duration,
    capabilities: Capabilities,
}

impl KinesisSink {
    pub(super) fn open(options: &Options, wake: Wake) -> Result<Self, OpenError> {
        if let Some(problem) = problems(options).into_iter().next() {
            return Err(problem);
        }
        let refuse =
            |key: &str, value: String, problem: String| OpenError { key: key.to_owned(), value, problem };
        let compression = |problem| refuse("compression", format!("{:?}", options.compression), problem);
        let desk = Desk::new(options, fastrand::u64(..)).map_err(compression)?;
        let record_bytes_max = taken(options).map_err(compression)?;
        let client = Client::open(options, wake).map_err(|error| {
            refuse("stream", options.stream.clone(), format!("no thread for the client: {error}"))
        })?;
        Ok(Self {
            desk,
            client,
            answers: Vec::new(),
            linger: options.linger,
            capabilities: Capabilities { record_bytes_max, batches_in_flight_max: BATCHES_IN_FLIGHT_MAX },
        })
    }

    fn turn(&mut self, now: Instant) {
        let client = &self.client;
        self.desk.turn(now, &mut |work| client.start(work));
    }
}

/// Largest key and value together that fit, whatever the key has to be replaced by and however badly the value
/// compresses.
fn taken(options: &Options) -> Result<usize, String> {
    const REPLACED_KEY_BYTES: usize = 32;
    let max = options.record_bytes_max;
    if options.compression == Compression::None {
        return Ok(max - REPLACED_KEY_BYTES);
    }
    let growth = Payload::new(options.compression)?.bound(max) - max;
    Ok(max.saturating_sub(growth + REPLACED_KEY_BYTES))
}

impl Sink for KinesisSink {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        self.desk.submit(submission, now);
    }

    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        self.client.take(&mut self.answers);
        for answer in self.answers.drain(..) {
            self.desk.answer(answer, now);
        }
        self.turn(now);
        self.desk.settled(settled);
    }

    fn next_poll(&self) -> Option<Instant> {
        self.desk.next_turn(self.linger, Instant::now())
    }

    fn health(&self) -> Health {
        self.desk.health()
    }

    fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        self.desk.figures.publish(self.desk.levels(), self.desk.is_aggregating(), publish);
    }

    fn close(&mut self, _now: Instant, deadline: Instant) {
        self.desk.close(deadline);
    }

    fn is_idle(&self) -> bool {
        self.desk.is_idle()
    }
}
