//! What an operator can say about an `s3` sink, and what of it can't work.

use std::time::Duration;

use super::limits::{KEY_BYTES_MAX, KEY_TAIL_BYTES, PART_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX};
use crate::OpenError;
use crate::aws::Credentials;

/// Compression of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// NDJSON as it is.
    None,
    /// One gzip member (RFC 1952), level 1 to 9.
    Gzip {
        /// Level.
        level: u32,
    },
    /// One zstd frame (RFC 8878), level 1 to 12.
    Zstd {
        /// Level.
        level: i32,
    },
}

/// The checksum that S3 compares each request with and keeps with the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32C; of the whole object, also where it was stored in parts.
    Crc32c,
    /// SHA-256; of an object stored in parts, that of the parts' checksums.
    Sha256,
}

/// Server-side encryption that is asked for with each object; without one the bucket's own default applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3 (`AES256`).
    S3,
    /// SSE-KMS (`aws:kms`), or with two layers of it (`aws:kms:dsse`).
    Kms {
        /// Id or ARN of the key; none: the account's `aws/s3`.
        key: Option<String>,
        /// Two layers.
        dual: bool,
        /// The bucket's own data key, which saves calls to KMS.
        bucket_key: bool,
    },
}

/// Settings of an `s3` sink. [`Options::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The bucket's name.
    pub bucket: String,
    /// Comes in front of every key: `clickstream/app/data/`, or empty.
    pub prefix: String,
    /// AWS region; none: from the environment, as the SDK looks for it.
    pub region: Option<String>,
    /// URL of another endpoint than AWS's; none: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS's own.
    pub endpoint: Option<String>,
    /// The bucket in the path of URLs instead of the host's name, as most other servers than AWS's want it.
    pub path_style: bool,
    /// None: the SDK's chain (environment, profile, container role, instance role).
    pub credentials: Option<Credentials>,
    /// Account that must own the bucket, else S3 refuses every request.
    pub bucket_owner: Option<String>,
    /// Compression.
    pub compression: Compression,
    /// Size, as stored, at which an object is closed. It may be passed by one batch and what the compressor holds back.
    pub object_bytes_max: u64,
    /// Age, counted from its first record, at which an object that comes from a journal is closed.
    pub object_age_max: Duration,
    /// The same for objects that requests wait for.
    pub object_linger: Duration,
    /// Size of a part. An object that is no larger is stored by one `PutObject`, others in parts as they grow.
    pub part_bytes: usize,
    /// Parts of an object on their way at a time, 1 to 64.
    pub parts_in_flight_max: usize,
    /// When a request without answer is given up.
    pub call_timeout: Duration,
    /// Checksum.
    pub checksum: Checksum,
    /// Server-side encryption.
    pub encryption: Option<Encryption>,
    /// `STANDARD_IA`, `INTELLIGENT_TIERING` and the like; none: the bucket's default.
    pub storage_class: Option<String>,
    /// Comes in front of the key of every account of an hour (see `manifest`); none: none are written.
    pub manifest_prefix: Option<String>,
    /// Batches that may wait for their objects, where requests wait for them.
    pub batches_in_flight_max: usize,
}

impl Options {
    /// The defaults for a bucket.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            path_style: false,
            credentials: None,
            bucket_owner: None,
            compression: Compression::Gzip { level: 1 },
            object_bytes_max: 30_000_000,
            object_age_max: Duration::from_mins(5),
            object_linger: Duration::from_millis(200),
            part_bytes: 8 << 20,
            parts_in_flight_max: 4,
            call_timeout: Duration::from_secs(30),
            checksum: Checksum::Crc32c,
            encryption: None,
            storage_class: None,
            manifest_prefix: None,
            batches_in_flight_max: 16,
        }
    }

    /// Most bytes that one object on its way holds in memory: parts that are not stored yet, the one that is being
    /// filled, and the compressor.
    #[must_use]
    pub fn object_memory_bytes(&self) -> usize {
        let encoder = super::Encoder::memory_bytes(self.compression, self.part_bytes);
        encoder + self.parts_in_flight_max * (encoder.min(self.part_bytes + (256 << 10)))
    }
}

const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

/// Everything about `options` that can't work.
pub(super) fn problems(options: &Options) -> Vec<OpenError> {
    let mut found = Vec::new();
    let mut refuse = |bad: bool, key: &str, value: String, problem: &str| {
        if bad {
            found.push(OpenError { key: key.to_owned(), value, problem: problem.to_owned() });
        }
    };
    refuse(
        !is_bucket(&options.bucket),
        "bucket",
        options.bucket.clone(),
        "a bucket's name is 3 to 63 small letters, digits, '.' and '-', with a letter or digit at both ends",
    );
    if let Some(problem) = prefix_problem(&options.prefix) {
        refuse(true, "prefix", options.prefix.clone(), problem);
    }
    if let Some(prefix) = &options.manifest_prefix {
        let inside = prefix.starts_with(&options.prefix) && !options.prefix.is_empty() || prefix.is_empty();
        refuse(
            inside,
            "manifest_prefix",
            prefix.clone(),
            "must lie outside of the prefix of the data, or the ETL would read accounts as events: \
             \"clickstream/app/_manifest/\", say",
        );
        if let Some(problem) = prefix_problem(prefix) {
            refuse(true, "manifest_prefix", prefix.clone(), problem);
        }
    }
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
    if let Some(owner) = &options.bucket_owner {
        let bad = owner.len() != 12 || !owner.bytes().all(|byte| byte.is_ascii_digit());
        refuse(bad, "bucket_owner", owner.clone(), "an AWS account is 12 digits");
    }
    let (bad, level) = match options.compression {
        Compression::None => (false, String::new()),
        Compression::Gzip { level } => (!(1..=9).contains(&level), level.to_string()),
        Compression::Zstd { level } => (!(1..=12).contains(&level), level.to_string()),
    };
    refuse(bad, "compression_level", level, "gzip has levels 1 to 9, zstd 1 to 12");
    sizes(options, &mut refuse);
    if let Some(class) = &options.storage_class {
        let known = format!("there are: {}", STORAGE_CLASSES.join(", "));
        refuse(!STORAGE_CLASSES.contains(&class.as_str()), "storage_class", class.clone(), &known);
    }
    found
}

