//! What an operator can say about a `kinesis` sink, and what of it can't work.

use std::time::Duration;

use super::limits::{CALL_BYTES_MAX, CALL_RECORDS_MAX, RECORD_BYTES_DEFAULT, RECORD_BYTES_MAX};
use crate::OpenError;
use crate::aws::Credentials;

/// How records without a key of their own find their shard. (Records with a key always go by its hash.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// A random partition key each: shards get records in proportion to their hash ranges.
    Random,
    /// An explicit hash key each, shard after shard in turn: every open shard gets as many as the next one, however
    /// uneven splits have made their ranges, and one that throttles is passed over.
    Even,
}

/// Compression of each record's value by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip (RFC 1952), level 0 to 9.
    Gzip {
        /// Level.
        level: u32,
    },
    /// One zstd frame (RFC 8878), level 1 to 19.
    Zstd {
        /// Level.
        level: i32,
    },
}

/// What `check` compares the stream's capacity with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Records in a second, all hosts together.
    pub records_per_s: f64,
    /// Bytes of one record, on average.
    pub record_bytes: f64,
}

/// Settings of a `kinesis` sink. [`Options::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of the stream, or its ARN.
    pub stream: String,
    /// AWS region; none: from the environment, as the SDK looks for it.
    pub region: Option<String>,
    /// URL of another endpoint than AWS's; none: `AWS_ENDPOINT_URL_KINESIS`, `AWS_ENDPOINT_URL`, or AWS's own.
    pub endpoint: Option<String>,
    /// None: the SDK's chain (environment, profile, container role, instance role).
    pub credentials: Option<Credentials>,
    /// How records without a key find their shard.
    pub spread: Spread,
    /// Pack many records into one of the KPL's aggregated records of at most this many bytes (1 KiB to
    /// `record_bytes_max`); none: one Kinesis record each. Consumers have to take them apart ([`crate::kpl`], or the
    /// KCL). Needs the right `kinesis:ListShards`.
    pub aggregate_bytes_max: Option<usize>,
    /// Compression of the values.
    pub compression: Compression,
    /// How long a record may wait for company while fewer than `calls_in_flight_max` calls are on their way. What is
    /// full goes at once.
    pub linger: Duration,
    /// Largest record, partition key and data together, in bytes; at most the stream's own maximum (1 MiB where nobody
    /// raised it), which is at most 10 MiB.
    pub record_bytes_max: usize,
    /// Records of one call, 1 to 500.
    pub call_records_max: usize,
    /// Data and keys of one call, in bytes before base64: at least `record_bytes_max`, at most 10 MiB.
    pub call_bytes_max: usize,
    /// Calls on their way at a time, 1 to 512, each on a connection of its own.
    pub calls_in_flight_max: usize,
    /// When a call without answer is given up.
    pub call_timeout: Duration,
    /// At most one call on its way per shard, so that the records of one key keep their order as long as none of them
    /// fails. What failed is tried again later and comes behind: see the module's description.
    pub ordered: bool,
    /// What the stream has to take, for `check`.
    pub expected: Option<Rate>,
}

impl Options {
    /// The defaults for a stream.
    #[must_use]
    pub fn new(stream: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            region: None,
            endpoint: None,
            credentials: None,
            spread: Spread::Random,
            aggregate_bytes_max: None,
            compression: Compression::None,
            linger: Duration::ZERO,
            record_bytes_max: RECORD_BYTES_DEFAULT,
            call_records_max: CALL_RECORDS_MAX,
            call_bytes_max: CALL_BYTES_MAX,
            calls_in_flight_max: 32,
            call_timeout: Duration::from_secs(5),
            ordered: false,
            expected: None,
        }
    }
}

/// Smallest limit that makes sense for a record or an aggregate.
const RECORD_BYTES_MIN: usize = 1024;

