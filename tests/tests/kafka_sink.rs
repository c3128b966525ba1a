//! The Kafka sink against a real broker: what it reports is compared with what a consumer finds.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

#[path = "kafka_sink/lane.rs"]
mod lane;
#[path = "kafka_sink/outage.rs"]
mod outage;
#[path = "kafka_sink/refusal.rs"]
mod refusal;
#[path = "kafka_sink/round_trip.rs"]
mod round_trip;
#[path = "kafka_sink/security.rs"]
mod security;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use millrun_sinks::kafka::{Compression, Options};
use support::kafka::{KafkaOptions, KafkaServer};

/// The broker of every test that neither stops it nor needs topics to make themselves.
fn shared_broker() -> &'static KafkaServer {
    static SHARED: OnceLock<KafkaServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let options = KafkaOptions { auto_create_topics: false, secure: true, ..KafkaOptions::default() };
        KafkaServer::start_with(&options)
    })
}

fn options(brokers: String, topic: &str) -> Options {
    Options {
        brokers,
        topic: topic.to_owned(),
        compression: Compression::Lz4,
        delivery_timeout: Duration::from_secs(20),
        record_bytes_max: 1_000_000,
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
    }
}
