//! The settings as TOML for people: `millrun config` and the admin page show it. Secrets are hidden.

use std::fmt::Write as _;
use std::time::Duration;

use millrun_sinks::file::Compression;

use super::key;
use crate::config::origins;
use crate::config::reader::is_secret;
use crate::config::settings::{
    Acknowledgement, AllowedOrigin, Driver, Limits, LogFormat, Outage, Protocol, Settings, Sink, SinkKind,
};

#[cfg(feature = "kinesis")]
mod kinesis;
#[cfg(feature = "s3")]
mod s3;

/// TOML being written.
#[derive(Default)]
struct Page(String);

impl Page {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.0, "{gap}[{name}]");
    }

    fn number(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn text(&mut self, key: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "{key} = {}", toml_edit::Value::from(value.as_ref()));
    }

    fn ms(&mut self, key: &str, value: Duration) {
        self.number(key, value.as_millis());
    }

    fn auto(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.text(key, "auto"),
        }
    }
}

/// Every key, as it is in force.
pub(in crate::config) fn effective(settings: &Settings) -> String {
    let mut page = Page::default();
    let server = &settings.server;
    page.section("server");
    page.text("listen", server.listen.to_string());
    page.auto("shards", server.shards);
    page.text(
        "driver",
        match server.driver {
            Driver::Auto => "auto",
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        },
    );
    page.number("trusted_proxies", server.trusted_proxies);
    page.text("ping_path", &server.ping_path);
    page.number("redirect_to_https", server.redirect_to_https);
    page.number("dev_mode", server.dev_mode);
    page.number("backlog", server.backlog);
    page.ms("drain_delay_ms", server.drain_delay);
    page.ms("drain_deadline_ms", server.drain_deadline);
    for route in &settings.routes {
        page.section(&format!("route.{}", route.name));
        page.text("path", &route.path);
        page.text(
            "protocol",
            match route.protocol {
                Protocol::Clickstream => "clickstream",
            },
        );
        page.text("sink", &settings.sinks[route.sink].name);
        page.text(
            "ack",
            match route.ack {
                Acknowledgement::Delivered => "delivered",
                Acknowledgement::Journaled => "journaled",
                Acknowledgement::Accepted => "accepted",
            },
        );
        page.number("app_ids", route.app_ids.iter().collect::<toml_edit::Array>());
    }
    page.section("cors");
    let origins: toml_edit::Array = settings.cors.origins.iter().map(origin).collect();
    page.number("origins", origins);
    page.number("max_age_s", settings.cors.max_age.as_secs());
    limits(&mut page, &settings.limits);
    rest(&mut page, settings);
    settings.sinks.iter().for_each(|each| sink(&mut page, each, &settings.sinks));
    page.0
}

fn origin(origin: &AllowedOrigin) -> String {
    origins::write(origin)
}

fn limits(page: &mut Page, limits: &Limits) {
    page.section("limits");
    page.number("head_bytes_max", limits.head_bytes_max);
    page.number("headers_max", limits.headers_max);
    page.number("body_bytes_max", limits.body_bytes_max);
    page.number("body_decoded_bytes_max", limits.body_decoded_bytes_max);
    page.ms("head_timeout_ms", limits.head_timeout);
    page.ms("body_timeout_ms", limits.body_timeout);
    page.number("body_rate_min", limits.body_rate_min);
    page.ms("idle_timeout_ms", limits.idle_timeout);
    page.number("connections_max", limits.connections_max);
    page.number("requests_per_connection_max", limits.requests_per_connection_max);
    page.number("body_memory_bytes", limits.body_memory_bytes);
    page.number("record_bytes_max", limits.record_bytes_max);
    page.auto("memory_bytes_max", limits.memory_bytes_max);
}

fn rest(page: &mut Page, settings: &Settings) {
    let (batch, ack) = (&settings.batch, &settings.ack);
    page.section("batch");
    page.number("arena_bytes", batch.arena_bytes);
    page.number("records_max", batch.records_max);
    page.number("count", batch.count);
    page.number("large_count", batch.large_count);
    page.ms("linger_ms", batch.linger);
    page.section("ack");
    page.ms("deadline_ms", ack.deadline);
    page.ms("retry_initial_ms", ack.retry_initial);
    page.ms("retry_max_ms", ack.retry_max);
    page.number("breaker_failures", ack.breaker_failures);
    page.ms("breaker_open_ms", ack.breaker_open);
    page.section("journal");
    page.text("dir", settings.journal.dir.to_string_lossy());
    page.number("bytes_max", settings.journal.bytes_max);
    page.number("segment_bytes", settings.journal.segment_bytes);
    page.section("drain");
    page.text("journal", if settings.drain.waits_for_journal { "wait" } else { "leave" });
    page.ms("stop_timeout_ms", settings.drain.stop_timeout);
    page.section("metrics");
    page.number("emf", settings.metrics.emf);
    page.text("namespace", &settings.metrics.namespace);
    page.ms("emf_interval_ms", settings.metrics.interval);
    page.section("admin");
    page.text("listen", settings.admin.listen.map_or_else(String::new, |listen| listen.to_string()));
    page.section("log");
    page.text("level", &settings.log.level);
    page.text(
        "format",
        match settings.log.format {
            LogFormat::Auto => "auto",
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        },
    );
}

