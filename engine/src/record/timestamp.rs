//! The times in a record and in an answer, as text.
//!
//! A shard formats a calendar date once a second; in between only the nanoseconds change, and they are digits.

use time::OffsetDateTime;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Length of `2024-01-18T07:33:09+00:00`.
pub const DATE_LEN: usize = 25;
/// Length of `2024-01-18T07:33:09.519475143Z`.
pub const TIMESTAMP_LEN: usize = 30;
/// Length of `Thu, 18 Jan 2024 07:33:09 GMT`.
pub const HTTP_DATE_LEN: usize = 29;
/// Length of `2024-01-18T07:33:09`, which both begin with.
const SECOND_LEN: usize = 19;

/// One point in time, ready to be written into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    timestamp: [u8; TIMESTAMP_LEN],
    unix_ms: u64,
}

impl Moment {
    /// RFC 3339, UTC, whole seconds, with a numeric offset: `2024-01-18T07:33:09+00:00`.
    #[must_use]
    pub fn date(&self) -> [u8; DATE_LEN] {
        let mut date = *b"0000-00-00T00:00:00+00:00";
        date[..SECOND_LEN].copy_from_slice(&self.timestamp[..SECOND_LEN]);
        date
    }

    /// RFC 3339, UTC, always nine digits behind the second: `2024-01-18T07:33:09.519475143Z`.
    #[must_use]
    pub fn timestamp(&self) -> &[u8; TIMESTAMP_LEN] {
        &self.timestamp
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.unix_ms
    }
}

/// Makes [`Moment`]s, and keeps the text of the current second. One per shard.
#[derive(Clone, Debug)]
pub struct Timestamps {
    unix_second: u64,
    /// The current second with nanoseconds of 0.
    timestamp: [u8; TIMESTAMP_LEN],
    http_date: [u8; HTTP_DATE_LEN],
}

impl Default for Timestamps {
    fn default() -> Self {
        Self::new()
    }
}

impl Timestamps {
    /// Knows no second but the epoch's yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            unix_second: 0,
            timestamp: *b"1970-01-01T00:00:00.000000000Z",
            http_date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }

    /// The moment `unix_nanos` nanoseconds after the Unix epoch. Time may go back and forth.
    pub fn at(&mut self, unix_nanos: u64) -> Moment {
        let nanos = self.turn_to(unix_nanos);
        let mut timestamp = self.timestamp;
        if let Some(place) = timestamp[SECOND_LEN + 1..].first_chunk_mut() {
            write_nine_digits(place, nanos);
        }
        Moment { timestamp, unix_ms: unix_nanos / NANOS_PER_MILLI }
    }

    /// IMF-fixdate (RFC 9110 section 5.6.7) for the `Date` header: `Thu, 18 Jan 2024 07:33:09 GMT`.
    pub fn http_date(&mut self, unix_nanos: u64) -> &[u8; HTTP_DATE_LEN] {
        self.turn_to(unix_nanos);
        &self.http_date
    }

    /// Makes the second of `unix_nanos` the current one; returns the nanoseconds within it.
    #[inline]
    fn turn_to(&mut self, unix_nanos: u64) -> u32 {
        let unix_second = unix_nanos / NANOS_PER_SECOND;
        if unix_second != self.unix_second {
            self.format(unix_second);
        }
        #[allow(clippy::cast_possible_truncation, reason = "below 10^9")]
        let nanos = (unix_nanos - unix_second * NANOS_PER_SECOND) as u32;
        nanos
    }

    #[cold]
    fn format(&mut self, unix_second: u64) {
        // A u64 of nanoseconds ends in the year 2554, inside what `time` takes.
        let Ok(calendar) = OffsetDateTime::from_unix_timestamp(unix_second.cast_signed()) else { return };
        let (year, month, day) = calendar.to_calendar_date();
        let (hour, minute, second) = calendar.to_hms();
        let clock = [hour, minute, second].map(two_digits);
        #[allow(clippy::cast_possible_truncation, reason = "four digits in two halves")]
        let [century, years] = [year / 100, year % 100].map(|half| two_digits(half.unsigned_abs() as u8));
        self.timestamp[..2].copy_from_slice(&century);
        self.timestamp[2..4].copy_from_slice(&years);
        self.timestamp[5..7].copy_from_slice(&two_digits(u8::from(month)));
        self.timestamp[8..10].copy_from_slice(&two_digits(day));
        self.http_date[..3].copy_from_slice(&calendar.weekday().to_string().as_bytes()[..3]);
        self.http_date[5..7].copy_from_slice(&two_digits(day));
        self.http_date[8..11].copy_from_slice(&month.to_string().as_bytes()[..3]);
        self.http_date[12..14].copy_from_slice(&century);
        self.http_date[14..16].copy_from_slice(&years);
        for (part, digits) in clock.iter().enumerate() {
            self.timestamp[11 + 3 * part..13 + 3 * part].copy_from_slice(digits);
            self.http_date[17 + 3 * part..19 + 3 * part].copy_from_slice(digits);
        }
        self.unix_second = unix_second;
    }
}

