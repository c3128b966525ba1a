//! [`Options`] to librdkafka's properties.
//!
//! librdkafka checks names and values; here is only what it can't know: the sink's own choices, what its promises
//! hang on, and which key of the configuration a property came from.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use super::client;
use super::options::{Compression, MASK, Options, Sasl, SaslMechanism, Tls, is_secret};
use crate::OpenError;

/// Room in `message.max.bytes` beside key and value. librdkafka counts up to 36 bytes of record framing against it, a
/// record batch has a header of 61, and the request around it names client and topic (at most 249 bytes). Kept
/// small, as the brokers' own limit (1,048,588 by default) is on the record batch: 1,000,000 + 512 stays below it.
pub(super) const FRAMING_BYTES_MAX: usize = 512;

/// Batches that may be with librdkafka at a time. 256 batches of 100 records are 5 ms of a million records/s, or a
/// whole second of 25,000 records/s: enough to ride out a leader change, few enough to be counted.
pub(super) const BATCHES_IN_FLIGHT_MAX: usize = 256;

/// Messages in librdkafka at a time. Each costs it some 300 bytes and its key, so 30 MB at the worst; further records
/// are refused as `queue_full`, which the lane may try again.
const MESSAGES_MAX: usize = 100_000;

/// First pause of librdkafka's retries; doubles up to the longest.
const RETRY_BACKOFF_MS: u128 = 100;
/// Longest pause of librdkafka's retries.
const RETRY_BACKOFF_MAX_MS: u128 = 500;

/// librdkafka's own range of `message.max.bytes`.
const MESSAGE_BYTES_RANGE: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;

/// One property, and the key of the sink's section that it comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub key: String,
    pub value: String,
    pub option: String,
}

impl Property {
    fn new(option: &str, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self { key: key.to_owned(), value: value.to_string(), option: option.to_owned() }
    }

    /// The value, masked where it is a secret.
    fn printable(&self) -> String {
        if is_secret(&self.key) { MASK.to_owned() } else { self.value.clone() }
    }

    /// This property can't work.
    pub(super) fn wrong(&self, problem: &str) -> OpenError {
        // librdkafka quotes the value in some of its texts.
        let secret = is_secret(&self.key) && !self.value.is_empty();
        let problem = if secret { problem.replace(&self.value, MASK) } else { problem.to_owned() };
        OpenError { key: self.option.clone(), value: self.printable(), problem }
    }

    /// The value for librdkafka.
    pub(super) fn value_c_string(&self) -> Result<CString, OpenError> {
        client::c_string(&self.option, &self.value)
    }
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.printable())
    }
}

/// librdkafka took each property but not all of them together: finds the one that its text speaks of.
pub(super) fn wrong_together(properties: &[Property], problem: &str) -> OpenError {
    let named = properties.iter().rev().filter(|property| problem.contains(&property.key));
    match named.max_by_key(|property| property.key.len()) {
        Some(property) => property.wrong(problem),
        None => Property::new("properties", "", "").wrong(problem),
    }
}

/// Everything that [`properties`] would refuse.
pub(super) fn problems(options: &Options) -> Vec<OpenError> {
    let properties = options.properties.iter().filter_map(|(key, value)| {
        refusal(options, key, value)
            .map(|problem| Property::new(&format!("properties.{key}"), key, value).wrong(problem))
    });
    validate(options).err().into_iter().chain(properties).collect()
}

/// All properties of a producer, in the order in which they are set.
///
/// # Errors
/// [`OpenError`] for options that can't work and for properties that would break the sink's promise.
pub(super) fn properties(options: &Options) -> Result<Vec<Property>, OpenError> {
    validate(options)?;
    let mut all = base(options);
    security(options, &mut all);
    for (key, value) in &options.properties {
        let property = Property::new(&format!("properties.{key}"), key, value);
        if let Some(problem) = refusal(options, key, value) {
            return Err(property.wrong(problem));
        }
        all.push(property);
    }
    Ok(all)
}

