//! Apache Kafka by librdkafka.

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

/// SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 5802 with SHA-256.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
}

/// Credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How to authenticate.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password; never printed.
    pub password: String,
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Comma list of `host:port`.
    pub brokers: String,
    /// Topic to produce to.
    pub topic: String,
    /// Compression of what is sent.
    pub compression: Compression,
    /// How long librdkafka may try to deliver one record (`delivery.timeout.ms`); bounded by the acknowledgement
    /// deadline where the configuration is read.
    pub delivery_timeout: Duration,
    /// Largest record in bytes (`message.max.bytes`).
    pub record_bytes_max: usize,
    /// TLS, when present.
    pub tls: Option<Tls>,
    /// SASL, when present.
    pub sasl: Option<Sasl>,
    /// Raw librdkafka properties; they win over everything above.
    pub properties: BTreeMap<String, String>,
}
