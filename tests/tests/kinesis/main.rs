//! The engine in front of Kinesis: whatever was answered 200 is in the stream, every other answer says what is true, and
//! the engine outlives whatever happens to the service. A proxy in front of the server imposes what the real one does.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

mod check;
#[path = "../kinesis_sink/consumer.rs"]
mod consumer;
mod drain;
mod environment;
mod journal;
mod outage;
mod partial;
mod reshard;
mod round_trip;
mod throttle;

use std::sync::OnceLock;
use std::time::Duration;

use support::kinesis::KinesisServer;
use support::kinesis_proxy::{Behaviour, KinesisProxy};
use support::ledger::Ledger;
use support::load::{Load, LoadOptions};
use support::oracle::{Verdict, judge};
use support::record::Record;
use support::{Driver, Engine, EngineOptions, poll_until};

/// The server beside whatever else runs: it is slow, and a start takes seconds.
const RECOVERY: Duration = Duration::from_mins(1);

/// The server of every test that does not stop it; each test has streams of its own.
fn shared_server() -> &'static KinesisServer {
    static SHARED: OnceLock<KinesisServer> = OnceLock::new();
    SHARED.get_or_init(KinesisServer::start)
}

/// A proxy in front of the shared server.
fn proxy(behaviour: Behaviour) -> KinesisProxy {
    KinesisProxy::start(shared_server().address(), behaviour)
}

/// An engine with the route `/collect` to the sink `events` in front of `stream`, and a memory sum that is low enough
/// to mean something.
fn engine_options(driver: Driver, endpoint: &str, stream: &str) -> EngineOptions {
    let options = EngineOptions::new(driver)
        .without_default_sink()
        .limits("connections_max = 200\nbody_memory_bytes = 8388608\nbody_decoded_bytes_max = 1048576")
        .section("batch", "count = 16\nlarge_count = 1");
    with_kinesis(options, "collect", "events", endpoint, stream)
}

/// Adds a route `/<route>` to a Kinesis sink of its own.
fn with_kinesis(
    options: EngineOptions,
    route: &str,
    sink: &str,
    endpoint: &str,
    stream: &str,
) -> EngineOptions {
    let lines = format!(
        "kind = \"kinesis\"\nstream = \"{stream}\"\nregion = \"us-east-1\"\nendpoint = \"{endpoint}\"\n\
         credentials.access_key_id = \"test\"\ncredentials.secret_access_key = \"test\""
    );
    options
        .section(&format!("sink.{sink}"), &lines)
        .section(&format!("route.{route}"), &format!("path = \"/{route}\"\nsink = \"{sink}\""))
}

/// For tests that take no position on the server's speed.
fn patient(options: EngineOptions) -> EngineOptions {
    options.section("ack", "deadline_ms = 20000")
}

/// A load that rests after a refusal.
fn patient_load() -> LoadOptions {
    LoadOptions { connections: 16, refused_pause: Duration::from_millis(25), ..LoadOptions::default() }
}

/// Waits until `count` more events were answered 200.
fn progress(load: &Load, count: u64, what: &str) {
    let goal = load.stored() + count;
    poll_until(what, RECOVERY, || (load.stored() >= goal).then_some(()));
}

/// Each checked against the contract.
fn parse(values: Vec<Vec<u8>>) -> Vec<Record> {
    let parse = |value: Vec<u8>| Record::parse(std::str::from_utf8(&value).unwrap());
    let parsed = values.into_iter().map(parse);
    parsed.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}"))
}

/// The records of a stream as a consumer that is built on the KCL gets them.
fn records(stream: &str) -> Vec<Record> {
    parse(consumer::values(shared_server(), stream))
}

/// Holds a load's answers against what is stored; `expected` as in [`judge`].
fn judged(ledger: &Ledger, records: &[Record], expected: &[u16]) -> Verdict {
    println!("{}, {} stored", ledger.summary(), records.len());
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
    let found = metrics.iter().filter(|(series, _)| series.split('{').next() == Some(family) && has(series));
    found.map(|(_, value)| *value).sum()
}

/// Resident memory stays below the sum that was printed at the start.
fn assert_memory_is_bounded(engine: &Engine) {
    let log = engine.log();
    let (_, rest) = log.split_once("memory: at most ").unwrap_or_else(|| panic!("no memory sum in {log}"));
    let sum: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    assert!(log.contains("client.events"), "the client's copies are in the sum: {log}");
    let rss = engine.rss_bytes();
    assert!(rss < sum, "{rss} bytes are resident, {sum} were promised");
}

/// Names of the sinks that `/ready` calls down; the engine must be ready.
fn sinks_down(engine: &Engine) -> Vec<String> {
    let response = engine.admin("/ready");
    assert_eq!(response.status, 200, "{response:?}");
    let ready: serde_json::Value = serde_json::from_str(response.text()).unwrap();
    let names = ready["sinks_down"].as_array().unwrap();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}
