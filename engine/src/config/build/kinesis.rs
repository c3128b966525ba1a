//! `[sink.<name>]` of kind kinesis.

use std::time::Duration;

use millrun_sinks::kinesis::{Compression, Options, Rate, Spread};

use super::aws::credentials;
use crate::config::reader::{Reader, Section};
use crate::config::settings::{Ack, RecordKey};

/// What Kinesis' partition key is made of.
pub(super) const PARTITION_KEYS: [(&str, RecordKey); 4] = [
    ("random", RecordKey::None),
    ("app_id", RecordKey::AppId),
    ("ip", RecordKey::Ip),
    ("rid", RecordKey::Rid),
];

/// Shortest time that a call is given: the sink refuses less.
const CALL_TIMEOUT_MIN: Duration = Duration::from_millis(100);

pub(super) fn options(reader: &mut Reader, section: &Section, ack: &Ack) -> Options {
    let spreads = [("random", Spread::Random), ("even", Spread::Even)];
    let deadline_ms = u64::try_from(ack.deadline.as_millis()).unwrap_or(u64::MAX);
    let half = (ack.deadline / 2).max(CALL_TIMEOUT_MIN);
    let aggregate_bytes_max = reader.size(section, "aggregate_bytes_max", 0..=10 << 20);
    Options {
        stream: reader.text(section, "stream", "the stream's name or ARN"),
        region: reader.optional_text(section, "region"),
        endpoint: reader.optional_text(section, "endpoint"),
        credentials: credentials(reader, &section.inner("credentials")),
        spread: reader.choice(section, "spread", &spreads),
        aggregate_bytes_max: (aggregate_bytes_max > 0).then_some(aggregate_bytes_max),
        compression: compression(reader, section),
        linger: call_linger(reader, section, ack),
        record_bytes_max: reader.size(section, "record_bytes_max", 1024..=10 << 20),
        call_records_max: reader.size(section, "call_records_max", 1..=500),
        call_bytes_max: reader.size(section, "call_bytes_max", 1024..=10 << 20),
        calls_in_flight_max: reader.size(section, "calls_in_flight_max", 1..=512),
        call_timeout: reader
            .auto_integer(section, "call_timeout_ms", 100..=deadline_ms)
            .map_or(half, Duration::from_millis),
        ordered: reader.boolean(section, "ordered"),
        expected: expected(reader, section),
    }
}

fn call_linger(reader: &mut Reader, section: &Section, ack: &Ack) -> Duration {
    let linger = reader.ms(section, "call_linger_ms", 0..=10_000);
    if linger >= ack.deadline {
        let problem = format!(
            "must be below ack.deadline_ms = {}: requests would be answered 503 before their records are sent",
            ack.deadline.as_millis()
        );
        reader.fail(section, "call_linger_ms", problem);
    }
    linger
}

fn compression(reader: &mut Reader, section: &Section) -> Compression {
    let level = reader.auto_integer(section, "compression_level", 0..=19);
    let choice = reader.choice(section, "compression", &[("none", 'n'), ("gzip", 'g'), ("zstd", 'z')]);
    match choice {
        'g' => Compression::Gzip { level: level.and_then(|level| u32::try_from(level).ok()).unwrap_or(6) },
        'z' => Compression::Zstd { level: level.and_then(|level| i32::try_from(level).ok()).unwrap_or(3) },
        _ => {
            if level.is_some() {
                reader.fail(section, "compression_level", "has no effect without compression");
            }
            Compression::None
        }
    }
}

/// What `check` compares the stream's capacity with: both of its halves, or none.
fn expected(reader: &mut Reader, section: &Section) -> Option<Rate> {
    let mut number = |key: &str| {
        reader.leaf(section, key)?;
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        Some(reader.integer(section, key, 1..=1_000_000_000_000) as f64)
    };
    match (number("expected_records_per_s"), number("expected_record_bytes")) {
        (Some(records_per_s), Some(record_bytes)) => Some(Rate { records_per_s, record_bytes }),
        (None, None) => None,
        (given, _) => {
            let absent = if given.is_some() { "expected_record_bytes" } else { "expected_records_per_s" };
            let problem = "is missing: expected_records_per_s and expected_record_bytes go together";
            reader.fail(section, absent, problem);
            None
        }
    }
}
