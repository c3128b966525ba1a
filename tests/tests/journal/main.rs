//! Journaled acknowledgement and outage policies end to end: what was answered 200 is delivered, whatever dies in
//! between.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

mod crash;
mod descriptors;
mod outage;
mod refusal;
mod replay;

use std::path::Path;
use std::time::{Duration, Instant};

use support::kafka::KafkaServer;
use support::poll::PATIENCE;
use support::record::Record;
use support::{Driver, Engine, EngineOptions, poll_until};

/// An engine whose journal is in `dir`, without route and sink.
fn engine_options(driver: Driver, dir: &Path) -> EngineOptions {
    EngineOptions::new(driver)
        .without_default_sink()
        .limits("connections_max = 200\nbody_memory_bytes = 8388608\nbody_decoded_bytes_max = 1048576\nrecord_bytes_max = 2000000")
        .section("batch", "count = 16\nlarge_count = 1")
        .section(
            "journal",
            &format!("dir = \"{}\"\nsegment_bytes = 4194304\nbytes_max = 134217728", dir.display()),
        )
}

/// The route `/collect` to the sink `events`, answered as `ack` says.
fn with_route(options: EngineOptions, ack: &str) -> EngineOptions {
    options.section("route.collect", &format!("path = \"/collect\"\nsink = \"events\"\nack = \"{ack}\""))
}

/// The sink `events` is a directory.
fn with_files(options: EngineOptions, dir: &Path) -> EngineOptions {
    options.data_dir(dir).section("sink.events", &format!("kind = \"file\"\ndir = \"{}\"", dir.display()))
}

/// The sink `events` is a topic.
fn with_kafka(options: EngineOptions, broker: &KafkaServer, topic: &str) -> EngineOptions {
    options.section(
        "sink.events",
        &format!("kind = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"", broker.brokers()),
    )
}

/// Waits until the journal holds nothing that is not delivered: for so long that it is no old publication that says so.
fn wait_until_delivered(engine: &Engine, deadline: Duration) {
    let behind = "millrun_journal_streams_behind{sink=\"journal/events\"}";
    let mut since = None;
    poll_until("everything to be delivered from the journal", deadline, || {
        if engine.metrics().get(behind) != Some(&0.0) {
            since = None;
            return None;
        }
        (since.get_or_insert_with(Instant::now).elapsed() > 2 * PUBLISHED_EVERY).then_some(())
    });
}

/// How often a journal's gauges are published.
const PUBLISHED_EVERY: Duration = Duration::from_millis(500);

/// The records of a topic.
fn topic(broker: &KafkaServer, topic: &str) -> Vec<Record> {
    let parse = |value: Vec<u8>| Record::parse(std::str::from_utf8(&value).unwrap()).unwrap();
    broker.records(topic).into_iter().map(|record| parse(record.value)).collect()
}

/// Posts until the answer is `status`, and returns the bodies that were answered 200 on the way.
fn post_until(engine: &Engine, status: u16, prefix: &str) -> Vec<String> {
    let (mut stored, mut number) = (Vec::new(), 0);
    poll_until(&format!("an answer of {status}"), PATIENCE, || {
        number += 1;
        let body = format!("{prefix}-{number}");
        let response = engine.exchange(&support::request::Request::post("/collect", body.as_str()));
        if response.status == 200 {
            stored.push(body);
        }
        (response.status == status).then_some(())
    });
    stored
}
