//! Where objects lie: the names that the ETL of Clickstream Analytics on AWS reads.
//!
//! ```text
//!  <prefix>year=2026/month=11/day=23/hour=09/1795424461-0b2e….log.gz
//!           └──────── the UTC hour ────────┘ └ epoch ─┘ └uuid┘
//! ```
//!
//! The hour is the one in which the object is committed, not the one of its events: a job that reads an hour after its
//! end finds everything that was ever put there.

use std::fmt;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::Compression;

/// A UTC hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Hour(u64);

const HOUR_S: u64 = 3600;

impl Hour {
    /// The hour that `time` is in; the first of all for times before 1970.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        Self(epoch_s(time) / HOUR_S)
    }

    /// When it is over.
    #[must_use]
    pub fn end(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((self.0 + 1) * HOUR_S)
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0 * HOUR_S)
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Its number, counted from 1970: what [`Hour::from_number`] takes.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The hour with this number, counted from 1970; none after the year 9999.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        const YEAR_10000_S: u64 = 253_402_300_800;
        (number < YEAR_10000_S / HOUR_S).then_some(Self(number))
    }
}

/// As it stands in a key: `year=2026/month=11/day=23/hour=09`.
impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0 * HOUR_S).unwrap_or(i64::MAX);
        let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day, hour) = (time.year(), u8::from(time.month()), time.day(), time.hour());
        write!(f, "year={year:04}/month={month:02}/day={day:02}/hour={hour:02}")
    }
}

/// Seconds since 1970.
#[must_use]
pub fn epoch_s(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The end of an object's name.
#[must_use]
pub fn suffix(compression: Compression) -> &'static str {
    match compression {
        Compression::None => ".log",
        Compression::Gzip { .. } => ".log.gz",
        Compression::Zstd { .. } => ".log.zst",
    }
}

/// Key of an object that is committed in `hour`.
#[must_use]
pub fn object_key(
    prefix: &str,
    hour: Hour,
    epoch_s: u64,
    id: uuid::Uuid,
    compression: Compression,
) -> String {
    format!("{prefix}{hour}/{epoch_s}-{id}{}", suffix(compression))
}

/// Key of a writer's account of an hour.
#[must_use]
pub fn manifest_key(prefix: &str, hour: Hour, writer: uuid::Uuid) -> String {
    format!("{prefix}{hour}/{writer}.json")
}

/// The id of what stands for `range` in `space`: the same for the same, so that writing it again overwrites it.
#[must_use]
pub fn id_of(space: uuid::Uuid, range: &str) -> uuid::Uuid {
    uuid::Uuid::new_v5(&space, range.as_bytes())
}

/// An id that nothing else has.
#[must_use]
pub fn random_id() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_le_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_the_etl_reads() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_424_461);
        let hour = Hour::of(at);
        let id = uuid::Uuid::from_u128(0x0b2e_0000_0000_4000_8000_0000_0000_0001);
        assert_eq!(
            object_key("clickstream/app/data/", hour, epoch_s(at), id, Compression::Gzip { level: 1 }),
            "clickstream/app/data/year=2026/month=11/day=23/hour=09/1795424461-0b2e0000-0000-4000-8000-000000000001.log.gz"
        );
        assert_eq!(
            manifest_key("m/", hour, id),
            "m/year=2026/month=11/day=23/hour=09/0b2e0000-0000-4000-8000-000000000001.json"
        );
        assert_eq!(suffix(Compression::None), ".log");
        assert_eq!(suffix(Compression::Zstd { level: 1 }), ".log.zst");
    }

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        let hour = Hour::of(SystemTime::UNIX_EPOCH + Duration::from_secs(3599));
        assert_eq!(Hour::of(hour.end()), hour.next());
        assert_eq!(hour.next().start(), hour.end());
        assert_eq!(Hour::from_number(hour.number()), Some(hour));
        assert_eq!(Hour::from_number(u64::MAX), None);
        // A day that does not exist in most years.
        let leap = Hour::of(SystemTime::UNIX_EPOCH + Duration::from_hours(474_768));
        assert_eq!(leap.to_string(), "year=2024/month=02/day=29/hour=00");
    }

    #[test]
    fn the_same_range_has_the_same_id_and_another_has_another() {
        let space = random_id();
        assert_eq!(id_of(space, "0:1-5"), id_of(space, "0:1-5"));
        assert_ne!(id_of(space, "0:1-5"), id_of(space, "0:1-6"));
        assert_ne!(id_of(space, "0:1-5"), id_of(random_id(), "0:1-5"));
        assert_eq!(random_id().get_version_num(), 4);
    }
}
