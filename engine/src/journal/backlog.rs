//! How long the oldest batch of a stream has waited for its delivery. Pure.
//!
//! Whoever publishes figures looks at the stream's marks now and then. Each look that finds more durable is noted; the
//! first note above what is delivered tells when the oldest waiting batch was there for the first time.
//!
//! ```text
//!  notes      (t1, 40) (t2, 45) (t3, 90)       batches below 45 were durable at t2
//!  delivered       41                          so the oldest that waits is from between t1 and t2: age = now - t2
//! ```
//!
//! So the age is too low by at most the pause between two looks, and batches of an earlier process count from this
//! one's first look.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Notes of a stream at most. With a look every half second, half an hour's; beyond, two become one.
const NOTES_MAX: usize = 4096;

/// Notes of one stream.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Ascending in both.
    notes: VecDeque<(Instant, u64)>,
}

impl Backlog {
    /// The age of the oldest batch that waits; zero where none does.
    pub fn look(&mut self, now: Instant, durable_below: u64, delivered_below: u64) -> Duration {
        if self.notes.back().is_none_or(|(_, below)| *below < durable_below) {
            if self.notes.len() == NOTES_MAX {
                self.halve();
            }
            self.notes.push_back((now, durable_below));
        }
        while self.notes.front().is_some_and(|(_, below)| *below <= delivered_below) && self.notes.len() > 1 {
            self.notes.pop_front();
        }
        match self.notes.front() {
            Some((since, below)) if *below > delivered_below => now.saturating_duration_since(*since),
            _ => Duration::ZERO,
        }
    }

    /// Of two notes the earlier time stays, for what both say: rather too old than too young.
    fn halve(&mut self) {
        let mut kept = VecDeque::with_capacity(NOTES_MAX);
        while let Some((since, below)) = self.notes.pop_front() {
            kept.push_back((since, self.notes.pop_front().map_or(below, |(_, below)| below)));
        }
        self.notes = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_oldest_batch_that_waits_tells_the_age() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        let mut look =
            |after: u32, durable, delivered| backlog.look(start + SECOND * after, durable, delivered);
        assert_eq!(look(0, 0, 0), Duration::ZERO, "nothing was ever written");
        assert_eq!(look(1, 40, 0), Duration::ZERO);
        assert_eq!(look(2, 45, 0), SECOND);
        assert_eq!(look(9, 90, 41), SECOND * 7, "41 to 44 were there after 2 s");
        assert_eq!(look(10, 90, 45), SECOND, "45 to 89 were there after 9 s");
        assert_eq!(look(20, 90, 90), Duration::ZERO, "all delivered");
        assert_eq!(look(21, 91, 90), Duration::ZERO);
        assert_eq!(look(25, 91, 90), SECOND * 4);
        assert_eq!(look(26, 91, 91), Duration::ZERO);
    }

    #[test]
    fn notes_are_bounded_and_never_too_young() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        let looks = 5 * u32::try_from(NOTES_MAX).unwrap();
        for look in 1..=looks {
            backlog.look(start + SECOND * look, u64::from(look), 0);
            assert!(backlog.notes.len() <= NOTES_MAX);
        }
        for delivered in (0..looks).step_by(97) {
            let age = backlog.look(start + SECOND * looks, u64::from(looks), u64::from(delivered));
            assert!(age >= SECOND * (looks - delivered - 1), "{delivered}: {age:?}");
        }
    }
}
