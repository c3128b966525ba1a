//! When a failed attempt is tried again: exponential backoff with full jitter.
//!
//! The pause before attempt n is uniform in `0..=min(max, initial * 2^(n-1))`. Full jitter keeps batches that
//! failed together from coming back together.

use std::time::{Duration, Instant};

/// The policy. Its randomness comes from the seed that it is given.
#[derive(Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// A policy that starts at `initial` and never pauses longer than `max`.
    #[must_use]
    pub fn new(initial: Duration, max: Duration, seed: u64) -> Self {
        Self { initial, max: max.max(initial), random: fastrand::Rng::with_seed(seed) }
    }

    /// The longest pause after `attempts` failed attempts.
    fn ceiling(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }

    /// When to try again after `attempts` failed attempts, or `None` when that would be at or behind `deadline`.
    pub fn next(&mut self, attempts: u32, now: Instant, deadline: Instant) -> Option<Instant> {
        let ceiling = u64::try_from(self.ceiling(attempts).as_micros()).unwrap_or(u64::MAX);
        let at = now + Duration::from_micros(self.random.u64(0..=ceiling));
        (at < deadline).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_ceiling_doubles_and_is_bounded() {
        let backoff = Backoff::new(MS(50), MS(1000), 1);
        let ceilings: Vec<_> = [1, 2, 3, 5, 6, 40].map(|attempts| backoff.ceiling(attempts)).into();
        assert_eq!(ceilings, [MS(50), MS(100), MS(200), MS(800), MS(1000), MS(1000)]);
    }

    #[test]
    fn pauses_spread_over_the_whole_range_and_never_reach_the_deadline() {
        let mut backoff = Backoff::new(MS(100), MS(100), 7);
        let now = Instant::now();
        let pauses: Vec<_> = (0..1000).map(|_| backoff.next(1, now, now + MS(1000)).unwrap() - now).collect();
        assert!(pauses.iter().all(|pause| *pause <= MS(100)));
        assert!(pauses.iter().any(|pause| *pause < MS(10)) && pauses.iter().any(|pause| *pause > MS(90)));
        assert_eq!(backoff.next(1, now, now), None, "nothing is tried at or behind the deadline");
    }
}
