//! What an attack came to, in a word.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::LoadResult;

/// The median is slower when it is more than this many times what it was, and by more than [`P50_US`].
pub const P50_RATIO: f64 = 1.25;

/// In µs.
pub const P50_US: u64 = 200;

/// The 99th percentile is slower when it is more than this many times what it was, and by more than [`P99_US`].
pub const P99_RATIO: f64 = 2.0;

/// In µs.
pub const P99_US: u64 = 2000;

/// What the well-behaved noticed of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing: no request failed, and latency stayed where it was.
    Unmoved,
    /// No request failed, but during the attack p50 was above 1.25 times the baseline's and by more than 0.2 ms, or
    /// p99 above twice and by more than 2 ms.
    Slower,
    /// A request failed during the attack or after it.
    Harmed,
    /// Fewer than half of the requests succeeded during the attack or after it.
    Down,
}

impl Verdict {
    /// Whether well-behaved requests failed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self >= Self::Harmed
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unmoved => "unmoved",
            Self::Slower => "slower",
            Self::Harmed => "harmed",
            Self::Down => "down",
        })
    }
}

/// What counts of a stretch of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Requests that were due.
    pub planned: u64,
    /// Requests that were answered 2xx.
    pub succeeded: u64,
    /// Median latency from the planned send time, in µs.
    pub p50_us: u64,
    /// 99 % are not above this.
    pub p99_us: u64,
}

impl Figures {
    /// Those of a run.
    #[must_use]
    pub fn of(result: &LoadResult) -> Self {
        Self {
            planned: result.totals.planned,
            succeeded: result.totals.succeeded,
            p50_us: result.latency.p50_us,
            p99_us: result.latency.p99_us,
        }
    }

    /// Requests that were due and were not answered 2xx.
    #[must_use]
    pub fn failed(self) -> u64 {
        self.planned.saturating_sub(self.succeeded)
    }

    /// Whether fewer than half succeeded.
    #[must_use]
    pub fn is_down(self) -> bool {
        self.succeeded.saturating_mul(2) < self.planned
    }
}

/// The verdict on an attack.
#[must_use]
pub fn judge(before: Figures, during: Figures, after: Figures) -> Verdict {
    if during.is_down() || after.is_down() {
        return Verdict::Down;
    }
    if during.failed() > 0 || after.failed() > 0 {
        return Verdict::Harmed;
    }
    let is_slower = exceeds(before.p50_us, during.p50_us, P50_RATIO, P50_US)
        || exceeds(before.p99_us, during.p99_us, P99_RATIO, P99_US);
    if is_slower { Verdict::Slower } else { Verdict::Unmoved }
}

fn exceeds(before_us: u64, during_us: u64, times: f64, by_us: u64) -> bool {
    ratio(before_us, during_us) > times && during_us.saturating_sub(before_us) > by_us
}

/// `during / before`; a baseline of nothing counts as 1 µs.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "below an hour")]
pub fn ratio(before_us: u64, during_us: u64) -> f64 {
    during_us as f64 / before_us.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Figures = Figures { planned: 100, succeeded: 100, p50_us: 1000, p99_us: 3000 };

    #[test]
    fn one_failure_harms_and_half_is_down_during_or_after() {
        let with = |succeeded| Figures { succeeded, ..WELL };
        for (succeeded, verdict) in
            [(100, Verdict::Unmoved), (99, Verdict::Harmed), (50, Verdict::Harmed), (49, Verdict::Down)]
        {
            assert_eq!(judge(WELL, with(succeeded), WELL), verdict, "{succeeded}");
            assert_eq!(judge(WELL, WELL, with(succeeded)), verdict, "{succeeded}");
        }
    }

    #[test]
    fn slower_needs_a_ratio_and_an_amount() {
        let judged = |p50_us, p99_us| judge(WELL, Figures { p50_us, p99_us, ..WELL }, WELL);
        assert_eq!(judged(1250, 3000), Verdict::Unmoved);
        assert_eq!(judged(1251, 3000), Verdict::Slower);
        assert_eq!(judged(1000, 6000), Verdict::Unmoved);
        assert_eq!(judged(1000, 6001), Verdict::Slower);
        let tiny = Figures { p50_us: 100, p99_us: 200, ..WELL };
        assert_eq!(judge(tiny, Figures { p50_us: 300, p99_us: 2200, ..WELL }, WELL), Verdict::Unmoved);
        assert_eq!(judge(tiny, Figures { p50_us: 301, ..tiny }, WELL), Verdict::Slower);
    }

    #[test]
    fn a_higher_latency_afterwards_is_not_the_attacks_verdict_but_in_the_table() {
        assert_eq!(judge(WELL, WELL, Figures { p50_us: 9000, p99_us: 90_000, ..WELL }), Verdict::Unmoved);
    }
}
