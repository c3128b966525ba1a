//! From counters that only grow to what happened between two looks at them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrun_sinks::{FaultKind, Gauge};

use super::emf::Interval;
use super::latency::Distribution;
use super::outcome::Outcome;
use super::process::shard_cpu_nanos;
use super::registry::Metrics;

/// Values that stand for a distribution.
const QUANTILES: u32 = 100;

/// What was seen at the last look.
#[derive(Debug)]
pub struct Sampler {
    at: Instant,
    answers: Vec<u64>,
    durations: Distribution,
    sink_faults: u64,
    /// Nanoseconds on a CPU by the shard's thread.
    shards: BTreeMap<String, u64>,
}

impl Sampler {
    /// The first interval begins now.
    #[must_use]
    pub fn new(metrics: &Metrics, now: Instant) -> Self {
        Self {
            at: now,
            answers: answers(metrics),
            durations: metrics.request(),
            sink_faults: sink_faults(metrics),
            shards: shard_cpu_nanos(),
        }
    }

    /// What happened since the last look.
    pub fn take(&mut self, metrics: &Metrics, now: Instant, unix_ms: u64) -> Interval {
        let next = Self::new(metrics, now);
        let last = std::mem::replace(self, next);
        let counts =
            || Outcome::all().zip(self.answers.iter().zip(&last.answers).map(|(now, then)| now - then));
        Interval {
            unix_ms,
            busy_percent: busiest(&last.shards, &self.shards, now.saturating_duration_since(last.at)),
            requests: counts().map(|(_, count)| count).sum(),
            errors: counts()
                .filter(|(outcome, count)| outcome.status() >= 400 && *count > 0)
                .map(|(outcome, count)| (outcome.reason(), count))
                .collect(),
            durations_ms: values(&self.durations.since(&last.durations)),
            sink_faults: self.sink_faults - last.sink_faults,
            // Every journal of a process tells of the one directory.
            journal_bytes: gauges(metrics, "journal_used_bytes").next(),
            journal_age_ms: gauges(metrics, "journal_oldest_age_seconds").max().map(|seconds| seconds * 1000),
        }
    }
}

fn answers(metrics: &Metrics) -> Vec<u64> {
    Outcome::all().map(|outcome| metrics.answers(outcome)).collect()
}

/// Batches that were tried again, and records that were given up.
fn sink_faults(metrics: &Metrics) -> u64 {
    let of =
        |kind| metrics.lanes().map(|(_, lane)| lane.retries(kind) + lane.failed_records(kind)).sum::<u64>();
    FaultKind::ALL.into_iter().map(of).sum()
}

/// What the sinks tell under this name, each its own.
fn gauges(metrics: &Metrics, name: &str) -> impl Iterator<Item = u64> {
    let of = move |gauges: Vec<Gauge>| gauges.into_iter().find(|gauge| gauge.name == name);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of bytes or seconds"
    )]
    metrics.lanes().filter_map(move |(_, lane)| of(lane.gauges())).map(|gauge| gauge.value as u64)
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of a request")]
fn values(distribution: &Distribution) -> Vec<f64> {
    if distribution.count() == 0 {
        return Vec::new();
    }
    let quantile = |number| (f64::from(number) + 0.5) / f64::from(QUANTILES);
    (0..QUANTILES).map(|number| distribution.quantile(quantile(number)) as f64 / 1000.0).collect()
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds of an interval")]
fn busiest(last: &BTreeMap<String, u64>, next: &BTreeMap<String, u64>, took: Duration) -> Option<f64> {
    // One that was not there began in between.
    let worked = next.iter().map(|(name, nanos)| nanos.saturating_sub(last.get(name).copied().unwrap_or(0)));
    let most = worked.max().filter(|_| !took.is_zero())?;
    Some((most as f64 / took.as_nanos() as f64 * 100.0).min(100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_that_worked_most_counts() {
        let at =
            |one: u64, two: u64| BTreeMap::from([("shard-0".to_owned(), one), ("shard-1".to_owned(), two)]);
        let second = Duration::from_secs(1);
        assert_eq!(busiest(&at(0, 0), &at(250_000_000, 500_000_000), second), Some(50.0));
        assert_eq!(busiest(&at(9, 9), &at(9, 9), second), Some(0.0));
        assert_eq!(busiest(&at(0, 0), &at(2_000_000_000, 0), second), Some(100.0));
        assert_eq!(busiest(&BTreeMap::new(), &at(100_000_000, 0), second), Some(10.0));
        assert_eq!(busiest(&at(0, 0), &BTreeMap::new(), second), None);
        assert_eq!(busiest(&at(0, 0), &at(1, 1), Duration::ZERO), None);
    }
}
