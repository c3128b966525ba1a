//! `check --connect`: describes the stream and compares what it takes with what it will get. Writes nothing.

use std::time::Duration;

use super::client::{Description, describe};
use super::fault::Failure;
use super::limits::{SHARD_BYTES_PER_S, SHARD_RECORDS_PER_S};
use super::options::{Options, Rate};
use super::shard_map::{Shard, ShardMap};
use crate::{CheckReport, Fate, Fault, FaultKind, Retry, Whose};

/// Asks the service about the stream. Blocks for at most about twice `timeout`. Needs the rights
/// `kinesis:DescribeStreamSummary` and `kinesis:ListShards`.
///
/// # Errors
/// [`FaultKind::DestinationMissing`] when there is no such stream, [`FaultKind::Unauthenticated`] and
/// [`FaultKind::Unauthorized`] for credentials, [`FaultKind::Unreachable`] and [`FaultKind::TimedOut`] for the network,
/// [`FaultKind::Internal`] (whose: operator) when the options can't work; the log has the text.
pub fn check(options: &Options, timeout: Duration) -> CheckReport {
    let impossible = Fault::new(FaultKind::Internal, Whose::Operator, Retry::No, Fate::NotStored);
    if let Some(problem) = super::problems(options).into_iter().next() {
        tracing::error!("kinesis: {problem}");
        return Err(impossible);
    }
    let (description, shards) = describe(options, timeout).map_err(|failure| {
        tracing::error!("kinesis: stream {}: {}", options.stream, failure.text());
        failure.fault()
    })?;
    report(options, &description, &shards).map_err(|problem| {
        tracing::error!("kinesis: {problem}");
        impossible
    })
}

/// What to tell; the error says why this can't work.
fn report(
    options: &Options,
    found: &Description,
    shards: &Result<Vec<Shard>, Failure>,
) -> Result<Vec<String>, String> {
    let stream = &options.stream;
    if found.record_bytes_max < options.record_bytes_max {
        return Err(format!(
            "record_bytes_max = {}: stream {stream} takes records of at most {} bytes: lower the one, or raise the \
             other (UpdateMaxRecordSize)",
            options.record_bytes_max, found.record_bytes_max
        ));
    }
    if found.places_by_itself && options.aggregate_bytes_max.is_some() {
        return Err(format!(
            "aggregation: stream {stream} places records against their hash keys (distribution strategy AUTO), so that \
             the KCL would drop aggregated records: switch one of them off"
        ));
    }
    let mut lines = vec![
        format!(
            "stream {stream}: {}, {}, {} open shards, records of up to {} bytes kept for {} hours, encryption {}",
            found.status,
            if found.mode.is_empty() { "mode unknown" } else { &found.mode },
            found.open_shards,
            found.record_bytes_max,
            found.retention_hours,
            if found.encryption.is_empty() { "unknown" } else { &found.encryption },
        ),
        capacity_line(found),
    ];
    match shards {
        Ok(shards) => lines.extend(shards_line(options, shards)),
        Err(failure) => lines.push(format!(
            "the shards can't be listed ({}): no pacing per shard{}",
            failure.text(),
            if options.aggregate_bytes_max.is_some() { ", and no aggregation" } else { "" }
        )),
    }
    lines.extend(options.expected.map(|rate| expectation_line(options, found, rate)));
    Ok(lines)
}

fn capacity_line(found: &Description) -> String {
    let (records, bytes) = capacity(found);
    let grows = if found.mode == "ON_DEMAND" { "; on demand: AWS adds shards within minutes" } else { "" };
    format!("takes {records:.0} records/s and {:.1} MB/s with the shards it has now{grows}", bytes / 1e6)
}

fn capacity(found: &Description) -> (f64, f64) {
    #[allow(clippy::cast_precision_loss, reason = "a count of shards")]
    let shards = found.open_shards as f64;
    (shards * SHARD_RECORDS_PER_S, shards * SHARD_BYTES_PER_S)
}

/// A word on ranges that are so uneven that keys spread badly.
fn shards_line(options: &Options, shards: &[Shard]) -> Option<String> {
    if ShardMap::of(shards.to_vec(), &ShardMap::unknown()).is_err() {
        return Some("the shards are being split or merged right now".to_owned());
    }
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let width = |shard: &Shard| (shard.last - shard.first) as f64;
    let widest = shards.iter().map(width).fold(0.0, f64::max);
    let narrowest = shards.iter().map(width).fold(f64::MAX, f64::min);
    let uneven = widest > 1.5 * narrowest && options.spread == super::Spread::Random;
    uneven.then(|| {
        format!(
            "the widest shard gets {:.1} times as many records as the narrowest: spread = \"even\" evens that out for \
             records without a key",
            widest / narrowest
        )
    })
}

