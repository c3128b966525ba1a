//! `[sink.<name>]` of kind s3.

use millrun_sinks::s3::{Checksum, Compression, Encryption, Options};

use super::aws::credentials;
use crate::config::reader::{Reader, Section};
use crate::config::settings::Ack;

/// The words of `encryption`.
pub(super) const ENCRYPTIONS: [(&str, Sse); 4] =
    [("bucket", Sse::Bucket), ("AES256", Sse::S3), ("aws:kms", Sse::Kms), ("aws:kms:dsse", Sse::KmsDual)];

/// What `encryption` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sse {
    Bucket,
    S3,
    Kms,
    KmsDual,
}

pub(super) fn options(reader: &mut Reader, section: &Section, ack: &Ack) -> Options {
    let bucket = reader.text(section, "bucket", "the bucket's name");
    let linger = reader.ms(section, "object_linger_ms", 0..=30_000);
    if linger >= ack.deadline {
        let problem = format!(
            "must be below ack.deadline_ms = {}: requests would be answered 503 before their object is closed",
            ack.deadline.as_millis()
        );
        reader.fail(section, "object_linger_ms", problem);
    }
    Options {
        prefix: reader.optional_text(section, "prefix").unwrap_or_default(),
        region: reader.optional_text(section, "region"),
        endpoint: reader.optional_text(section, "endpoint"),
        path_style: reader.boolean(section, "path_style"),
        credentials: credentials(reader, &section.inner("credentials")),
        bucket_owner: reader.optional_text(section, "bucket_owner"),
        compression: compression(reader, section),
        object_bytes_max: reader.integer(section, "object_bytes_max", 1000..=1 << 42),
        object_age_max: reader.ms(section, "object_age_max_ms", 100..=3_600_000),
        object_linger: linger,
        part_bytes: reader.size(section, "part_bytes", 5 << 20..=256 << 20),
        parts_in_flight_max: reader.size(section, "parts_in_flight_max", 1..=64),
        call_timeout: reader.ms(section, "call_timeout_ms", 100..=600_000),
        checksum: reader.choice(
            section,
            "checksum",
            &[("crc32c", Checksum::Crc32c), ("sha256", Checksum::Sha256)],
        ),
        encryption: encryption(reader, section),
        storage_class: reader.optional_text(section, "storage_class"),
        manifest_prefix: reader.optional_text(section, "manifest_prefix"),
        ..Options::new(bucket)
    }
}

fn compression(reader: &mut Reader, section: &Section) -> Compression {
    let level = reader.auto_integer(section, "compression_level", 1..=12);
    match reader.choice(section, "compression", &[("gzip", 'g'), ("zstd", 'z'), ("none", 'n')]) {
        'g' => Compression::Gzip { level: level.and_then(|level| u32::try_from(level).ok()).unwrap_or(1) },
        'z' => Compression::Zstd { level: level.and_then(|level| i32::try_from(level).ok()).unwrap_or(1) },
        _ => {
            if level.is_some() {
                reader.fail(section, "compression_level", "has no effect without compression");
            }
            Compression::None
        }
    }
}

fn encryption(reader: &mut Reader, section: &Section) -> Option<Encryption> {
    let key = reader.optional_text(section, "kms_key");
    let bucket_key = reader.boolean(section, "kms_bucket_key");
    let sse = reader.choice(section, "encryption", &ENCRYPTIONS);
    if key.is_some() && matches!(sse, Sse::Bucket | Sse::S3) {
        reader.fail(section, "kms_key", "has no effect without encryption = \"aws:kms\" or \"aws:kms:dsse\"");
    }
    match sse {
        Sse::Bucket => None,
        Sse::S3 => Some(Encryption::S3),
        Sse::Kms => Some(Encryption::Kms { key, dual: false, bucket_key }),
        Sse::KmsDual => Some(Encryption::Kms { key, dual: true, bucket_key }),
    }
}
