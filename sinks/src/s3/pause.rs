//! How long to wait before the next attempt: exponential backoff with full jitter.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
/// Longest pause: how late an end of an outage is noticed at the most.
const LONGEST: Duration = Duration::from_secs(10);

/// The attempts at one thing.
#[derive(Debug)]
pub(super) struct Pause {
    random: fastrand::Rng,
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), failures: 0, until: None }
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, now: Instant) {
        let most = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        // Half of it for certain, so that nobody is tried without any pause.
        self.until = Some(now + most.mul_f64(0.5 + self.random.f64() / 2.0));
    }

    /// Something worked.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// The pause is over, and nothing is known yet of what was tried after it.
    pub(super) fn end(&mut self) {
        self.until = None;
    }

    /// Whether the pause is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// When it is over.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_end_with_a_success() {
        let start = Instant::now();
        let mut pause = Pause::new(7);
        assert!(pause.is_over(start));
        let mut last = Duration::ZERO;
        for attempt in 0..20 {
            pause.failed(start);
            let length = pause.until().unwrap() - start;
            assert!(length >= FIRST / 2 && length <= LONGEST, "{length:?}");
            assert!(attempt > 5 || length >= last / 2);
            last = length;
        }
        assert!(last >= LONGEST / 2);
        assert!(!pause.is_over(start) && pause.is_over(start + LONGEST));
        pause.worked();
        assert!(pause.is_over(start));
    }
}
