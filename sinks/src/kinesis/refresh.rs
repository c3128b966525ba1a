//! When the shards are listed: at first, when a record lands where nobody expected it, and again after a failure.
//! Never more often than once a second, and ever less often while it brings nothing new.

use std::time::{Duration, Instant};

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The rhythm of listing.
#[derive(Debug)]
pub(super) struct Refresh {
    asked: bool,
    wanted: bool,
    earliest: Option<Instant>,
    pause: Duration,
}

impl Refresh {
    /// Wanted at once.
    pub(super) fn new() -> Self {
        Self { asked: false, wanted: true, earliest: None, pause: PAUSE_MIN }
    }

    /// Something landed elsewhere.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether to ask now; if so it counts as asked.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let due = self.wanted && !self.asked && self.earliest.is_none_or(|earliest| now >= earliest);
        if due {
            self.asked = true;
            self.wanted = false;
        }
        due
    }

    /// The list came, and it was another one than before, or not. A list that was not needed changes nothing.
    pub(super) fn came(&mut self, changed: bool, now: Instant) {
        self.asked = false;
        self.pause = if changed { PAUSE_MIN } else { (self.pause * 2).min(PAUSE_MAX) };
        self.earliest = Some(now + self.pause);
    }

    /// It could not be had.
    pub(super) fn failed(&mut self, now: Instant) {
        self.came(false, now);
        self.wanted = true;
    }

    /// When [`Self::ask`] will say yes, as far as is known.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        (self.wanted && !self.asked).then(|| self.earliest.unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_once_at_a_time_and_ever_less_for_nothing() {
        let (mut refresh, mut now) = (Refresh::new(), Instant::now());
        assert!(refresh.ask(now) && !refresh.ask(now));
        refresh.came(true, now);
        assert_eq!(refresh.due(now), None);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            refresh.want();
            let due = refresh.due(now).unwrap();
            assert_eq!(due - now, Duration::from_secs(pause));
            assert!(!refresh.ask(due.checked_sub(Duration::from_millis(1)).unwrap()) && refresh.ask(due));
            now = due;
            refresh.came(false, now);
        }
        refresh.want();
        now += PAUSE_MAX;
        assert!(refresh.ask(now));
        refresh.failed(now);
        assert!(refresh.due(now).is_some(), "a failure is tried again");
    }
}
