//! How fast one shard is written: not held back until it throttles, then by additive increase and multiplicative
//! decrease, until nothing has been throttled for long.
//!
//! The one unknown is our *share* of the shard: 1.0 is what a shard takes (1,000 records and 1 MB a second), less when
//! other hosts write to it as well. Two token buckets, records and bytes, fill in proportion to the share.
//!
//! ```text
//!   share                          ╱│  open again at SHARE_OPEN
//!   1.0 ┐first throttle          ╱  │
//!       │╲                     ╱    ▼ (no buckets)
//!       │ ×DECREASE          ╱  + INCREASE_PER_S
//!       └──╲___╱╲__________╱──────────────────▶ time      at most one decrease in DECREASE_PAUSE
//! ```
//!
//! Pure: the time is a parameter.

use std::time::{Duration, Instant};

use super::limits::{SHARD_BYTES_PER_S, SHARD_RECORDS_PER_S};

/// Share after the first throttle: what the shard takes when nobody else writes.
const SHARE_FIRST: f64 = 1.0;
/// The least that is tried, so that a shard is never given up: 20 records a second.
const SHARE_MIN: f64 = 0.02;
/// Above this share there is nothing to hold back: a shard takes 1.0.
const SHARE_OPEN: f64 = 2.0;
/// What a throttle leaves of the share.
const DECREASE: f64 = 0.7;
/// Answers of calls that were on their way together count once.
const DECREASE_PAUSE: Duration = Duration::from_millis(250);
/// What a second without throttle adds to the share.
const INCREASE_PER_S: f64 = 0.05;
/// How much the buckets hold, in seconds of their rate.
const BURST_S: f64 = 0.25;

/// The pace of one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    held: Option<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    share: f64,
    records: f64,
    bytes: f64,
    filled_at: Instant,
    decreased_at: Instant,
}

impl Pace {
    /// True while the shard is held back.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Our share of the shard, where it is held back.
    #[cfg(test)]
    pub(super) fn share(&self) -> Option<f64> {
        self.held.as_ref().map(|held| held.share)
    }

    /// Takes the tokens of one Kinesis record of `bytes`; false when it has to wait.
    ///
    /// A record goes when the buckets are not in debt, whatever its size, and may leave them in debt: so a record that
    /// is larger than the bucket passes too, and is paid for afterwards.
    pub(super) fn admit(&mut self, bytes: usize, now: Instant) -> bool {
        let Some(held) = &mut self.held else { return true };
        held.fill(now);
        if held.share >= SHARE_OPEN {
            self.held = None;
            return true;
        }
        if held.records < 1.0 || held.bytes < 0.0 {
            return false;
        }
        held.records -= 1.0;
        held.bytes -= float(bytes);
        true
    }

    /// True when [`Self::admit`] would let a record through.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        let Some(held) = &mut self.held else { return true };
        held.fill(now);
        held.share >= SHARE_OPEN || (held.records >= 1.0 && held.bytes >= 0.0)
    }

    /// When the next record may go; now, where nothing holds it back.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        self.held.as_ref().map_or(now, |held| held.filled_at + held.wait(1.0, 0.0)).max(now)
    }

    /// How long records that are behind `records` of together `bytes` will wait.
    pub(super) fn wait(&self, records: usize, bytes: usize) -> Duration {
        self.held.as_ref().map_or(Duration::ZERO, |held| held.wait(float(records), float(bytes)))
    }

    /// The shard throttled a record. Returns true when that changed the pace.
    pub(super) fn throttled(&mut self, now: Instant) -> bool {
        match &mut self.held {
            None => {
                self.held = Some(Held {
                    share: SHARE_FIRST,
                    records: 0.0,
                    bytes: 0.0,
                    filled_at: now,
                    decreased_at: now,
                });
                true
            }
            Some(held) if now >= held.decreased_at + DECREASE_PAUSE => {
                held.fill(now);
                held.share = (held.share * DECREASE).max(SHARE_MIN);
                held.decreased_at = now;
                true
            }
            Some(_) => false,
        }
    }
}

