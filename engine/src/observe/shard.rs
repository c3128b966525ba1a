//! What a shard counts.
//!
//! ```text
//!   ShardRecorder ──writes──▶ ShardMetrics ◀──reads── admin thread
//!   one, on the shard's thread     arrays of cells, indexed by route, sink and enum number
//! ```
//!
//! Recording hashes nothing, allocates nothing and takes no lock. Each block of cells is alone on its cache lines,
//! so shards don't slow each other down by counting.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::counter::Counter;
use super::latency::{Distribution, LocalHistogram, SharedHistogram};
use super::outcome::{CloseReason, Outcome, SealReason};
use super::pool::PoolCells;

/// Cells of one route on one shard, or of requests that belong to no route.
#[derive(Debug)]
pub struct RouteCells {
    answers: [Counter; Outcome::COUNT],
    records: Counter,
    record_bytes: Counter,
}

impl Default for RouteCells {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| Counter::default()),
            records: Counter::default(),
            record_bytes: Counter::default(),
        }
    }
}

impl RouteCells {
    /// Answers with this outcome.
    #[must_use]
    pub fn answers(&self, outcome: Outcome) -> u64 {
        self.answers[outcome.index()].get()
    }

    /// Records encoded into a batch.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.get()
    }

    /// Their encoded bytes.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes.get()
    }
}

/// Cells of one shard that belong to no route and no sink.
#[derive(Debug, Default)]
struct TrafficCells {
    received_bytes: Counter,
    sent_bytes: Counter,
    accepted: Counter,
    closed: [Counter; CloseReason::ALL.len()],
    pings: Counter,
    healths: Counter,
}

/// Everything one shard counts, for reading from any thread.
#[derive(Debug)]
pub struct ShardMetrics {
    /// The last one belongs to no route.
    routes: Box<[CachePadded<RouteCells>]>,
    pools: Box<[CachePadded<PoolCells>]>,
    traffic: CachePadded<TrafficCells>,
    request: Arc<SharedHistogram>,
    acknowledgement: Arc<SharedHistogram>,
}

impl ShardMetrics {
    pub(super) fn new(routes: usize, sinks: usize) -> Self {
        Self {
            routes: (0..=routes).map(|_| CachePadded::default()).collect(),
            pools: (0..sinks).map(|_| CachePadded::new(PoolCells::new())).collect(),
            traffic: CachePadded::default(),
            request: SharedHistogram::new(Distribution::durations()),
            acknowledgement: SharedHistogram::new(Distribution::durations()),
        }
    }

    /// Cells of route number `route`, or of requests that belong to none.
    ///
    /// # Panics
    /// If there is no such route.
    #[inline]
    #[must_use]
    pub fn route(&self, route: Option<usize>) -> &RouteCells {
        let none = self.routes.len() - 1;
        match route {
            Some(route) => &self.routes[..none][route],
            None => &self.routes[none],
        }
    }

    /// Cells of sink number `sink`.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    #[must_use]
    pub fn pool(&self, sink: usize) -> &PoolCells {
        &self.pools[sink]
    }

    /// Answers with this outcome, all routes and none.
    #[must_use]
    pub fn answers(&self, outcome: Outcome) -> u64 {
        self.routes.iter().map(|route| route.answers(outcome)).sum()
    }

    /// Body bytes received, before decoding.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.traffic.received_bytes.get()
    }

    /// Bytes of answers sent.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.traffic.sent_bytes.get()
    }

    /// Connections accepted.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.traffic.accepted.get()
    }

    /// Connections closed for this reason.
    #[must_use]
    pub fn connections_closed(&self, reason: CloseReason) -> u64 {
        self.traffic.closed[reason as usize].get()
    }

    /// Connections open now: accepted less closed.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        let closed = CloseReason::ALL.iter().map(|reason| self.connections_closed(*reason)).sum();
        // The cells are read one after another: a connection may close in between.
        self.connections_accepted().saturating_sub(closed)
    }

    /// Answers on the ping path.
    #[must_use]
    pub fn pings(&self) -> u64 {
        self.traffic.pings.get()
    }

    /// Answers on `/health` of the data port.
    #[must_use]
    pub fn healths(&self) -> u64 {
        self.traffic.healths.get()
    }

    /// First byte of a request's head to the last of its answer.
    #[must_use]
    pub fn request(&self) -> &SharedHistogram {
        &self.request
    }

    /// Record appended to its outcome known.
    #[must_use]
    pub fn acknowledgement(&self) -> &SharedHistogram {
        &self.acknowledgement
    }
}