fn base(options: &Options) -> Vec<Property> {
    let timeout_ms = options.delivery_timeout.as_millis();
    let message_bytes = options.record_bytes_max + FRAMING_BYTES_MAX;
    let message_bytes = message_bytes.max(*MESSAGE_BYTES_RANGE.start());
    // As many bytes as the lane may hand over in batches of the largest record.
    let queue_kbytes = (BATCHES_IN_FLIGHT_MAX * message_bytes).div_ceil(1024).min(i32::MAX as usize);
    let own = |key: &str, value: &dyn ToString| Property::new("kafka", key, value);
    vec![
        Property::new("brokers", "bootstrap.servers", &options.brokers),
        own("client.id", &"millrun"),
        // The promise: all in-sync replicas have it, once, in order.
        own("acks", &"all"),
        own("enable.idempotence", &true),
        Property::new("compression", "compression.codec", codec(options.compression)),
        Property::new("record_bytes_max", "message.max.bytes", &message_bytes),
        own("batch.size", &message_bytes.min(1_000_000)),
        own("queue.buffering.max.messages", &MESSAGES_MAX),
        own("queue.buffering.max.kbytes", &queue_kbytes),
        Property::new("delivery_timeout", "delivery.timeout.ms", &timeout_ms),
        // How long a broker may wait for its replicas: no longer than anybody waits for the outcome.
        own("request.timeout.ms", &timeout_ms.min(30_000)),
        // The engine's batches are the linger.
        own("linger.ms", &0),
        // Records without a key change the partition every 10 ms, not with each record: librdkafka would turn that
        // off with a linger of 0, and a batch of the engine would become a request per partition.
        own("sticky.partitioning.linger.ms", &10),
        // A broker that comes back is found within half a second.
        own("reconnect.backoff.ms", &50),
        own("reconnect.backoff.max.ms", &500),
        own("retry.backoff.ms", &RETRY_BACKOFF_MS),
        own("retry.backoff.max.ms", &RETRY_BACKOFF_MAX_MS),
        own("retries", &retries(timeout_ms)),
        own("socket.connection.setup.timeout.ms", &10_000),
        own("socket.keepalive.enable", &true),
        own("socket.nagle.disable", &true),
        // A topic that appears or grows is noticed within seconds; one small request each time.
        own("topic.metadata.refresh.interval.ms", &10_000),
        // How long a missing topic may be one that is just being made: then its records fail as what they are,
        // before they would time out.
        own("topic.metadata.propagation.max.ms", &(timeout_ms / 2).clamp(1, 5_000)),
        own("statistics.interval.ms", &5_000),
        // Client telemetry (KIP-714): closing would wait for the last push.
        own("enable.metrics.push", &false),
        own("log.queue", &true),
    ]
}

/// How often librdkafka sends a record again that brokers refuse for the time being. A record that it retries until its
/// time is up is reported as timed out, and nobody learns why; one that it gives up at three quarters of the time
/// carries the broker's answer. What was never sent (no connection, no leader) does not count as a retry.
fn retries(timeout_ms: u128) -> u128 {
    // 100 + 200 + 400 ms, then 500 ms each.
    const DOUBLING_MS: u128 = 7 * RETRY_BACKOFF_MS;
    3 + (timeout_ms * 3 / 4).saturating_sub(DOUBLING_MS) / RETRY_BACKOFF_MAX_MS
}

fn security(options: &Options, all: &mut Vec<Property>) {
    let protocol = match (&options.tls, &options.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(Sasl::Password { .. })) => "sasl_plaintext",
        (Some(_), Some(_)) | (None, Some(Sasl::AwsMskIam { .. })) => "sasl_ssl",
    };
    all.push(Property::new("tls", "security.protocol", protocol));
    if let Some(Tls { ca_file, certificate_file, key_file }) = &options.tls {
        for (option, key, file) in [
            ("tls.ca_file", "ssl.ca.location", ca_file),
            ("tls.certificate_file", "ssl.certificate.location", certificate_file),
            ("tls.key_file", "ssl.key.location", key_file),
        ] {
            all.extend(file.iter().map(|file| Property::new(option, key, &file.display())));
        }
    }
    match &options.sasl {
        Some(Sasl::Password { mechanism, username, password }) => {
            let mechanism = match mechanism {
                SaslMechanism::Plain => "PLAIN",
                SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            all.push(Property::new("sasl.mechanism", "sasl.mechanism", mechanism));
            all.push(Property::new("sasl.username", "sasl.username", username));
            all.push(Property::new("sasl.password", "sasl.password", password));
        }
        Some(Sasl::AwsMskIam { .. }) => {
            all.push(Property::new("sasl.mechanism", "sasl.mechanism", "OAUTHBEARER"));
        }
        None => {}
    }
}

