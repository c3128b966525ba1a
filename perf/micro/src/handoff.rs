//! Record to batch, and a batch's way home.

use std::hint::black_box;
use std::time::{Duration, Instant};

use millrun::batch::{Feed, FeedLimits};
use millrun::handoff::{ReturnRing, Returned, Sealed};
use millrun::observe::SealReason;
use millrun::record::{Moment, RequestId, RequestIds, Timestamps};
use millrun_sinks::{Batch, Delivery, Origin};

use crate::core::with_record;
use crate::input;

/// Records of one [`Append::run`].
pub const RECORDS: usize = 64;

/// Encodes 64 records of 1 KB into a batch, seals it and takes it back as delivered.
#[derive(Debug)]
pub struct Append {
    feed: Feed<u32>,
    now: Instant,
    uri: String,
    body: Vec<u8>,
    rid: RequestId,
    moment: Moment,
    sealed: Option<Sealed>,
}

impl Append {
    /// A feed with four batches.
    #[must_use]
    pub fn new() -> Self {
        let limits = FeedLimits {
            shard: 0,
            arena_bytes: 1024 * 1024,
            records_max: 1000,
            count: 4,
            large_count: 0,
            record_bytes_max: 512 * 1024,
            linger: Duration::from_millis(5),
            deadline: Duration::from_secs(5),
            gathers: true,
        };
        let now = Instant::now();
        Self {
            feed: Feed::new(limits, now),
            now,
            uri: format!("/collect?{}", input::QUERY),
            body: input::json(1024),
            rid: RequestIds::from_seeds(1, 2).next_id(),
            moment: Timestamps::new().at(1_795_411_980_908_000_000),
            sealed: None,
        }
    }

    /// Returns the number of records whose waiters were told.
    ///
    /// # Panics
    /// When a record is refused.
    pub fn run(&mut self) -> usize {
        let Self { feed, now, uri, body, rid, moment, sealed } = self;
        for waiter in (0..).take(RECORDS) {
            with_record(uri, body, rid, moment, |record| {
                let len = feed.append(record, Some(waiter), *now, &mut |_, _| panic!("the batch has room"));
                black_box(len.expect("a free batch"));
            });
        }
        feed.seal(*now, SealReason::Idle, &mut |batch, _| *sealed = Some(batch));
        let batch = sealed.take().expect("sealed").batch;
        let mut told = 0;
        let home = Returned { lane: 0, batch, delivery: Delivery::All };
        black_box(feed.returned(home, &mut |waiter, outcome| {
            black_box(waiter);
            told += usize::from(outcome.is_ok());
        }));
        told
    }
}

impl Default for Append {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts a batch on the way to its shard and takes it off again, without the wake-up, which is a system call.
#[derive(Debug)]
pub struct Ring {
    ring: ReturnRing,
    /// Always there between runs.
    batch: Option<Batch>,
}

impl Ring {
    /// A ring for 64 batches.
    ///
    /// # Panics
    /// When the kernel gives no socket pair.
    #[must_use]
    pub fn new() -> Self {
        let (ring, _shard_end) = ReturnRing::new(64).expect("a socket pair");
        Self { ring, batch: Some(Batch::new(Origin { shard: 0, slot: 7 }, 4096, 16)) }
    }

    /// Returns the batch's slot.
    ///
    /// # Panics
    /// When the ring loses the batch.
    pub fn run(&mut self) -> usize {
        let batch = self.batch.take().expect("put back by the last run");
        self.ring.push(black_box(Returned { lane: 0, batch, delivery: Delivery::All }));
        let returned = self.ring.pop().expect("just pushed");
        let slot = usize::from(returned.batch.origin().slot);
        self.batch = Some(returned.batch);
        slot
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_what_it_says_again_and_again() {
        let (mut append, mut ring) = (Append::new(), Ring::new());
        for _ in 0..10 {
            assert_eq!(append.run(), RECORDS);
            assert_eq!(ring.run(), 7);
        }
    }
}
