//! What one generator thread counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::latency::{LATENCY_US_MAX, Latencies};
use crate::request::{Outcome, Shape};
use crate::result::{KindResult, OutcomeCount, Second, Totals};

/// The times of one request, counted from the start of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When it was due; in a closed loop, when it was sent.
    pub(super) due: Duration,
    /// When its first byte was handed to the kernel.
    pub(super) sent: Duration,
    /// When its last byte was read, or it failed.
    pub(super) ended: Duration,
}

#[derive(Debug)]
struct KindTally {
    sent: u64,
    succeeded: u64,
    latencies: Latencies,
}

/// A second's counts; two digits are enough for a line in a picture.
#[derive(Debug)]
struct SecondTally {
    planned: u64,
    succeeded: u64,
    failed: u64,
    latencies: Histogram<u32>,
}

impl Default for SecondTally {
    fn default() -> Self {
        #[allow(clippy::expect_used, reason = "constant bounds")]
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("bounds are constants");
        Self { planned: 0, succeeded: 0, failed: 0, latencies }
    }
}

/// Everything that one thread counted; added up over the threads in the end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) corrected: Latencies,
    pub(super) uncorrected: Latencies,
    /// How late requests left for which a connection was free.
    pub(super) lateness: Latencies,
    /// Of those, the ones that were more than a millisecond late.
    pub(super) late_sends: u64,
    outcomes: BTreeMap<Outcome, u64>,
    kinds: Vec<KindTally>,
    seconds: Vec<SecondTally>,
    last_end: Duration,
}

impl Tally {
    /// For a workload of so many kinds.
    pub(super) fn new(kinds: usize) -> Self {
        let kind = || KindTally { sent: 0, succeeded: 0, latencies: Latencies::default() };
        Self { kinds: (0..kinds).map(|_| kind()).collect(), ..Self::default() }
    }

    fn second(&mut self, at: Duration) -> &mut SecondTally {
        let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(100_000);
        if index >= self.seconds.len() {
            self.seconds.resize_with(index + 1, SecondTally::default);
        }
        &mut self.seconds[index]
    }

    /// A request came up at its time.
    pub(super) fn planned(&mut self, due: Duration) {
        self.totals.planned += 1;
        self.second(due).planned += 1;
    }

    /// A request left; `free_since` is when a connection was free to take it.
    pub(super) fn sending(
        &mut self,
        shape: &Shape,
        bytes: usize,
        due: Duration,
        free_since: Duration,
        now: Duration,
    ) {
        self.totals.sent += 1;
        self.totals.bytes_sent += bytes as u64;
        self.kinds[usize::from(shape.kind)].sent += 1;
        let late = now.saturating_sub(due.max(free_since));
        self.lateness.record(late);
        if late > Duration::from_millis(1) {
            self.late_sends += 1;
        }
    }

    /// A request that was sent has ended.
    pub(super) fn ended(&mut self, shape: &Shape, outcome: Outcome, times: Times) {
        let latency = times.ended.saturating_sub(times.due);
        self.corrected.record(latency);
        self.uncorrected.record(times.ended.saturating_sub(times.sent));
        let kind = &mut self.kinds[usize::from(shape.kind)];
        kind.latencies.record(latency);
        if outcome.acked() {
            kind.succeeded += 1;
            self.totals.events += u64::from(shape.events);
        }
        self.count(outcome, latency, times.ended);
    }

    /// A request that was due was given up without being sent, after `waited`.
    pub(super) fn given_up(&mut self, waited: Duration, now: Duration) {
        self.corrected.record(waited);
        self.totals.unsent += 1;
        self.count(Outcome::NotSent, waited, now);
    }

    fn count(&mut self, outcome: Outcome, latency: Duration, now: Duration) {
        *self.outcomes.entry(outcome).or_default() += 1;
        self.last_end = self.last_end.max(now);
        let us = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX).clamp(1, LATENCY_US_MAX);
        let acked = outcome.acked();
        if acked {
            self.totals.succeeded += 1;
        } else {
            self.totals.failed += 1;
        }
        let second = self.second(now);
        second.latencies.saturating_record(us);
        if acked {
            second.succeeded += 1;
        } else {
            second.failed += 1;
        }
    }

    /// p99 of second `index` so far, in µs.
    pub(super) fn p99_of(&self, index: usize) -> u64 {
        let Some(second) = self.seconds.get(index).filter(|second| !second.latencies.is_empty()) else {
            return 0;
        };
        second.latencies.value_at_quantile(0.99)
    }

    /// Adds another thread's counts.
    pub(super) fn add(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.totals, &other.totals);
        for (mine, theirs) in [
            (&mut mine.planned, theirs.planned),
            (&mut mine.sent, theirs.sent),
            (&mut mine.succeeded, theirs.succeeded),
            (&mut mine.failed, theirs.failed),
            (&mut mine.unsent, theirs.unsent),
            (&mut mine.events, theirs.events),
            (&mut mine.connects, theirs.connects),
            (&mut mine.connect_failures, theirs.connect_failures),
            (&mut mine.bytes_sent, theirs.bytes_sent),
            (&mut mine.bytes_received, theirs.bytes_received),
            (&mut self.late_sends, other.late_sends),
        ] {
            *mine += theirs;
        }
        self.corrected.add(&other.corrected);
        self.uncorrected.add(&other.uncorrected);
        self.lateness.add(&other.lateness);
        self.last_end = self.last_end.max(other.last_end);
        for (&outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for (mine, theirs) in self.kinds.iter_mut().zip(&other.kinds) {
            mine.sent += theirs.sent;
            mine.succeeded += theirs.succeeded;
            mine.latencies.add(&theirs.latencies);
        }
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize_with(other.seconds.len(), SecondTally::default);
        }
        for (mine, theirs) in self.seconds.iter_mut().zip(&other.seconds) {
            mine.planned += theirs.planned;
            mine.succeeded += theirs.succeeded;
            mine.failed += theirs.failed;
            // Both have the same bounds, so it can't fail.
            let _same_bounds = mine.latencies.add(&theirs.latencies);
        }
    }

    /// The sums, for the result.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    pub(super) fn totals(&self) -> Totals {
        let elapsed_s = self.last_end.as_secs_f64();
        let outcomes =
            self.outcomes.iter().map(|(outcome, &count)| OutcomeCount { outcome: outcome.name(), count });
        Totals {
            outcomes: outcomes.collect(),
            elapsed_s,
            succeeded_per_s: if elapsed_s > 0.0 { self.totals.succeeded as f64 / elapsed_s } else { 0.0 },
            ..self.totals.clone()
        }
    }

    /// By kind, for the result.
    pub(super) fn kinds(&self, names: &[String]) -> Vec<KindResult> {
        let kinds = self.kinds.iter().zip(names);
        kinds
            .map(|(kind, name)| KindResult {
                kind: name.clone(),
                sent: kind.sent,
                succeeded: kind.succeeded,
                latency: kind.latencies.distribution(),
            })
            .collect()
    }

    /// Second by second, for the result.
    pub(super) fn seconds(&self) -> Vec<Second> {
        let at = |second: &SecondTally, quantile| {
            if second.latencies.is_empty() { 0 } else { second.latencies.value_at_quantile(quantile) }
        };
        (0..)
            .zip(&self.seconds)
            .map(|(index, second)| Second {
                second: index,
                planned: second.planned,
                succeeded: second.succeeded,
                failed: second.failed,
                p50_us: at(second, 0.5),
                p99_us: at(second, 0.99),
                max_us: if second.latencies.is_empty() { 0 } else { second.latencies.max() },
            })
            .collect()
    }
}