fn codec(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

/// Why a raw property may not be set, or not to this value.
fn refusal(options: &Options, key: &str, value: &str) -> Option<&'static str> {
    let problem = match key {
        "security.protocol"
            if !value.eq_ignore_ascii_case("sasl_ssl")
                && matches!(options.sasl, Some(Sasl::AwsMskIam { .. })) =>
        {
            "a token of AWS_MSK_IAM is as good as a password for its 15 minutes, so only \"sasl_ssl\" works: TLS \
             keeps others from reading it"
        }
        "acks" | "request.required.acks" => {
            return (!matches!(value, "all" | "-1")).then_some(
                "a 200 promises that all in-sync replicas have the record, so only \"all\" works; choose the \
                 topic's min.insync.replicas instead",
            );
        }
        "delivery.report.only.error" if value != "false" => {
            "records are confirmed by librdkafka's success reports: without them no request would ever be answered"
        }
        "message.timeout.ms" | "delivery.timeout.ms" => {
            "set delivery_timeout: it is checked against the acknowledgement deadline"
        }
        "message.max.bytes" => "set record_bytes_max: the engine has to refuse larger records with 413",
        "bootstrap.servers" | "metadata.broker.list" => "set brokers",
        "enable.idempotence" if value != "true" => {
            "a retry inside librdkafka would store records twice, or in another order"
        }
        "transactional.id" => "the sink writes outside transactions",
        "enable.gapless.guarantee" if value != "false" => {
            "one failed record would stop all others: the engine answers each on its own"
        }
        "log.queue" | "enabled_events" => "the sink reads librdkafka's events and log by it",
        "test.mock.num.brokers" | "test.mock.broker.rtt" if !cfg!(test) => {
            "records would go to a mock and be lost"
        }
        _ => return None,
    };
    Some(problem)
}

fn validate(options: &Options) -> Result<(), OpenError> {
    let wrong = |key: &str, value: &dyn ToString, problem: &str| {
        Err(OpenError { key: key.to_owned(), value: value.to_string(), problem: problem.to_owned() })
    };
    if let Some(broker) = options.brokers.split(',').find(|broker| !is_broker(broker.trim())) {
        return wrong("brokers", &options.brokers, &format!("\"{broker}\" is not host:port"));
    }
    if !is_topic(&options.topic) {
        return wrong("topic", &options.topic, "Kafka wants 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'");
    }
    if options.delivery_timeout.as_millis() == 0 || options.delivery_timeout.as_millis() > i32::MAX as u128 {
        let value = format!("{:?}", options.delivery_timeout);
        return wrong("delivery_timeout", &value, "must be at least 1 ms and at most 24 days");
    }
    let record_bytes_max = MESSAGE_BYTES_RANGE.end() - FRAMING_BYTES_MAX;
    if options.record_bytes_max == 0 || options.record_bytes_max > record_bytes_max {
        let problem = format!("must be from 1 to {record_bytes_max}");
        return wrong("record_bytes_max", &options.record_bytes_max, &problem);
    }
    if cfg!(not(feature = "msk-iam")) && matches!(options.sasl, Some(Sasl::AwsMskIam { .. })) {
        let problem = "was left out of this build: build with the feature msk-iam";
        return wrong("sasl.mechanism", &"AWS_MSK_IAM", problem);
    }
    let Some(tls) = &options.tls else { return Ok(()) };
    if tls.certificate_file.is_some() != tls.key_file.is_some() {
        return wrong("tls", &"", "certificate_file and key_file belong together: set both or neither");
    }
    readable("tls.ca_file", tls.ca_file.as_deref())?;
    readable("tls.certificate_file", tls.certificate_file.as_deref())?;
    readable("tls.key_file", tls.key_file.as_deref())
}

fn readable(option: &str, file: Option<&Path>) -> Result<(), OpenError> {
    let Some(file) = file else { return Ok(()) };
    File::open(file).map(drop).map_err(|error| OpenError {
        key: option.to_owned(),
        value: file.display().to_string(),
        problem: format!("can't be read: {error}"),
    })
}

/// `host`, `host:port` or `[v6]:port`, without a listener's scheme.
fn is_broker(broker: &str) -> bool {
    let (host, port) = match broker.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (broker, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    !host.is_empty() && !host.contains(['/', ' ']) && port_fits
}

/// Kafka's rule for topic names.
fn is_topic(topic: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&topic.len()) && topic.bytes().all(legal) && topic != "." && topic != ".."
}

#[cfg(test)]
mod tests;