/// The one writer of a [`ShardMetrics`]. Moves to the shard's thread and can't be shared with another.
#[derive(Debug)]
pub struct ShardRecorder {
    metrics: Arc<ShardMetrics>,
    // `RefCell` makes this type !Sync, which is what the counters rely on. No borrow outlives a call.
    request: RefCell<LocalHistogram>,
    acknowledgement: RefCell<LocalHistogram>,
    batch_records: Box<[RefCell<LocalHistogram>]>,
}

impl ShardRecorder {
    /// There must be at most one recorder for `metrics` at a time.
    pub(super) fn new(metrics: Arc<ShardMetrics>) -> Self {
        let local =
            |shared: &Arc<SharedHistogram>, empty| RefCell::new(LocalHistogram::new(empty, shared.clone()));
        Self {
            request: local(&metrics.request, Distribution::durations()),
            acknowledgement: local(&metrics.acknowledgement, Distribution::durations()),
            batch_records: metrics
                .pools
                .iter()
                .map(|pool| local(&pool.batch_records, Distribution::sizes()))
                .collect(),
            metrics,
        }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn metrics(&self) -> &ShardMetrics {
        &self.metrics
    }

    /// A request was answered. `route` is `None` where none was found (and for pings' refusals).
    ///
    /// # Panics
    /// If there is no such route.
    #[inline]
    pub fn answered(&self, route: Option<usize>, outcome: Outcome) {
        self.metrics.route(route).answers[outcome.index()].add(1);
    }

    /// A request took `duration` from the first byte of its head to the last byte of its answer.
    #[inline]
    pub fn request_took(&self, duration: Duration) {
        self.request.borrow_mut().record(duration);
    }

    /// A record's outcome was known `duration` after it had been appended.
    #[inline]
    pub fn acknowledgement_took(&self, duration: Duration) {
        self.acknowledgement.borrow_mut().record(duration);
    }

    /// One record of `bytes` was encoded into a batch.
    ///
    /// # Panics
    /// If there is no such route.
    #[inline]
    pub fn record_accepted(&self, route: usize, bytes: u64) {
        let cells = self.metrics.route(Some(route));
        cells.records.add(1);
        cells.record_bytes.add(bytes);
    }

    /// `bytes` of bodies were received, before decoding.
    #[inline]
    pub fn received(&self, bytes: u64) {
        self.metrics.traffic.received_bytes.add(bytes);
    }

    /// `bytes` of answers were sent, heads included.
    #[inline]
    pub fn sent(&self, bytes: u64) {
        self.metrics.traffic.sent_bytes.add(bytes);
    }

    /// A batch of `records` was sealed.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    pub fn batch_sealed(&self, sink: usize, reason: SealReason, records: u64) {
        self.metrics.pool(sink).sealed[reason as usize].add(1);
        self.batch_records[sink].borrow_mut().record_size(records);
    }

    /// How many of a sink's batches are free and how many are open now.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    pub fn pool(&self, sink: usize, free: u64, open: u64) {
        let pool = self.metrics.pool(sink);
        pool.free.set(free);
        pool.open.set(open);
    }

    /// `records` were delivered after their requests had been answered 503: duplicates if the clients retried.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    pub fn delivered_late(&self, sink: usize, records: u64) {
        self.metrics.pool(sink).late_deliveries.add(records);
    }

    /// `records` were answered 200 before they were stored (`accepted`), and have failed for good.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    pub fn lost_after_answer(&self, sink: usize, records: u64) {
        self.metrics.pool(sink).lost_after_answer.add(records);
    }

    /// The fate of `records` is unknown: their requests are answered 503 and they may be stored all the same.
    ///
    /// # Panics
    /// If there is no such sink.
    #[inline]
    pub fn delivery_unknown(&self, sink: usize, records: u64) {
        self.metrics.pool(sink).unknown_deliveries.add(records);
    }

    /// A connection was accepted. Each must be followed by one [`Self::connection_closed`].
    #[inline]
    pub fn connection_accepted(&self) {
        self.metrics.traffic.accepted.add(1);
    }

    /// An accepted connection was closed.
    #[inline]
    pub fn connection_closed(&self, reason: CloseReason) {
        self.metrics.traffic.closed[reason as usize].add(1);
    }

    /// The ping path was answered.
    #[inline]
    pub fn ping_answered(&self) {
        self.metrics.traffic.pings.add(1);
    }

    /// `/health` was answered on the data port.
    #[inline]
    pub fn health_answered(&self) {
        self.metrics.traffic.healths.add(1);
    }

    /// Publishes the histograms. Never waits; to be called about once a second. Counters need no publishing.
    pub fn publish(&self) {
        self.request.borrow_mut().publish();
        self.acknowledgement.borrow_mut().publish();
        for histogram in &self.batch_records {
            histogram.borrow_mut().publish();
        }
    }
}

#[cfg(test)]
mod tests;
