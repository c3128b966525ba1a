//! Names of objects: those that the S3 sink gives, and the same ones whenever a batch is given again.
//!
//! ```text
//!  <prefix>year=2026/month=11/day=23/hour=09/1795424461-<uuid v5 of stream, shard, first and last sequence number>.log.gz
//!           └ when its last record arrived ┘ └ same ──┘
//! ```
//!
//! The time at which the batch is written is another one at the next try, so it is not in the name, with one exception:
//! the ETL looks for objects by the day on which they were written, in the folder of that day, and would never see one that
//! was put into yesterday's. So what is written on a later day than it arrived goes to that day's first hour, unless
//! an earlier try has put it where it belonged: [`Place::earlier`] says where to look.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use uuid::Uuid;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// A batch that failed is tried again for this long at least without a chance of a double, however old its records are;
/// each day costs a look.
const DAYS_MAX: u64 = 7;

/// Ours among all uuids.
const SPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7275_6e00_8000_6b69_6e32_7333);

/// Where an object goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key.
    pub key: String,
    /// Where an earlier try may have put it on an earlier day, the latest first.
    pub earlier: Vec<String>,
}

/// The id of the records from `first` to `last` of a shard.
#[must_use]
pub fn id_of(stream: &str, shard: &str, first: &str, last: &str) -> Uuid {
    Uuid::new_v5(&SPACE, format!("{stream} {shard} {first}-{last}").as_bytes())
}

/// Where the object of a batch goes whose last record arrived at `arrived_at`, when it is written at `now_utc`.
#[must_use]
pub fn place(prefix: &str, arrived_at: SystemTime, now_utc: SystemTime, id: Uuid) -> Place {
    let (arrived_s, now_s) = (epoch_s(arrived_at), epoch_s(now_utc));
    let key = |hour_s: u64| format!("{prefix}{}/{arrived_s}-{id}.log.gz", hour(hour_s));
    let (arrived_day, today) = (arrived_s / DAY_S, now_s / DAY_S);
    if today <= arrived_day {
        return Place { key: key(arrived_s), earlier: Vec::new() };
    }
    let since = (arrived_day + 1).max(today.saturating_sub(DAYS_MAX));
    let later = (since..today).rev().map(|day| key(day * DAY_S));
    Place { key: key(today * DAY_S), earlier: later.chain([key(arrived_s)]).collect() }
}

fn epoch_s(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn hour(epoch_s: u64) -> String {
    let seconds = i64::try_from(epoch_s).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day, hour) = (time.year(), u8::from(time.month()), time.day(), time.hour());
    format!("year={year:04}/month={month:02}/day={day:02}/hour={hour:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(0x0b2e_0000_0000_5000_8000_0000_0000_0001);
    const NAME: &str = "1795424461-0b2e0000-0000-5000-8000-000000000001.log.gz";

    fn at(epoch_s: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(epoch_s)
    }

    #[test]
    fn on_the_day_of_its_arrival_the_hour_of_its_arrival_whenever_it_is_written() {
        let arrived = at(1_795_424_461);
        for now in [1_795_424_400, 1_795_424_461, 1_795_424_461 + 5 * 3600] {
            let found = place("clickstream/app/data/", arrived, at(now), ID);
            let key = format!("clickstream/app/data/year=2026/month=11/day=23/hour=09/{NAME}");
            assert_eq!(found, Place { key, earlier: vec![] });
        }
    }

    #[test]
    fn on_a_later_day_that_days_first_hour_and_all_where_it_could_be() {
        let arrived = at(1_795_424_461);
        let found = place("", arrived, at(1_795_424_461 + 2 * DAY_S), ID);
        assert_eq!(found.key, format!("year=2026/month=11/day=25/hour=00/{NAME}"));
        let earlier = ["year=2026/month=11/day=24/hour=00/", "year=2026/month=11/day=23/hour=09/"];
        assert_eq!(found.earlier, earlier.map(|hour| format!("{hour}{NAME}")));
        // At any hour of that day the same.
        assert_eq!(place("", arrived, at(1_795_424_461 + 2 * DAY_S + 3 * 3600), ID), found);
        // A time that makes no sense does not make a list without end.
        assert!(place("", at(0), at(1_795_424_461), ID).earlier.len() == 8);
    }

    #[test]
    fn one_range_has_one_id() {
        let id = id_of("arn:s", "shardId-000000000000", "1", "5");
        assert_eq!(id, id_of("arn:s", "shardId-000000000000", "1", "5"));
        assert_eq!(id.get_version_num(), 5);
        for other in [
            id_of("arn:t", "shardId-000000000000", "1", "5"),
            id_of("arn:s", "shardId-000000000001", "1", "5"),
            id_of("arn:s", "shardId-000000000000", "2", "5"),
            id_of("arn:s", "shardId-000000000000", "1", "6"),
        ] {
            assert_ne!(id, other);
        }
    }
}
