//! A Kinesis sink's own keys.

use millrun_sinks::kinesis::{Compression, Options, Spread};

use super::Page;
use crate::config::build::{key, kinesis::PARTITION_KEYS};
use crate::config::settings::RecordKey;

pub(super) fn write(page: &mut Page, options: &Options, partition_key: &RecordKey) {
    page.text("kind", "kinesis");
    page.text("stream", &options.stream);
    for (name, value) in [("region", &options.region), ("endpoint", &options.endpoint)] {
        if let Some(value) = value {
            page.text(name, value);
        }
    }
    page.text("partition_key", key::text(partition_key, &PARTITION_KEYS));
    page.text(
        "spread",
        match options.spread {
            Spread::Random => "random",
            Spread::Even => "even",
        },
    );
    page.number("aggregate_bytes_max", options.aggregate_bytes_max.unwrap_or(0));
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
    page.ms("call_linger_ms", options.linger);
    page.number("record_bytes_max", options.record_bytes_max);
    page.number("call_records_max", options.call_records_max);
    page.number("call_bytes_max", options.call_bytes_max);
    page.number("calls_in_flight_max", options.calls_in_flight_max);
    page.ms("call_timeout_ms", options.call_timeout);
    page.number("ordered", options.ordered);
    if let Some(rate) = options.expected {
        page.number("expected_records_per_s", rate.records_per_s);
        page.number("expected_record_bytes", rate.record_bytes);
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