impl Held {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        self.filled_at = now;
        let (records, bytes) = self.rates();
        self.records = (self.records + records * passed).min((records * BURST_S).max(1.0));
        self.bytes = (self.bytes + bytes * passed).min(bytes * BURST_S);
        self.share += INCREASE_PER_S * passed;
    }

    fn rates(&self) -> (f64, f64) {
        (SHARD_RECORDS_PER_S * self.share, SHARD_BYTES_PER_S * self.share)
    }

    fn wait(&self, records: f64, bytes: f64) -> Duration {
        let (records_per_s, bytes_per_s) = self.rates();
        let seconds =
            ((records - self.records) / records_per_s).max((bytes - self.bytes) / bytes_per_s).max(0.0);
        Duration::from_secs_f64(seconds)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and sizes of what is in memory")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A shard as Kinesis runs it: a second's worth of records and bytes, refilled all the time.
    struct Shard {
        records: f64,
        bytes: f64,
        records_per_s: f64,
    }

    impl Shard {
        fn new(records_per_s: f64) -> Self {
            Self { records: records_per_s, bytes: 1e6, records_per_s }
        }

        fn pass(&mut self, time: Duration) {
            let seconds = time.as_secs_f64();
            self.records = (self.records + self.records_per_s * seconds).min(self.records_per_s);
            self.bytes = (self.bytes + 1e6 * seconds).min(1e6);
        }

        fn put(&mut self, bytes: f64) -> bool {
            let taken = self.records >= 1.0 && self.bytes >= bytes;
            if taken {
                self.records -= 1.0;
                self.bytes -= bytes;
            }
            taken
        }
    }

    /// Offers more than the shard takes for `seconds`; returns accepted and throttled records after the first 20 s.
    fn simulate(
        shard: &mut Shard,
        pace: &mut Pace,
        bytes: usize,
        seconds: u32,
        start: Instant,
    ) -> (u32, u32) {
        let (mut now, mut accepted, mut throttled) = (start, 0, 0);
        for step in 0..seconds * 1000 {
            now += MS;
            shard.pass(MS);
            for _ in 0..5 {
                if !pace.admit(bytes, now) {
                    break;
                }
                let taken = shard.put(float(bytes));
                if !taken {
                    pace.throttled(now);
                }
                if step > 20_000 {
                    accepted += u32::from(taken);
                    throttled += u32::from(!taken);
                }
            }
        }
        (accepted, throttled)
    }

    #[test]
    fn a_shard_that_never_throttles_is_never_held_back() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert!((0..100_000).all(|_| pace.admit(1000, now)));
        assert!(!pace.is_held());
    }

    #[test]
    fn an_overloaded_shard_is_kept_busy_and_hardly_throttles() {
        for (bytes, possible) in [(100, 1000.0), (10_000, 100.0)] {
            let (mut shard, mut pace) = (Shard::new(1000.0), Pace::default());
            let (accepted, throttled) = simulate(&mut shard, &mut pace, bytes, 80, Instant::now());
            let accepted = f64::from(accepted) / 60.0;
            assert!(accepted > 0.85 * possible, "{accepted} of {possible} records/s of {bytes} bytes");
            assert!(f64::from(throttled) / 60.0 < 0.02 * possible, "{throttled} throttled in 60 s");
        }
    }

    #[test]
    fn a_share_is_found_when_others_write_too() {
        let (mut shard, mut pace) = (Shard::new(200.0), Pace::default());
        let (accepted, throttled) = simulate(&mut shard, &mut pace, 100, 120, Instant::now());
        assert!(accepted > 100 * 160, "{accepted} in 100 s");
        assert!(throttled < 100 * 10, "{throttled} in 100 s");
    }

    #[test]
    fn calls_that_were_on_their_way_together_count_once() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert!(pace.throttled(now));
        assert!(!pace.throttled(now + 100 * MS));
        assert_eq!(pace.share(), Some(SHARE_FIRST));
        assert!(pace.throttled(now + 250 * MS));
        assert!(pace.share().unwrap() < 0.72);
        for step in 1..100 {
            pace.throttled(now + step * 250 * MS);
        }
        assert!(pace.share().unwrap() >= SHARE_MIN, "a shard is never given up");
    }

    #[test]
    fn after_long_silence_nothing_is_held_back_any_more() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.throttled(now);
        assert!(!pace.admit(1, now));
        assert!(pace.admit(1, now + Duration::from_secs(30)));
        assert!(!pace.is_held());
    }

    #[test]
    fn the_time_that_is_told_is_the_time_that_it_takes() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.throttled(now);
        let at = pace.ready_at(now);
        let before = at.checked_sub(Duration::from_micros(10)).unwrap();
        assert!(at > now && !pace.is_ready(before));
        assert!(pace.is_ready(at + Duration::from_micros(1)));
        // A record larger than the bucket passes, and those behind it pay.
        assert!(pace.admit(900_000, at + Duration::from_micros(1)));
        assert!(!pace.is_ready(at + 500 * MS));
        assert!(pace.wait(0, 100_000) > 400 * MS);
    }
}
