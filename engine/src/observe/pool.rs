//! What a shard counts of its feed into one sink.

use std::sync::Arc;

use super::counter::{Counter, Gauge};
use super::latency::{Distribution, SharedHistogram};
use super::outcome::SealReason;

/// Cells of one sink on one shard.
#[derive(Debug)]
pub struct PoolCells {
    pub(super) sealed: [Counter; SealReason::ALL.len()],
    pub(super) free: Gauge,
    pub(super) open: Gauge,
    pub(super) late_deliveries: Counter,
    pub(super) lost_after_answer: Counter,
    pub(super) unknown_deliveries: Counter,
    pub(super) batch_records: Arc<SharedHistogram>,
}

impl PoolCells {
    pub(super) fn new() -> Self {
        Self {
            sealed: Default::default(),
            free: Gauge::default(),
            open: Gauge::default(),
            late_deliveries: Counter::default(),
            lost_after_answer: Counter::default(),
            unknown_deliveries: Counter::default(),
            batch_records: SharedHistogram::new(Distribution::sizes()),
        }
    }

    /// Batches sealed for this reason.
    #[must_use]
    pub fn sealed(&self, reason: SealReason) -> u64 {
        self.sealed[reason as usize].get()
    }

    /// Batches nobody uses.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free.get()
    }

    /// Batches that records are being appended to.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.get()
    }

    /// Records delivered after their request was answered 503.
    #[must_use]
    pub fn late_deliveries(&self) -> u64 {
        self.late_deliveries.get()
    }

    /// Records that were answered 200 before they were stored, and failed for good.
    #[must_use]
    pub fn lost_after_answer(&self) -> u64 {
        self.lost_after_answer.get()
    }

    /// Records whose fate nobody knows.
    #[must_use]
    pub fn unknown_deliveries(&self) -> u64 {
        self.unknown_deliveries.get()
    }

    /// Records per sealed batch.
    #[must_use]
    pub fn batch_records(&self) -> &SharedHistogram {
        &self.batch_records
    }
}