/// Everything about `options` that can't work.
pub(super) fn problems(options: &Options) -> Vec<OpenError> {
    let mut found = Vec::new();
    let mut refuse = |bad: bool, key: &str, value: String, problem: &str| {
        if bad {
            found.push(OpenError { key: key.to_owned(), value, problem: problem.to_owned() });
        }
    };
    let stream = &options.stream;
    let is_name = |name: &str| {
        (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let named =
        stream.starts_with("arn:") && stream.rsplit_once(":stream/").is_some_and(|(_, name)| is_name(name));
    refuse(
        !(named || is_name(stream)),
        "stream",
        stream.clone(),
        "a stream's name is 1 to 128 letters, digits, '_', '.', '-'; an ARN ends in :stream/<name>",
    );
    if let Some(endpoint) = &options.endpoint {
        let bad = !(endpoint.starts_with("http://") || endpoint.starts_with("https://"));
        refuse(bad, "endpoint", endpoint.clone(), "an endpoint is an http:// or https:// URL");
    }
    refuse(
        options.region.as_ref().is_some_and(String::is_empty),
        "region",
        String::new(),
        "leave it out to take it from the environment",
    );
    let record = options.record_bytes_max;
    refuse(
        !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&record),
        "record_bytes_max",
        record.to_string(),
        "Kinesis takes records of up to 10485760 bytes (and a stream whose own maximum nobody raised, 1048576); the \
         least here is 1024",
    );
    refuse(
        !(record..=CALL_BYTES_MAX.max(record)).contains(&options.call_bytes_max),
        "call_bytes_max",
        options.call_bytes_max.to_string(),
        "a call takes at most 10485760 bytes, and has to have room for the largest record",
    );
    refuse(
        !(1..=CALL_RECORDS_MAX).contains(&options.call_records_max),
        "call_records_max",
        options.call_records_max.to_string(),
        "PutRecords takes 1 to 500 records",
    );
    refuse(
        !(1..=512).contains(&options.calls_in_flight_max),
        "calls_in_flight_max",
        options.calls_in_flight_max.to_string(),
        "1 to 512 calls can be on their way, each on a connection of its own",
    );
    if let Some(bytes) = options.aggregate_bytes_max {
        refuse(
            !(RECORD_BYTES_MIN..=record).contains(&bytes),
            "aggregate_bytes_max",
            bytes.to_string(),
            "an aggregated record has at least 1024 bytes and at most record_bytes_max",
        );
    }
    let time = options.call_timeout;
    refuse(
        time < Duration::from_millis(100),
        "call_timeout_ms",
        time.as_millis().to_string(),
        "no call across a network is sure to be answered in less than 100 ms",
    );
    refuse(
        options.linger > Duration::from_secs(10),
        "call_linger_ms",
        options.linger.as_millis().to_string(),
        "requests wait while their records linger: 10000 at most",
    );
    let (bad, level) = match options.compression {
        Compression::None => (false, String::new()),
        Compression::Gzip { level } => (level > 9, level.to_string()),
        Compression::Zstd { level } => (!(1..=19).contains(&level), level.to_string()),
    };
    refuse(bad, "compression_level", level, "gzip has levels 0 to 9, zstd 1 to 19");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(options: &Options) -> Vec<String> {
        problems(options).into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_have_no_problem() {
        assert!(keys(&Options::new("clickstream")).is_empty());
        assert!(keys(&Options::new("arn:aws:kinesis:us-east-1:111122223333:stream/a.b-c_1")).is_empty());
    }

    #[test]
    fn every_limit_is_checked_and_named() {
        let good = Options::new("s");
        let bad = |change: fn(&mut Options), key: &str| {
            let mut options = good.clone();
            change(&mut options);
            assert_eq!(keys(&options), [key]);
        };
        bad(|options| options.stream.clear(), "stream");
        bad(|options| options.stream = "no spaces".to_owned(), "stream");
        bad(|options| options.stream = "arn:aws:kinesis:x:1:table/t".to_owned(), "stream");
        bad(|options| options.endpoint = Some("localhost:4567".to_owned()), "endpoint");
        bad(|options| options.region = Some(String::new()), "region");
        bad(|options| options.record_bytes_max = 10, "record_bytes_max");
        bad(|options| options.call_bytes_max = 1000, "call_bytes_max");
        bad(|options| options.call_bytes_max = 20 << 20, "call_bytes_max");
        bad(|options| options.call_records_max = 501, "call_records_max");
        bad(|options| options.calls_in_flight_max = 0, "calls_in_flight_max");
        bad(|options| options.aggregate_bytes_max = Some(2 << 20), "aggregate_bytes_max");
        bad(|options| options.call_timeout = Duration::ZERO, "call_timeout_ms");
        bad(|options| options.linger = Duration::from_mins(1), "call_linger_ms");
        bad(|options| options.compression = Compression::Gzip { level: 10 }, "compression_level");
        bad(|options| options.compression = Compression::Zstd { level: 0 }, "compression_level");
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut options = Options::new("s");
        options.credentials = Some(Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "hush".to_owned(),
            session_token: Some("quiet".to_owned()),
        });
        let printed = format!("{options:?}");
        assert!(printed.contains("AKID") && !printed.contains("hush") && !printed.contains("quiet"));
    }
}