fn expectation_line(options: &Options, found: &Description, rate: Rate) -> String {
    let (records_max, bytes_max) = capacity(found);
    let bytes = rate.records_per_s * rate.record_bytes;
    // Aggregated, a Kinesis record holds as many of ours as fit.
    #[allow(clippy::cast_precision_loss, reason = "a size in memory")]
    let together = options
        .aggregate_bytes_max
        .map_or(1.0, |max| (max as f64 / rate.record_bytes.max(1.0)).floor().max(1.0));
    let records = rate.records_per_s / together;
    let needed = (records / SHARD_RECORDS_PER_S).max(bytes / SHARD_BYTES_PER_S).ceil();
    let enough = records <= records_max && bytes <= bytes_max;
    format!(
        "expected: {:.0} records/s of {:.0} bytes = {records:.0} Kinesis records/s, {:.1} MB/s, {needed:.0} shards: {}",
        rate.records_per_s,
        rate.record_bytes,
        bytes / 1e6,
        if enough { "enough" } else { "NOT ENOUGH: records will be throttled" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Description {
        Description {
            status: "ACTIVE".to_owned(),
            mode: "PROVISIONED".to_owned(),
            open_shards: 4,
            record_bytes_max: 1 << 20,
            retention_hours: 24,
            encryption: "NONE".to_owned(),
            places_by_itself: false,
        }
    }

    fn even() -> Vec<Shard> {
        let half = 1 << 127;
        vec![
            Shard { id: "a".into(), first: 0, last: half - 1 },
            Shard { id: "b".into(), first: half, last: u128::MAX },
        ]
    }

    #[test]
    fn the_stream_is_described_and_its_capacity_compared() {
        let mut options = Options::new("s");
        options.expected = Some(Rate { records_per_s: 3000.0, record_bytes: 1000.0 });
        let lines = report(&options, &found(), &Ok(even())).unwrap();
        assert_eq!(
            lines,
            [
                "stream s: ACTIVE, PROVISIONED, 4 open shards, records of up to 1048576 bytes kept for 24 hours, \
                 encryption NONE",
                "takes 4000 records/s and 4.0 MB/s with the shards it has now",
                "expected: 3000 records/s of 1000 bytes = 3000 Kinesis records/s, 3.0 MB/s, 3 shards: enough",
            ]
        );
        options.expected = Some(Rate { records_per_s: 8000.0, record_bytes: 100.0 });
        assert!(
            report(&options, &found(), &Ok(even())).unwrap()[2]
                .ends_with("8 shards: NOT ENOUGH: records will be throttled")
        );
        options.aggregate_bytes_max = Some(50_000);
        assert!(report(&options, &found(), &Ok(even())).unwrap()[2].contains("= 16 Kinesis records/s"));
    }

    #[test]
    fn what_can_not_work_together_is_refused() {
        let mut options = Options::new("s");
        options.record_bytes_max = 2 << 20;
        assert!(report(&options, &found(), &Ok(even())).unwrap_err().contains("UpdateMaxRecordSize"));
        let mut options = Options::new("s");
        options.aggregate_bytes_max = Some(50_000);
        let auto = Description { places_by_itself: true, ..found() };
        assert!(report(&options, &auto, &Ok(even())).unwrap_err().contains("AUTO"));
    }

    #[test]
    fn what_is_missing_or_uneven_is_said() {
        let mut options = Options::new("s");
        options.aggregate_bytes_max = Some(50_000);
        let denied = Failure::Service {
            status: 400,
            code: "AccessDeniedException".to_owned(),
            message: String::new(),
        };
        let lines = report(&options, &found(), &Err(denied)).unwrap();
        assert!(lines[2].contains("no pacing per shard, and no aggregation"), "{lines:?}");
        let mut uneven = even();
        (uneven[0].last, uneven[1].first) = (1 << 126, (1 << 126) + 1);
        let lines = report(&options, &found(), &Ok(uneven)).unwrap();
        assert!(lines[2].contains("3.0 times"), "{lines:?}");
        assert!(report(&options, &found(), &Ok(vec![])).unwrap()[2].contains("split or merged"));
    }
}
