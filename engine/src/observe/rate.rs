//! A limit for log lines that a client can cause: a token bucket that counts what it holds back.
//!
//! ```ignore
//! if let Some(suppressed) = allowance.admit(now) {
//!     tracing::warn!(suppressed, "request refused: bad_header");
//! }
//! ```

use std::time::{Duration, Instant};

/// A token bucket (one token = one line). Belongs to one thread; no clock of its own.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Time in which one token grows; `None`: none ever does.
    interval: Option<Duration>,
    /// How far the bucket may be ahead: `burst` intervals.
    burst: u32,
    tokens: u32,
    /// Up to when growth has been credited; `None` before the first line.
    credited: Option<Instant>,
    suppressed: u64,
}

impl Allowance {
    /// At most `burst` lines at once and `per_second` lines a second on average. A `burst` of 0 admits nothing;
    /// with 0 per second only the first `burst` lines ever pass.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval =
            (per_second > 0).then(|| (Duration::from_secs(1) / per_second).max(Duration::from_nanos(1)));
        Self { interval, burst, tokens: burst, credited: None, suppressed: 0 }
    }

    /// Whether a line may be written at `now`. `Some(n)`: yes, and `n` lines were held back since the last one.
    /// `None`: no, and this one is counted. An earlier `now` than before grants nothing.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        self.credit(now);
        if self.tokens == 0 {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.tokens -= 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    fn credit(&mut self, now: Instant) {
        let credited = *self.credited.get_or_insert(now);
        let Some(interval) = self.interval else { return };
        let grown = now.saturating_duration_since(credited).as_nanos() / interval.as_nanos();
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        if grown >= self.burst - self.tokens {
            self.tokens = self.burst;
            self.credited = Some(credited.max(now));
        } else {
            self.tokens += grown;
            // Not `now`: the fraction of a token that has grown already must not be lost.
            self.credited = Some(credited + interval * grown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut allowance = Allowance::new(1, 3);
        assert_eq!([(); 3].map(|()| allowance.admit(start)), [Some(0); 3]);
        assert_eq!([(); 5].map(|()| allowance.admit(start)), [None; 5]);
        assert_eq!(allowance.admit(start + Duration::from_millis(999)), None);
        assert_eq!(allowance.admit(start + Duration::from_secs(1)), Some(6), "and says how many were not");
        assert_eq!(allowance.admit(start + Duration::from_secs(1)), None);
        assert_eq!(allowance.admit(start + Duration::from_hours(1)), Some(1));
        assert_eq!(allowance.admit(start + Duration::from_hours(1)), Some(0));
        assert_eq!(
            allowance.admit(start + Duration::from_hours(1)),
            Some(0),
            "an hour grows no more than a burst"
        );
        assert_eq!(allowance.admit(start + Duration::from_hours(1)), None);
    }

    #[test]
    fn the_average_rate_holds_whatever_the_spacing() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10, 1);
        let admitted = (0..30_000)
            .filter(|step| allowance.admit(start + Duration::from_micros(333) * *step).is_some())
            .count();
        // 9.99 s: one at the start and one for each full 100 ms.
        assert_eq!(admitted, 1 + 99);
    }

    #[test]
    fn degenerate_rates_are_no_trap() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1_000_000);
        let mut never = Allowance::new(5, 0);
        assert_eq!(never.admit(start), None);
        assert_eq!(never.admit(later), None);
        let mut once = Allowance::new(0, 1);
        assert_eq!(once.admit(later), Some(0));
        assert_eq!(once.admit(start), None, "time that goes back grants nothing");
        assert_eq!(once.admit(later), None);
        let mut fast = Allowance::new(u32::MAX, 2);
        assert_eq!(fast.admit(start), Some(0));
        assert_eq!(fast.admit(later), Some(0));
    }
}
