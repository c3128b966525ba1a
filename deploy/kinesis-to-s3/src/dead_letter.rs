//! What could not be read, kept with the reason: a line of JSON each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::content::Poison;
use crate::event::EventRecord;

/// A line of a dead letter object.
#[derive(Debug, Serialize)]
struct Line<'a> {
    reason: String,
    stream: &'a str,
    shard: &'a str,
    sequence_number: &'a str,
    /// Its number in an aggregated record.
    part: Option<usize>,
    partition_key: &'a str,
    /// Seconds since 1970.
    arrived_at: f64,
    /// All that it held, in base64; of a record that is no base64, the text.
    data: &'a str,
}

/// The line of a record that makes no sense as a whole.
#[must_use]
pub fn of_record(record: &EventRecord, reason: &Poison) -> Vec<u8> {
    write(record, reason, None, &record.kinesis.partition_key, &record.kinesis.data)
}

/// The line of a part of an aggregated record, or of the one event in a record.
#[must_use]
pub fn of_part(
    record: &EventRecord,
    reason: &Poison,
    part: Option<usize>,
    partition_key: Option<&str>,
    data: &[u8],
) -> Vec<u8> {
    let key = partition_key.unwrap_or(&record.kinesis.partition_key);
    write(record, reason, part, key, &STANDARD.encode(data))
}

fn write(
    record: &EventRecord,
    reason: &Poison,
    part: Option<usize>,
    partition_key: &str,
    data: &str,
) -> Vec<u8> {
    let line = Line {
        reason: reason.to_string(),
        stream: &record.source_arn,
        shard: record.shard(),
        sequence_number: &record.kinesis.sequence_number,
        part,
        partition_key,
        arrived_at: record.kinesis.approximate_arrival_timestamp,
        data,
    };
    // Plain fields, and a number that is written as null where JSON has none for it.
    serde_json::to_vec(&line).unwrap_or_default()
}