fn sink(page: &mut Page, sink: &Sink, all: &[Sink]) {
    page.section(&format!("sink.{}", sink.name));
    match &sink.kind {
        SinkKind::Null(_) => page.text("kind", "null"),
        SinkKind::File(options) => {
            page.text("kind", "file");
            page.text("dir", options.dir.to_string_lossy());
            match options.compression {
                Compression::None => page.text("compression", "none"),
                Compression::Gzip { level } => {
                    page.text("compression", "gzip");
                    page.number("gzip_level", level);
                }
            }
            page.number("rotate_bytes", options.rotate_bytes);
            page.ms("rotate_age_ms", options.rotate_age);
        }
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => kafka(page, options),
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => kinesis::write(page, options, &sink.key),
        #[cfg(feature = "s3")]
        SinkKind::S3(options) => s3::write(page, options),
    }
    if calls_it_key(&sink.kind) {
        page.text("key", key::text(&sink.key, &key::KEYS));
    }
    page.ms("linger_ms", sink.linger);
    match sink.outage {
        Outage::Reject => page.text("outage", "reject"),
        Outage::Journal => page.text("outage", "journal"),
        Outage::Fallback(other) => {
            page.text("outage", "fallback");
            page.text("fallback", &all[other].name);
        }
    }
    #[cfg(feature = "kafka")]
    if let SinkKind::Kafka(options) = &sink.kind {
        kafka_tables(page, &sink.name, options);
    }
    #[cfg(feature = "kinesis")]
    if let SinkKind::Kinesis(options) = &sink.kind {
        kinesis::tables(page, &sink.name, options);
    }
    #[cfg(feature = "s3")]
    if let SinkKind::S3(options) = &sink.kind {
        s3::tables(page, &sink.name, options);
    }
}

/// Kinesis has a word of its own.
fn calls_it_key(kind: &SinkKind) -> bool {
    match kind {
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(_) => false,
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => false,
        _ => true,
    }
}

#[cfg(feature = "kafka")]
fn kafka(page: &mut Page, options: &millrun_sinks::kafka::Options) {
    use millrun_sinks::kafka::Compression;
    page.text("kind", "kafka");
    page.text("brokers", &options.brokers);
    page.text("topic", &options.topic);
    page.text(
        "compression",
        match options.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        },
    );
    page.ms("delivery_timeout_ms", options.delivery_timeout);
    page.number("record_bytes_max", options.record_bytes_max);
}

#[cfg(feature = "kafka")]
fn kafka_tables(page: &mut Page, name: &str, options: &millrun_sinks::kafka::Options) {
    use millrun_sinks::kafka::{Sasl, SaslMechanism};
    if let Some(tls) = &options.tls {
        page.section(&format!("sink.{name}.tls"));
        for (key, file) in [
            ("ca_file", &tls.ca_file),
            ("certificate_file", &tls.certificate_file),
            ("key_file", &tls.key_file),
        ] {
            if let Some(file) = file {
                page.text(key, file.to_string_lossy());
            }
        }
    }
    if let Some(sasl) = &options.sasl {
        page.section(&format!("sink.{name}.sasl"));
        match sasl {
            Sasl::Password { mechanism, username, .. } => {
                let mechanism = match mechanism {
                    SaslMechanism::Plain => "PLAIN",
                    SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                    SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
                };
                page.text("mechanism", mechanism);
                page.text("username", username);
                page.text("password", "(hidden)");
            }
            Sasl::AwsMskIam { region } => {
                page.text("mechanism", "AWS_MSK_IAM");
                if let Some(region) = region {
                    page.text("region", region);
                }
            }
        }
    }
    if !options.properties.is_empty() {
        page.section(&format!("sink.{name}.properties"));
        for (key, value) in &options.properties {
            let hidden = is_secret(key) || millrun_sinks::kafka::is_secret(key);
            page.text(&format!("\"{key}\""), if hidden { "(hidden)" } else { value });
        }
    }
}