fn sizes(options: &Options, refuse: &mut impl FnMut(bool, &str, String, &str)) {
    refuse(
        !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&options.part_bytes),
        "part_bytes",
        options.part_bytes.to_string(),
        "S3 takes parts of 5242880 bytes and more; 268435456 is the most here, since a part is kept in memory until it \
         is stored",
    );
    let most = options.part_bytes.saturating_mul(PARTS_MAX) as u64;
    refuse(
        !(1000..=most).contains(&options.object_bytes_max),
        "object_bytes_max",
        options.object_bytes_max.to_string(),
        "at least 1000, at most 10000 parts of part_bytes",
    );
    let age = options.object_age_max;
    refuse(
        !(Duration::from_millis(100)..=Duration::from_hours(1)).contains(&age),
        "object_age_max_ms",
        age.as_millis().to_string(),
        "100 to 3600000: an object ends with its hour",
    );
    let linger = options.object_linger;
    refuse(
        linger > Duration::from_secs(30),
        "object_linger_ms",
        linger.as_millis().to_string(),
        "requests wait while their records linger: 30000 at most",
    );
    refuse(
        !(1..=64).contains(&options.parts_in_flight_max),
        "parts_in_flight_max",
        options.parts_in_flight_max.to_string(),
        "1 to 64 parts can be on their way, each on a connection of its own",
    );
    let time = options.call_timeout;
    refuse(
        !(Duration::from_millis(100)..=Duration::from_mins(10)).contains(&time),
        "call_timeout_ms",
        time.as_millis().to_string(),
        "100 to 600000",
    );
}

/// "General purpose buckets naming rules", but for the reserved words.
fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'.' || byte == b'-')
        && name.bytes().next().is_some_and(plain)
        && name.bytes().next_back().is_some_and(plain)
        && !name.contains("..")
}

/// The pattern of the system that this one replaces: empty, or no slash in front and one at the end.
fn prefix_problem(prefix: &str) -> Option<&'static str> {
    if prefix.is_empty() {
        return None;
    }
    if prefix.starts_with('/') || !prefix.ends_with('/') {
        return Some("must not begin with a slash and has to end with one: \"clickstream/app/data/\"");
    }
    if prefix.len() > KEY_BYTES_MAX - KEY_TAIL_BYTES {
        return Some("is too long: a key has at most 1024 bytes, 128 of them behind the prefix");
    }
    prefix.bytes().any(|byte| byte.is_ascii_control()).then_some("has a control character in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(options: &Options) -> Vec<String> {
        problems(options).into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_have_no_problem() {
        let mut options = Options::new("clickstream-data.example");
        assert!(keys(&options).is_empty());
        options.prefix = "clickstream/app/data/buffer/".to_owned();
        options.manifest_prefix = Some("clickstream/app/_manifest/".to_owned());
        options.storage_class = Some("STANDARD_IA".to_owned());
        options.bucket_owner = Some("111122223333".to_owned());
        assert!(keys(&options).is_empty());
    }

    #[test]
    fn every_limit_is_checked_and_named() {
        let bad = |change: fn(&mut Options), key: &str| {
            let mut options = Options::new("bucket");
            options.prefix = "data/".to_owned();
            change(&mut options);
            assert_eq!(keys(&options), [key]);
        };
        bad(|options| options.bucket = "B".to_owned(), "bucket");
        bad(|options| options.bucket = "a..b".to_owned(), "bucket");
        bad(|options| options.bucket = "-ab".to_owned(), "bucket");
        bad(|options| options.prefix = "/data/".to_owned(), "prefix");
        bad(|options| options.prefix = "data".to_owned(), "prefix");
        bad(|options| options.prefix = "x".repeat(1000) + "/", "prefix");
        bad(|options| options.manifest_prefix = Some("data/_manifest/".to_owned()), "manifest_prefix");
        bad(|options| options.manifest_prefix = Some(String::new()), "manifest_prefix");
        bad(|options| options.manifest_prefix = Some("m".to_owned()), "manifest_prefix");
        bad(|options| options.endpoint = Some("localhost".to_owned()), "endpoint");
        bad(|options| options.region = Some(String::new()), "region");
        bad(|options| options.bucket_owner = Some("me".to_owned()), "bucket_owner");
        bad(|options| options.compression = Compression::Gzip { level: 0 }, "compression_level");
        bad(|options| options.compression = Compression::Zstd { level: 19 }, "compression_level");
        bad(|options| options.part_bytes = 1 << 20, "part_bytes");
        bad(|options| options.object_bytes_max = 1, "object_bytes_max");
        bad(|options| options.object_bytes_max = 1 << 40, "object_bytes_max");
        bad(|options| options.object_age_max = Duration::from_hours(2), "object_age_max_ms");
        bad(|options| options.object_linger = Duration::from_mins(2), "object_linger_ms");
        bad(|options| options.parts_in_flight_max = 0, "parts_in_flight_max");
        bad(|options| options.call_timeout = Duration::ZERO, "call_timeout_ms");
        bad(|options| options.storage_class = Some("COLD".to_owned()), "storage_class");
    }
}
