//! Records that are too large: for the sink, which knows at once, and for the topic, which only the broker knows.

use std::thread;

use support::load::{Load, LoadOptions};
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, poll_until};

use super::{engine_options, judged, metric, shared_broker};

#[test]
fn a_record_too_large_for_its_sink_is_refused_at_once() {
    let broker = shared_broker();
    broker.create_topic("large-for-sink", 1, &[]);
    let options = engine_options(Driver::Epoll, &broker.brokers(), "large-for-sink")
        .section("sink.events", "record_bytes_max = 20000");
    let engine = Engine::start(&options);
    let mut client = engine.connect();
    for _ in 0..3 {
        let response = client.exchange(&Request::post("/collect?appId=a", "x".repeat(20_000)));
        assert_eq!((response.status, response.error().as_str()), (413, "record_too_large"));
        assert_eq!(client.exchange(&Request::post("/collect?appId=a", "x".repeat(18_000))).status, 200);
    }
    assert!(metric(&engine, "millrun_sink_failed_records_total", &[]) < 1.0, "the sink never saw it");
    assert_eq!(super::records(broker, "large-for-sink").len(), 3);
}

#[test]
fn a_record_too_large_for_its_topic_is_refused_and_its_neighbours_are_stored() {
    let broker = shared_broker();
    broker.create_topic("large-for-topic", 1, &[("max.message.bytes", "10000")]);
    let options = engine_options(Driver::IoUring, &broker.brokers(), "large-for-topic")
        .server("shards = 1")
        // Parting large ones from their neighbours takes attempts, and this test no position on their speed.
        .section("ack", "deadline_ms = 20000")
        .section("sink.events", "compression = \"none\"");
    let engine = Engine::start(&options);
    let load = Load::start(engine.address(), LoadOptions { connections: 16, ..LoadOptions::default() });
    let posters: Vec<_> = (0..3)
        .map(|poster| {
            let mut client = engine.connect();
            thread::spawn(move || {
                for number in 0..10 {
                    let body = format!("{poster} {number}{}", "x".repeat(12_000));
                    let response = client.exchange(&Request::post("/collect?appId=a", body));
                    assert_eq!((response.status, response.error().as_str()), (413, "record_too_large"));
                }
            })
        })
        .collect();
    for poster in posters {
        poster.join().unwrap();
    }
    let goal = load.answered() + 100;
    poll_until("the neighbours' answers", PATIENCE, || (load.answered() >= goal).then_some(()));
    let ledger = load.stop();
    assert_eq!(ledger.stored(), ledger.entries.len(), "small ones are stored: {}", ledger.summary());
    let verdict = judged(&ledger, broker, "large-for-topic", &[]);
    assert_eq!(verdict.duplicates, Vec::<String>::new());
    // Otherwise the large ones had no neighbours.
    let batches = metric(&engine, "millrun_sink_submitted_batches_total", &[]);
    let records = metric(&engine, "millrun_sink_submitted_records_total", &[]);
    assert!(records > batches, "{records} records in {batches} batches");
}
