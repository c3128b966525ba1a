//! The seam between the engine's lane and a destination.
//!
//! A lane thread owns its sink and is the only caller. It calls [`Sink::submit`] for each sealed batch and
//! [`Sink::poll`] whenever the sink asked for it: by its [`Wake`] from any thread, or by [`Sink::next_poll`].
//! Between the two the thread sleeps. A sink that has threads of its own (librdkafka, an SDK's runtime) keeps
//! them to itself; none of them shows in a signature.

use std::sync::Arc;
use std::time::Instant;

use crate::{Batch, Delivery, Fault};

/// Which records of a batch are submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// All of them: the first attempt.
    All,
    /// Only these, ascending: what an earlier attempt left undelivered.
    Only(Vec<u32>),
}

/// A batch on its way into a sink.
#[derive(Debug)]
#[must_use = "a submission owns a batch: dropping it loses the records"]
pub struct Submission {
    /// The records and their arena. The sink may keep pointers into it until it gives the batch back.
    pub batch: Batch,
    /// Which of its records to deliver.
    pub records: Records,
    /// When the outcome stops being of use: a sink gives the batch back by then wherever it can.
    pub deadline: Instant,
}

impl Submission {
    /// Indices of the submitted records, ascending.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        let (all, only) = match &self.records {
            #[allow(clippy::cast_possible_truncation, reason = "a batch indexes its records by u32")]
            Records::All => (0..self.batch.len() as u32, &[][..]),
            Records::Only(only) => (0..0, only.as_slice()),
        };
        all.chain(only.iter().copied())
    }

    /// Number of submitted records.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.records {
            Records::All => self.batch.len(),
            Records::Only(only) => only.len(),
        }
    }

    /// True when nothing is submitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A batch on its way back, with the outcome of the records that were submitted.
#[derive(Debug)]
#[must_use = "a settled batch carries answers that clients wait for"]
pub struct Settled {
    /// The batch, unchanged.
    pub batch: Batch,
    /// What became of the submitted records.
    pub delivery: Delivery,
}

/// Wakes the lane's thread from any thread, so that it calls [`Sink::poll`]. Cheap when it is awake already.
#[derive(Clone)]
pub struct Wake(Arc<dyn Fn() + Send + Sync>);

impl Wake {
    /// A wake that calls `wake`, which must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Makes the lane call [`Sink::poll`] soon.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

/// What the sink believes about its destination right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing has been tried yet.
    Unknown,
    /// The last thing that was tried worked.
    Up,
    /// The destination is known not to work; the text is for the operator, one line.
    Down(String),
}

/// A figure that a sink publishes, for `/metrics` and `/sinks`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Metric name without the engine's prefix, snake case, unit last.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The value now.
    pub value: f64,
    /// True for a count that only grows.
    pub counter: bool,
}

/// What a sink takes. Fixed from opening on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Largest key and value together, in bytes. A bigger record is refused before it enters a batch.
    pub record_bytes_max: usize,
    /// How many batches may be submitted and not settled at a time; the lane holds back the rest.
    pub batches_in_flight_max: usize,
}

/// The configuration can't work, whatever the state of the destination. Never returned for an outage.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {value}: {problem}")]
pub struct OpenError {
    /// Key within the sink's section.
    pub key: String,
    /// The value that can't work (secrets masked).
    pub value: String,
    /// What is wrong and what would work.
    pub problem: String,
}

/// A destination for batches.
///
/// The contract, tested for every sink by `conformance`:
/// - every submitted batch comes out of [`Sink::poll`] exactly once, with a [`Delivery`] for what was submitted;
/// - a record is reported delivered only when the destination holds it as the sink's documentation promises;
/// - neither call waits for a network; a sink on a local disk may block for as long as the disk does;
/// - an outage of the destination never fails the opening; it shows in [`Sink::health`] and in deliveries.
pub trait Sink: Send {
    /// What this sink takes.
    fn capabilities(&self) -> Capabilities;

    /// Takes a batch. Its records are on their way after the next [`Sink::poll`] at the latest.
    fn submit(&mut self, submission: Submission, now: Instant);

    /// Makes progress and pushes every batch that is decided onto `settled`.
    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>);

    /// When `poll` has to be called again even if nothing wakes the lane; `None`: only when woken.
    fn next_poll(&self) -> Option<Instant>;

    /// What the sink believes about its destination.
    fn health(&self) -> Health;

    /// Publishes the sink's own figures. Called about once a second.
    fn gauges(&self, _publish: &mut dyn FnMut(Gauge)) {}

    /// The process drains: nothing more will be submitted. Push out what is held back (linger, open files); keep
    /// settling through `poll`. What is still unsettled at `deadline` is settled then as [`crate::FaultKind::Closing`].
    fn close(&mut self, now: Instant, deadline: Instant);

    /// True once everything is settled and, after `close`, everything on disk is complete.
    fn is_idle(&self) -> bool;
}

/// What `check --connect` found out about a destination, for people.
pub type CheckReport = Result<Vec<String>, Fault>;
