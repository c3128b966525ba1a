//! `[sink.<name>]` of kind kafka.

use std::path::PathBuf;
use std::time::Duration;

use millrun_sinks::kafka::{Compression, Options, Sasl, SaslMechanism, Tls};

use crate::config::reader::{Reader, Section};
use crate::config::settings::Ack;

pub(super) fn options(reader: &mut Reader, section: &Section, ack: &Ack) -> Options {
    let compressions = [
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("none", Compression::None),
    ];
    let brokers = reader.text(section, "brokers", "a comma list of host:port");
    let topic = reader.text(section, "topic", "the topic to write to");
    let topic_is_one = topic.len() <= 249
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !topic_is_one {
        reader.fail(section, "topic", "is no topic: letters, digits, . _ and -, at most 249");
    }
    let deadline_ms = u64::try_from(ack.deadline.as_millis()).unwrap_or(u64::MAX);
    let delivery_timeout_ms = reader.auto_integer(section, "delivery_timeout_ms", 100..=deadline_ms);
    Options {
        brokers,
        topic,
        compression: reader.choice(section, "compression", &compressions),
        delivery_timeout: delivery_timeout_ms.map_or(ack.deadline * 3 / 4, Duration::from_millis),
        record_bytes_max: reader.size(section, "record_bytes_max", 1024..=1 << 29),
        tls: tls(reader, &section.inner("tls")),
        sasl: sasl(reader, &section.inner("sasl")),
        properties: reader.free_texts(&section.inner("properties")).into_iter().collect(),
    }
}

fn tls(reader: &mut Reader, section: &Section) -> Option<Tls> {
    if !reader.tree.has_table(&section.path()) {
        return None;
    }
    let mut file = |key: &str| {
        let path = PathBuf::from(reader.optional_text(section, key)?);
        if !path.is_file() {
            reader.fail(section, key, "there is no such file");
        }
        Some(path)
    };
    let tls = Tls {
        ca_file: file("ca_file"),
        certificate_file: file("certificate_file"),
        key_file: file("key_file"),
    };
    if tls.certificate_file.is_some() != tls.key_file.is_some() {
        reader.fail(section, "key_file", "certificate_file and key_file go together");
    }
    Some(tls)
}

/// What `sasl.mechanism` says.
#[derive(Clone, Copy)]
enum Mechanism {
    Password(SaslMechanism),
    AwsMskIam,
}

fn sasl(reader: &mut Reader, section: &Section) -> Option<Sasl> {
    if !reader.tree.has_table(&section.path()) {
        return None;
    }
    let mechanisms = [
        ("PLAIN", Mechanism::Password(SaslMechanism::Plain)),
        ("SCRAM-SHA-256", Mechanism::Password(SaslMechanism::ScramSha256)),
        ("SCRAM-SHA-512", Mechanism::Password(SaslMechanism::ScramSha512)),
        ("AWS_MSK_IAM", Mechanism::AwsMskIam),
    ];
    Some(match reader.choice(section, "mechanism", &mechanisms) {
        Mechanism::Password(mechanism) => Sasl::Password {
            mechanism,
            username: reader.text(section, "username", "the user's name"),
            password: reader.text(
                section,
                "password",
                "the user's password, best set by its environment variable",
            ),
        },
        Mechanism::AwsMskIam => {
            if cfg!(not(feature = "msk-iam")) {
                reader.fail(
                    section,
                    "mechanism",
                    "was left out of this build: build with the feature msk-iam",
                );
            }
            Sasl::AwsMskIam { region: reader.optional_text(section, "region") }
        }
    })
}
