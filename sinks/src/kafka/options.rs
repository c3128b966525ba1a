//! What an operator can say about a `kafka` sink.
//!
//! Secrets live here, so nothing in this file prints one: [`Sasl`] and [`Options`] hide them from `Debug`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Compression of the batches that go to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed.
    None,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// SASL mechanisms with a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 5802 with SHA-256.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
}

/// How the sink says who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Sasl {
    /// By a name and a password.
    Password {
        /// How they are sent.
        mechanism: SaslMechanism,
        /// User name.
        username: String,
        /// Password; never printed.
        password: String,
    },
    /// By AWS credentials, as Amazon MSK takes them: OAUTHBEARER (RFC 7628) with a signed URL as token. They come from
    /// the AWS SDK's standard chain. Always within TLS: whoever reads the token can use it for a quarter of an hour.
    AwsMskIam {
        /// The cluster's region; none: as the SDK's chain finds it.
        region: Option<String>,
    },
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { mechanism, username, .. } => f
                .debug_struct("Password")
                .field("mechanism", mechanism)
                .field("username", username)
                .finish_non_exhaustive(),
            Self::AwsMskIam { region } => f.debug_struct("AwsMskIam").field("region", region).finish(),
        }
    }
}

/// Transport security.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificate authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain, for mutual TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key_file: Option<PathBuf>,
}

/// Settings of a `kafka` sink.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// Comma list of `host:port`.
    pub brokers: String,
    /// Topic to produce to.
    pub topic: String,
    /// Compression of what is sent.
    pub compression: Compression,
    /// How long librdkafka may try to deliver one record (`delivery.timeout.ms`). It looks for expired records once
    /// a second, and once more for those that were on their way: a report comes up to 2 s later than this. Where
    /// the acknowledgement deadline is not that much longer, a request can be answered (`delivery_unknown`) before the
    /// reason is known.
    pub delivery_timeout: Duration,
    /// Largest record, key and value together, in bytes. `message.max.bytes` is this and the protocol's overhead.
    /// Above 1,000,000 the brokers' or the topic's own limit (1 MiB by default) has to grow too.
    pub record_bytes_max: usize,
    /// TLS, when present. [`Sasl::AwsMskIam`] has it in any case.
    pub tls: Option<Tls>,
    /// SASL, when present.
    pub sasl: Option<Sasl>,
    /// Raw librdkafka properties. They win over everything above, except for the few that the sink's promises hang
    /// on, which [`super::open`] refuses with the reason.
    pub properties: BTreeMap<String, String>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let properties: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), if is_secret(key) { MASK } else { value.as_str() }))
            .collect();
        f.debug_struct("Options")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("compression", &self.compression)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("record_bytes_max", &self.record_bytes_max)
            .field("tls", &self.tls)
            .field("sasl", &self.sasl)
            .field("properties", &properties)
            .finish()
    }
}

/// What is printed instead of a secret.
pub(super) const MASK: &str = "***";

/// Whether the value of this librdkafka property must never be printed. Rather one too many than one too few.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let named = ["password", "secret", "pem", "token", "oauthbearer.config", "jaas", "private"];
    named.iter().any(|part| key.contains(part)) || key.ends_with("key")
}
