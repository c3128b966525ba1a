//! What a lane (the thread of one sink) counts.
//!
//! Same technique as a shard's: cells with one writer, arrays indexed by enum numbers. What is text (the sink's
//! health, its own figures) lies behind a lock that the lane only tries: it changes about once a second.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use millrun_sinks::{Delivery, FaultKind, Health};

use super::counter::{Counter, Gauge};
use super::latency::{Distribution, LocalHistogram, SharedHistogram};

/// State of a lane's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    /// Batches go to the sink.
    Closed = 0,
    /// One batch is let through to find out whether the sink is back.
    HalfOpen = 1,
    /// Requests are answered 503 at once.
    Open = 2,
}

impl BreakerState {
    /// Every state, in the order of its number: `ALL[state as usize] == state`.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Stable name, snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

#[derive(Debug, Default)]
struct LaneCells {
    submitted_batches: Counter,
    submitted_records: Counter,
    delivered_batches: Counter,
    delivered_records: Counter,
    failed_batches: Counter,
    failed_records: [Counter; FaultKind::ALL.len()],
    retries: [Counter; FaultKind::ALL.len()],
    queue_batches: Gauge,
    in_flight_batches: Gauge,
    breaker: Gauge,
    breaker_openings: Counter,
}

/// What the sink says about itself.
#[derive(Clone, Debug)]
struct Report {
    health: Health,
    gauges: Vec<millrun_sinks::Gauge>,
}

/// Everything one lane counts, for reading from any thread.
#[derive(Debug)]
pub struct LaneMetrics {
    cells: CachePadded<LaneCells>,
    sink_time: Arc<SharedHistogram>,
    report: Mutex<Report>,
}

impl LaneMetrics {
    pub(super) fn new() -> Self {
        Self {
            cells: CachePadded::default(),
            sink_time: SharedHistogram::new(Distribution::durations()),
            report: Mutex::new(Report { health: Health::Unknown, gauges: Vec::new() }),
        }
    }

    /// Batches given to the sink for the first time.
    #[must_use]
    pub fn submitted_batches(&self) -> u64 {
        self.cells.submitted_batches.get()
    }

    /// Their records.
    #[must_use]
    pub fn submitted_records(&self) -> u64 {
        self.cells.submitted_records.get()
    }

    /// Batches of which every record was delivered.
    #[must_use]
    pub fn delivered_batches(&self) -> u64 {
        self.cells.delivered_batches.get()
    }

    /// Records delivered.
    #[must_use]
    pub fn delivered_records(&self) -> u64 {
        self.cells.delivered_records.get()
    }

    /// Batches of which at least one record was given up.
    #[must_use]
    pub fn failed_batches(&self) -> u64 {
        self.cells.failed_batches.get()
    }

    /// Records given up for this reason.
    #[must_use]
    pub fn failed_records(&self, kind: FaultKind) -> u64 {
        self.cells.failed_records[kind as usize].get()
    }

    /// Times that a batch was submitted again because of this.
    #[must_use]
    pub fn retries(&self, kind: FaultKind) -> u64 {
        self.cells.retries[kind as usize].get()
    }

    /// Batches that wait in the lane.
    #[must_use]
    pub fn queue_batches(&self) -> u64 {
        self.cells.queue_batches.get()
    }

    /// Batches submitted and not settled.
    #[must_use]
    pub fn in_flight_batches(&self) -> u64 {
        self.cells.in_flight_batches.get()
    }

    /// State of the breaker.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        let number = self.cells.breaker.get();
        BreakerState::ALL.into_iter().find(|state| *state as u64 == number).unwrap_or(BreakerState::Closed)
    }

    /// Times that the breaker opened.
    #[must_use]
    pub fn breaker_openings(&self) -> u64 {
        self.cells.breaker_openings.get()
    }

    /// What the sink believes about its destination.
    #[must_use]
    pub fn health(&self) -> Health {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).health.clone()
    }

    /// The sink's own figures.
    #[must_use]
    pub fn gauges(&self) -> Vec<millrun_sinks::Gauge> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).gauges.clone()
    }

    /// Submitted to settled, each attempt.
    #[must_use]
    pub fn sink_time(&self) -> &SharedHistogram {
        &self.sink_time
    }
}

/// The one writer of a [`LaneMetrics`]. Moves to the lane's thread and can't be shared with another.
#[derive(Debug)]
pub struct LaneRecorder {
    metrics: Arc<LaneMetrics>,
    // `RefCell` makes this type !Sync, which is what the counters rely on. No borrow outlives a call.
    sink_time: RefCell<LocalHistogram>,
}

