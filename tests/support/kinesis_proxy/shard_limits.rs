//! What the real service allows each shard: records and bytes a second, in buckets of a second's worth.
//!
//! Pure: the time is a parameter.

use std::collections::HashMap;
use std::time::Instant;

/// What each shard takes in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShardLimits {
    /// Records.
    pub records_per_s: f64,
    /// Partition keys and data.
    pub bytes_per_s: f64,
}

impl ShardLimits {
    /// As documented: 1,000 records and 1 MiB.
    pub const REAL: Self = Self { records_per_s: 1000.0, bytes_per_s: 1_048_576.0 };
    /// None.
    pub const NONE: Self = Self { records_per_s: f64::INFINITY, bytes_per_s: f64::INFINITY };
}

/// The shards' buckets.
#[derive(Debug, Default)]
pub struct Buckets {
    shards: HashMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    records: f64,
    bytes: f64,
    filled_at: Instant,
}

impl Buckets {
    /// Whether `shard` takes one more record of `bytes` now.
    pub fn take(&mut self, shard: &str, bytes: usize, limits: ShardLimits, now: Instant) -> bool {
        if limits == ShardLimits::NONE {
            return true;
        }
        let full = || Bucket { records: limits.records_per_s, bytes: limits.bytes_per_s, filled_at: now };
        let bucket = self.shards.entry(shard.to_owned()).or_insert_with(full);
        let seconds = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.filled_at = now;
        bucket.records = (bucket.records + limits.records_per_s * seconds).min(limits.records_per_s);
        bucket.bytes = (bucket.bytes + limits.bytes_per_s * seconds).min(limits.bytes_per_s);
        #[allow(clippy::cast_precision_loss, reason = "a record's size")]
        let bytes = bytes as f64;
        let taken = bucket.records >= 1.0 && bucket.bytes >= bytes;
        if taken {
            bucket.records -= 1.0;
            bucket.bytes -= bytes;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_shard_takes_its_rate_and_each_has_its_own() {
        let limits = ShardLimits { records_per_s: 10.0, bytes_per_s: 1000.0 };
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let count = |buckets: &mut Buckets, shard: &str, bytes, now| {
            (0..100).filter(|_| buckets.take(shard, bytes, limits, now)).count()
        };
        assert_eq!(count(&mut buckets, "a", 1, now), 10);
        assert_eq!(count(&mut buckets, "b", 400, now), 2, "bytes count too");
        assert_eq!(count(&mut buckets, "a", 1, now + Duration::from_millis(500)), 5);
        assert!((0..10_000).all(|_| buckets.take("a", 1 << 20, ShardLimits::NONE, now)));
    }
}
