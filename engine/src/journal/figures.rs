//! What the journal counts, for whoever publishes it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that one thread raises and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The count now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

/// What the reader of one sink saw.
#[derive(Debug, Default)]
pub struct ReaderFigures {
    /// Batches that were read.
    pub batches_read: Count,
    /// Bytes of their arenas.
    pub bytes_read: Count,
    /// Batches that were acknowledged and are damaged: set aside with their bytes.
    pub batches_damaged: Count,
    /// Batches that a crash left unfinished: never acknowledged, nothing is lost.
    pub batches_torn: Count,
    /// Bytes that were copied to the quarantine.
    pub quarantined_bytes: Count,
    /// Damage that could not be copied: its whole segment goes to the quarantine when the rest of it is delivered.
    pub quarantine_failures: Count,
    /// Reads that failed.
    pub read_failures: Count,
}

/// What the keeper did.
#[derive(Debug, Default)]
pub struct KeeperFigures {
    /// Segments that were made from nothing.
    pub segments_made: Count,
    /// Segments that were made from spares.
    pub segments_reused: Count,
    /// Segments whose batches are all delivered.
    pub segments_retired: Count,
    /// Segments that a failed write or fsync ended.
    pub segments_abandoned: Count,
    /// Operations of the disk that failed.
    pub disk_failures: Count,
}
