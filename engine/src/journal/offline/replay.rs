//! Delivering what a journal holds to a sink, without an engine: the journal of a host that is gone, say.

use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Delivery, Fault, FaultKind, Origin, Sink, Source, SourceError, StreamId};

use crate::handoff::{Returned, Sealed};
use crate::journal::{Keeper, Reader, disk::Disk};
use crate::lane::{Gate, Lane, LaneEvents, LaneLimits};

/// How often the keeper looks at what is delivered.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// Longest sleep while nothing wakes the lane.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// What was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
}

/// Why a replay ended early. What was delivered by then is marked delivered.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal can't be read.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The sink refused records for good.
    #[error(
        "stream {stream:04}, batch {sequence:016x}: {failed} records were refused for good ({fault}); \
         the batch stays in the journal: change the sink, or export it"
    )]
    Refused {
        /// The stream.
        stream: u16,
        /// The batch.
        sequence: u64,
        /// How many records.
        failed: usize,
        /// Why the first of them.
        fault: Fault,
    },
}

/// Delivers everything undelivered of `reader`, stream after stream and batch after batch, and marks it. Tries again for
/// as long as it takes wherever that can help. Park the thread's [`millrun_sinks::Wake`] on the thread that calls this.
///
/// # Errors
/// [`ReplayError`]
pub fn replay<D: Disk, S: Sink>(
    keeper: &mut Keeper<D>,
    reader: &mut Reader<D>,
    sink: S,
    limits: LaneLimits,
    batch: Batch,
) -> Result<Replayed, ReplayError> {
    let mut run = Run {
        lane: Lane::new(sink, LaneLimits { shards: 1, slots: 1, ..limits }),
        gate: Gate::new(1),
        start: Instant::now(),
        kept_at: Instant::now(),
        replayed: Replayed::default(),
    };
    let mut batch = batch;
    for stream in reader.streams() {
        let mut from = reader.delivered(stream);
        while let Some(sequence) = reader.read(stream, from, &mut batch)? {
            batch = run.deliver(keeper, stream, sequence, batch)?;
            reader.delivered_below(stream, sequence + 1);
            from = sequence + 1;
        }
    }
    run.finish();
    keeper.turn();
    keeper.close();
    Ok(run.replayed)
}

struct Run<S> {
    lane: Lane<S>,
    gate: Gate,
    start: Instant,
    kept_at: Instant,
    replayed: Replayed,
}

impl<S: Sink> Run<S> {
    fn turn(&mut self, done: &mut Option<Returned>) {
        let now = Instant::now();
        let now_ms = u64::try_from(now.duration_since(self.start).as_millis()).unwrap_or(u64::MAX);
        self.lane.turn(now, &self.gate, now_ms, &mut Unobserved, &mut |returned| *done = Some(returned));
    }

    fn sleep(&self) {
        let now = Instant::now();
        let due = self.lane.next_turn().map_or(SLEEP_MAX, |due| due.saturating_duration_since(now));
        std::thread::park_timeout(due.min(SLEEP_MAX));
    }

    fn deliver<D: Disk>(
        &mut self,
        keeper: &mut Keeper<D>,
        stream: StreamId,
        sequence: u64,
        batch: Batch,
    ) -> Result<Batch, ReplayError> {
        let now = Instant::now();
        let sealed = Sealed { batch, sealed_at: now, deadline: now, patient: true };
        self.lane.accept(sealed, now, &mut Unobserved);
        let mut done = None;
        let returned = loop {
            self.turn(&mut done);
            if let Some(returned) = done.take() {
                break returned;
            }
            self.sleep();
            if self.kept_at.elapsed() >= KEEP_EVERY {
                keeper.turn();
                self.kept_at = Instant::now();
            }
        };
        let (failed, fault) = match returned.delivery {
            Delivery::All => {
                self.replayed.batches += 1;
                self.replayed.records += returned.batch.len() as u64;
                return Ok(returned.batch);
            }
            Delivery::Some(failed) => (failed.len(), failed[0].1),
            Delivery::None(fault) => (returned.batch.len(), fault),
        };
        Err(ReplayError::Refused { stream: stream.0, sequence, failed, fault })
    }

    /// Lets the sink complete what it holds open.
    fn finish(&mut self) {
        let now = Instant::now();
        let end = now + Duration::from_secs(10);
        self.lane.close(now, end);
        let mut done = None;
        while !self.lane.is_idle() && Instant::now() < end {
            self.turn(&mut done);
            self.sleep();
        }
    }
}

/// A batch for [`replay`]: it grows where the journal's are larger.
pub fn batch(arena_bytes: usize, records_max: usize) -> Batch {
    Batch::new(Origin { shard: 0, slot: 0 }, arena_bytes, records_max)
}

/// Nobody publishes what a replay's lane does; failures are told at their end.
struct Unobserved;

impl LaneEvents for Unobserved {
    fn submitted(&mut self, _records: usize) {}

    fn retried(&mut self, kind: FaultKind) {
        tracing::warn!(?kind, "the sink failed; trying again");
    }

    fn attempt_took(&mut self, _took: Duration) {}

    fn decided(&mut self, _records: usize, _delivery: &Delivery) {}

    fn breaker(&mut self, _open: bool) {}
}
