//! An S3 sink's own keys.

use millrun_sinks::s3::{Checksum, Compression, Encryption, Options};

use super::Page;

pub(super) fn write(page: &mut Page, options: &Options) {
    page.text("kind", "s3");
    page.text("bucket", &options.bucket);
    page.text("prefix", &options.prefix);
    let optional = [
        ("region", &options.region),
        ("endpoint", &options.endpoint),
        ("bucket_owner", &options.bucket_owner),
        ("storage_class", &options.storage_class),
        ("manifest_prefix", &options.manifest_prefix),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            page.text(name, value);
        }
    }
    page.number("path_style", options.path_style);
    match options.compression {
        Compression::None => page.text("compression", "none"),
        Compression::Gzip { level } => {
            page.text("compression", "gzip");
            page.number("compression_level", level);
        }
        Compression::Zstd { level } => {
            page.text("compression", "zstd");
            page.number("compression_level", level);
        }
    }
    page.number("object_bytes_max", options.object_bytes_max);
    page.ms("object_age_max_ms", options.object_age_max);
    page.ms("object_linger_ms", options.object_linger);
    page.number("part_bytes", options.part_bytes);
    page.number("parts_in_flight_max", options.parts_in_flight_max);
    page.ms("call_timeout_ms", options.call_timeout);
    page.text(
        "checksum",
        match options.checksum {
            Checksum::Crc32c => "crc32c",
            Checksum::Sha256 => "sha256",
        },
    );
    match &options.encryption {
        None => page.text("encryption", "bucket"),
        Some(Encryption::S3) => page.text("encryption", "AES256"),
        Some(Encryption::Kms { key, dual, bucket_key }) => {
            page.text("encryption", if *dual { "aws:kms:dsse" } else { "aws:kms" });
            if let Some(key) = key {
                page.text("kms_key", key);
            }
            page.number("kms_bucket_key", bucket_key);
        }
    }
}

pub(super) fn tables(page: &mut Page, name: &str, options: &Options) {
    let Some(credentials) = &options.credentials else { return };
    page.section(&format!("sink.{name}.credentials"));
    page.text("access_key_id", &credentials.access_key_id);
    page.text("secret_access_key", "(hidden)");
    if credentials.session_token.is_some() {
        page.text("session_token", "(hidden)");
    }
}