/// `07` for 7; `number` is below 100.
const fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// `number` is below 10^9.
fn write_nine_digits(place: &mut [u8; 9], number: u32) {
    #[allow(clippy::cast_possible_truncation, reason = "below 10, or below 100")]
    let (first, pair) = ((number / 100_000_000) as u8, |part: u32| TWO_DIGITS[(part % 100) as usize]);
    let pairs = [number / 1_000_000, number / 10_000, number / 100, number].map(pair);
    place[0] = b'0' + first;
    for (place, pair) in place[1..].as_chunks_mut().0.iter_mut().zip(pairs) {
        *place = pair;
    }
}

/// `00` to `99`.
static TWO_DIGITS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number as usize] = two_digits(number);
        number += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;
    use time::macros::format_description;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_shapes_of_the_contract() {
        let mut timestamps = Timestamps::new();
        let moment = timestamps.at(1_705_563_189_519_475_143);
        assert_eq!(text(&moment.date()), "2024-01-18T07:33:09+00:00");
        assert_eq!(text(moment.timestamp()), "2024-01-18T07:33:09.519475143Z");
        assert_eq!(moment.unix_ms(), 1_705_563_189_519);
        assert_eq!(text(timestamps.http_date(1_705_563_189_000_000_000)), "Thu, 18 Jan 2024 07:33:09 GMT");
    }

    #[test]
    fn the_first_and_the_last_moment() {
        let mut timestamps = Timestamps::new();
        assert_eq!(text(timestamps.at(0).timestamp()), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(timestamps.http_date(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(timestamps.at(u64::MAX).timestamp()), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(text(timestamps.http_date(0)), "Thu, 01 Jan 1970 00:00:00 GMT", "time may go back");
    }

    proptest! {
        #[test]
        fn any_moments_in_any_order(moments in proptest::collection::vec(any::<u64>(), 1..4), step in 0..3_000_000_000u64) {
            let http_date = format_description!(
                "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
            );
            let mut timestamps = Timestamps::new();
            for nanos in moments.into_iter().flat_map(|nanos| [nanos, nanos.saturating_add(step)]) {
                let expected = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).unwrap();
                let moment = timestamps.at(nanos);
                let second = expected.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap();
                let date = moment.date();
                prop_assert_eq!(text(&date), second.replace('Z', "+00:00"));
                let nine_digits = format!("{}.{:09}Z", second.trim_end_matches('Z'), nanos % 1_000_000_000);
                prop_assert_eq!(text(moment.timestamp()), nine_digits);
                prop_assert_eq!(moment.unix_ms(), nanos / 1_000_000);
                prop_assert_eq!(text(timestamps.http_date(nanos)), expected.format(http_date).unwrap());
            }
        }
    }
}