impl LaneRecorder {
    /// There must be at most one recorder for `metrics` at a time.
    pub(super) fn new(metrics: Arc<LaneMetrics>) -> Self {
        let local = LocalHistogram::new(Distribution::durations(), metrics.sink_time.clone());
        Self { sink_time: RefCell::new(local), metrics }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn metrics(&self) -> &LaneMetrics {
        &self.metrics
    }

    /// A batch of `records` was given to the sink for the first time.
    #[inline]
    pub fn submitted(&self, records: u64) {
        self.metrics.cells.submitted_batches.add(1);
        self.metrics.cells.submitted_records.add(records);
    }

    /// A batch was submitted again, because its last attempt failed with (among others) `kind`.
    #[inline]
    pub fn retried(&self, kind: FaultKind) {
        self.metrics.cells.retries[kind as usize].add(1);
    }

    /// One attempt took `duration` from `submit` until the sink gave the batch back.
    #[inline]
    pub fn attempt_took(&self, duration: Duration) {
        self.sink_time.borrow_mut().record(duration);
    }

    /// A batch of `records` goes back to its shard with `delivery`: the last word on each record, all attempts
    /// together. Counts delivered records, and failed ones by kind.
    pub fn decided(&self, records: u64, delivery: &Delivery) {
        let cells = &self.metrics.cells;
        let failed = match delivery {
            Delivery::All => 0,
            Delivery::None(fault) => {
                cells.failed_records[fault.kind as usize].add(records);
                records
            }
            Delivery::Some(failed) => {
                for (_, fault) in failed {
                    cells.failed_records[fault.kind as usize].add(1);
                }
                failed.len() as u64
            }
        };
        cells.delivered_records.add(records.saturating_sub(failed));
        if failed == 0 {
            cells.delivered_batches.add(1);
        } else {
            cells.failed_batches.add(1);
        }
    }

    /// How many batches wait in the lane (those between two attempts included), and how many the sink has.
    #[inline]
    pub fn depth(&self, waiting: u64, in_flight: u64) {
        self.metrics.cells.queue_batches.set(waiting);
        self.metrics.cells.in_flight_batches.set(in_flight);
    }

    /// The breaker is in `state` now. Going to [`BreakerState::Open`] counts as an opening; staying there doesn't.
    #[inline]
    pub fn breaker(&self, state: BreakerState) {
        if state == BreakerState::Open && self.metrics.breaker() != BreakerState::Open {
            self.metrics.cells.breaker_openings.add(1);
        }
        self.metrics.cells.breaker.set(state as u64);
    }

    /// Publishes the sink's health and figures, and the histogram. Never waits: what a reader holds just now is
    /// published the next time. To be called about once a second, and when the health changed.
    ///
    /// ```ignore
    /// recorder.publish(sink.health(), |publish| sink.gauges(publish));
    /// ```
    pub fn publish(&self, health: Health, gauges: impl FnOnce(&mut dyn FnMut(millrun_sinks::Gauge))) {
        self.sink_time.borrow_mut().publish();
        let mut report = match self.metrics.report.try_lock() {
            Ok(report) => report,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        report.health = health;
        report.gauges.clear();
        gauges(&mut |gauge| report.gauges.push(gauge));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrun_sinks::{Fate, Fault, Retry, Whose};

    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);
    const FULL: Fault = Fault::new(FaultKind::StorageFull, Whose::Operator, Retry::Yes, Fate::NotStored);

    fn lane() -> (LaneRecorder, Arc<LaneMetrics>) {
        let metrics = Arc::new(LaneMetrics::new());
        (LaneRecorder::new(metrics.clone()), metrics)
    }

    #[test]
    fn deliveries_are_counted_record_by_record() {
        let (recorder, metrics) = lane();
        recorder.decided(10, &Delivery::All);
        recorder.decided(10, &Delivery::Some(vec![(1, LATE), (2, FULL), (7, LATE)]));
        recorder.decided(5, &Delivery::None(FULL));
        assert_eq!(metrics.delivered_records(), 17);
        assert_eq!(metrics.failed_records(FaultKind::TimedOut), 2);
        assert_eq!(metrics.failed_records(FaultKind::StorageFull), 6);
        assert_eq!((metrics.delivered_batches(), metrics.failed_batches()), (1, 2));
        let failed: u64 = FaultKind::ALL.iter().map(|kind| metrics.failed_records(*kind)).sum();
        assert_eq!(metrics.delivered_records() + failed, 25, "every record is counted once");
    }

    #[test]
    fn only_going_to_open_is_an_opening() {
        let (recorder, metrics) = lane();
        for state in [
            BreakerState::Open,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Closed,
        ] {
            recorder.breaker(state);
            assert_eq!(metrics.breaker(), state);
        }
        assert_eq!(metrics.breaker_openings(), 2);
    }

    #[test]
    fn a_report_replaces_the_last_and_waits_for_nobody() {
        let (recorder, metrics) = lane();
        let gauge = |value| millrun_sinks::Gauge { name: "files_open", help: "Open.", value, counter: false };
        recorder.publish(Health::Up, |publish| publish(gauge(1.0)));
        recorder.publish(Health::Up, |publish| publish(gauge(2.0)));
        assert_eq!(metrics.gauges(), [gauge(2.0)]);
        {
            let _scrape = metrics.report.lock().unwrap();
            recorder.publish(Health::Down("disk full".into()), |_| {});
        }
        assert_eq!(metrics.health(), Health::Up, "kept for the next time");
        recorder.publish(Health::Down("disk full".into()), |_| {});
        assert_eq!(metrics.health(), Health::Down("disk full".into()));
        assert_eq!(metrics.gauges(), []);
    }
}
