//! What is known of one sink's journal, for its health and its figures.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrun_sinks::{Gauge, Health};

use crate::journal::{Backlog, Budget, KeeperFigures, ReaderFigures, Room, ShardStream};
use crate::relay;

/// What is published about one sink's journal.
pub(super) struct JournalWatch {
    streams: Vec<ShardStream<File>>,
    /// Of each stream. Only whoever publishes takes the lock.
    backlogs: Mutex<Vec<Backlog>>,
    reader: Arc<ReaderFigures>,
    keeper: Arc<KeeperFigures>,
    budget: Arc<Budget>,
    /// Bytes of the file of refused records that the budget knows of.
    refused_bytes: AtomicU64,
}

impl JournalWatch {
    /// `dir` is the sink's directory in the journal.
    pub(super) fn new(
        streams: Vec<ShardStream<File>>,
        reader: Arc<ReaderFigures>,
        keeper: Arc<KeeperFigures>,
        budget: Arc<Budget>,
        dir: &Path,
    ) -> Self {
        let backlogs = Mutex::new(streams.iter().map(|_| Backlog::default()).collect());
        let refused_bytes = AtomicU64::new(refused_bytes(dir));
        Self { streams, backlogs, reader, keeper, budget, refused_bytes }
    }

    /// How long the oldest batch waits that is not delivered.
    fn oldest(&self, now: Instant) -> Duration {
        let mut backlogs = self.backlogs.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = self.streams.iter().zip(backlogs.iter_mut()).map(|(stream, backlog)| {
            // Delivered first: what becomes durable in between waits, what is delivered in between may seem to.
            let delivered_below = stream.marks.delivered_below();
            backlog.look(now, stream.marks.durable_below(), delivered_below)
        });
        ages.max().unwrap_or_default()
    }
}

/// Size of a sink's file of refused records: it was counted with everything else when the journal was opened.
fn refused_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(relay::REJECTED)).map_or(0, |metadata| metadata.len())
}

impl relay::thread::Watch for JournalWatch {
    fn refused_bytes(&self, bytes: u64) {
        // Beyond the limit if it must be: what is set aside leaves a segment, and waiting for room would wait for itself.
        let before = self.refused_bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.budget.force(bytes - before);
        } else {
            self.budget.give(before - bytes);
        }
    }

    fn health(&self) -> Health {
        let problem = self.streams.iter().find_map(|stream| match stream.feed.room() {
            Room::Available => None,
            Room::LimitReached => {
                Some("journal.bytes_max is in use: what the last segments can't hold is refused until something is delivered")
            }
            Room::DiskFull => Some("the disk is full"),
            Room::DiskFailed => Some("the disk fails"),
        });
        problem.map_or(Health::Up, |problem| Health::Down(problem.to_owned()))
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people: 53 bits are enough")]
    fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        let mut gauge =
            |name, help, value: u64, counter| publish(Gauge { name, help, value: value as f64, counter });
        let (reader, keeper) = (&self.reader, &self.keeper);
        gauge(
            "journal_used_bytes",
            "Bytes of the journal's directory in use.",
            self.budget.used_bytes(),
            false,
        );
        gauge("journal_bytes_max", "Bytes that it may take.", self.budget.bytes_max(), false);
        gauge(
            "journal_oldest_age_seconds",
            "How long the oldest record waits that is not delivered; those of an earlier process since this one's start.",
            self.oldest(Instant::now()).as_secs(),
            false,
        );
        let behind = self
            .streams
            .iter()
            .filter(|stream| stream.marks.delivered_below() < stream.marks.durable_below());
        gauge(
            "journal_streams_behind",
            "Streams with batches that are not delivered.",
            behind.count() as u64,
            false,
        );
        gauge(
            "journal_read_batches_total",
            "Batches that were read for delivery.",
            reader.batches_read.get(),
            true,
        );
        gauge("journal_read_bytes_total", "Their bytes.", reader.bytes_read.get(), true);
        gauge(
            "journal_damaged_batches_total",
            "Acknowledged batches that were found damaged; their bytes are set aside.",
            reader.batches_damaged.get(),
            true,
        );
        gauge(
            "journal_torn_batches_total",
            "Batches that a crash left unfinished; none was acknowledged.",
            reader.batches_torn.get(),
            true,
        );
        gauge("journal_read_failures_total", "Reads that failed.", reader.read_failures.get(), true);
        gauge("journal_segments_made_total", "Segments made from nothing.", keeper.segments_made.get(), true);
        gauge(
            "journal_segments_reused_total",
            "Segments made from delivered ones.",
            keeper.segments_reused.get(),
            true,
        );
        gauge(
            "journal_segments_retired_total",
            "Segments whose batches are all delivered.",
            keeper.segments_retired.get(),
            true,
        );
        gauge(
            "journal_segments_abandoned_total",
            "Segments that a failed write or fsync ended.",
            keeper.segments_abandoned.get(),
            true,
        );
        gauge(
            "journal_disk_failures_total",
            "Operations of the disk that failed.",
            keeper.disk_failures.get(),
            true,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::thread::Watch as _;

    #[test]
    fn refused_records_count_towards_the_limit_until_somebody_moves_them_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(relay::REJECTED), [0; 10]).unwrap();
        let budget = Arc::new(Budget::new(100));
        let watch = JournalWatch::new(Vec::new(), Arc::default(), Arc::default(), budget, dir.path());
        // Counted with everything else at the start.
        watch.budget.force(10);
        for bytes in [10, 60, 130, 130, 20, 0] {
            watch.refused_bytes(bytes);
            assert_eq!(watch.budget.used_bytes(), bytes);
            assert_eq!(watch.budget.take(50), bytes <= 50, "nothing else is written beyond the limit");
            if bytes <= 50 {
                watch.budget.give(50);
            }
        }
    }
}
