//! Latency as a whole distribution, in microseconds, and what of it goes into a result.

use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Above this everything counts as this: 1 hour.
pub const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Counts of latencies from 1 µs to an hour, each known to three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        // Constant arguments within the library's bounds.
        #[allow(clippy::expect_used, reason = "constant bounds")]
        Self(Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("bounds are constants"))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX);
        self.0.saturating_record(us.clamp(1, LATENCY_US_MAX));
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so it can't fail.
        let _same_bounds = self.0.add(&other.0);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest latency that `quantile` (0 to 1) of all do not exceed, in µs; 0 when nothing was counted.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(quantile) }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// For the result.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        Distribution {
            count: self.count(),
            mean_us: if self.0.is_empty() { 0.0 } else { self.0.mean() },
            min_us: if self.0.is_empty() { 0 } else { self.0.min() },
            p50_us: self.at(0.5),
            p90_us: self.at(0.9),
            p99_us: self.at(0.99),
            p999_us: self.at(0.999),
            p9999_us: self.at(0.9999),
            max_us: self.0.max(),
            buckets: self
                .0
                .iter_recorded()
                .map(|at| Bucket { us: at.value_iterated_to(), count: at.count_since_last_iteration() })
                .collect(),
        }
    }
}

/// A distribution of latencies, in full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many were measured.
    pub count: u64,
    /// Their mean, in µs.
    pub mean_us: f64,
    /// The smallest.
    pub min_us: u64,
    /// The median.
    pub p50_us: u64,
    /// 90 % are not above this.
    pub p90_us: u64,
    /// 99 %.
    pub p99_us: u64,
    /// 99.9 %.
    pub p999_us: u64,
    /// 99.99 %.
    pub p9999_us: u64,
    /// The largest.
    pub max_us: u64,
    /// Every bucket that is not empty, rising; values are exact to three digits.
    pub buckets: Vec<Bucket>,
}

impl Distribution {
    /// The quantile (0 to 1) read off the buckets, in µs; 0 when there are none.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^52"
    )]
    pub fn at(&self, quantile: f64) -> u64 {
        let wanted = ((self.count as f64) * quantile.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for bucket in &self.buckets {
            seen += bucket.count;
            if seen >= wanted {
                return bucket.us;
            }
        }
        self.max_us
    }
}

/// Latencies that are equal to three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The largest latency in it, in µs.
    pub us: u64,
    /// How many.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_latencies_come_out_exactly() {
        let mut latencies = Latencies::default();
        for ms in 1..=100 {
            latencies.record(Duration::from_millis(ms));
        }
        let distribution = latencies.distribution();
        assert_eq!(distribution.count, 100);
        for (quantile, ms) in [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)] {
            let (us, exact) = (distribution.at(quantile), ms * 1000);
            assert!(us.abs_diff(exact) * 1000 <= exact, "{quantile}: {us}");
            assert_eq!(us, latencies.at(quantile));
        }
    }

    #[test]
    fn nothing_measured_is_zero_everywhere() {
        let distribution = Latencies::default().distribution();
        assert_eq!(distribution, Distribution::default());
        assert_eq!(distribution.at(0.5), 0);
    }
}
