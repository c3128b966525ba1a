//! The engine in front of a real Kafka: whatever was answered 200 is in the topic, every other answer says what is
//! true and what a client can do, and the engine outlives whatever happens to its broker.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

mod check;
mod drain;
mod environment;
mod iam;
mod outage;
mod round_trip;
mod routes;
mod size;
mod topic;

use std::sync::OnceLock;
use std::time::Duration;

use support::kafka::{KafkaOptions, KafkaServer};
use support::ledger::Ledger;
use support::load::LoadOptions;
use support::oracle::{Verdict, judge};
use support::record::Record;
use support::{Driver, Engine, EngineOptions};

/// The broker of every test that neither stops it nor wants topics to make themselves.
fn shared_broker() -> &'static KafkaServer {
    static SHARED: OnceLock<KafkaServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        KafkaServer::start_with(&KafkaOptions { auto_create_topics: false, ..KafkaOptions::default() })
    })
}

/// An engine with the route `/collect` to the sink `events` in front of `topic`, and a memory sum that is low enough
/// to mean something.
fn engine_options(driver: Driver, brokers: &str, topic: &str) -> EngineOptions {
    let options = EngineOptions::new(driver)
        .without_default_sink()
        .limits("connections_max = 200\nbody_memory_bytes = 8388608\nbody_decoded_bytes_max = 1048576")
        .section("batch", "count = 16\nlarge_count = 1");
    with_kafka(options, "collect", "events", brokers, topic)
}

/// Adds a route `/<route>` to a Kafka sink of its own.
fn with_kafka(options: EngineOptions, route: &str, sink: &str, brokers: &str, topic: &str) -> EngineOptions {
    options
        .section(
            &format!("sink.{sink}"),
            &format!("kind = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{topic}\""),
        )
        .section(&format!("route.{route}"), &format!("path = \"/{route}\"\nsink = \"{sink}\""))
}

/// Adds a route `/files` to a file sink `files` below `dir`.
fn with_files(options: EngineOptions, dir: &std::path::Path) -> EngineOptions {
    options
        .data_dir(dir)
        .section("sink.files", &format!("kind = \"file\"\ndir = \"{}\"", dir.display()))
        .section("route.files", "path = \"/files\"\nsink = \"files\"")
}

/// A load that rests after a refusal.
fn patient_load() -> LoadOptions {
    LoadOptions { connections: 16, refused_pause: Duration::from_millis(25), ..LoadOptions::default() }
}

/// The records of a topic, each checked against the contract.
fn records(broker: &KafkaServer, topic: &str) -> Vec<Record> {
    let parse = |value: Vec<u8>| Record::parse(std::str::from_utf8(&value).unwrap());
    let parsed = broker.records(topic).into_iter().map(|record| parse(record.value));
    parsed.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}"))
}

/// Holds a load's answers against the topic; `expected` as in [`judge`].
fn judged(ledger: &Ledger, broker: &KafkaServer, topic: &str, expected: &[u16]) -> Verdict {
    println!("{}", ledger.summary());
    let records = records(broker, topic);
    let verdict = judge(ledger, records.iter().map(Record::data), expected);
    verdict.assert_truthful();
    verdict.assert_whole();
    verdict
}

/// The sum of all series of a family that have these labels.
fn metric(engine: &Engine, family: &str, labels: &[(&str, &str)]) -> f64 {
    let has =
        |series: &str| labels.iter().all(|(name, value)| series.contains(&format!("{name}=\"{value}\"")));
    let metrics = engine.metrics();
    let found: Vec<f64> = metrics
        .iter()
        .filter(|(series, _)| series.split('{').next() == Some(family) && has(series))
        .map(|(_, value)| *value)
        .collect();
    assert!(!found.is_empty() || metrics.keys().any(|series| series.starts_with(family)), "no {family}");
    found.iter().sum()
}

/// The memory sum as the engine printed it at its start, in bytes.
fn printed_memory_bytes(engine: &Engine) -> u64 {
    let log = engine.log();
    let (_, rest) = log.split_once("memory: at most ").unwrap_or_else(|| panic!("no memory sum in {log}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Names of the sinks that `/ready` calls down; the engine must be ready.
fn sinks_down(engine: &Engine) -> Vec<String> {
    let response = engine.admin("/ready");
    assert_eq!(response.status, 200, "{response:?}");
    let ready: serde_json::Value = serde_json::from_str(response.text()).unwrap();
    let names = ready["sinks_down"].as_array().unwrap();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}
