//! The variables of the system that the engine replaces, and no file.

use support::poll::PATIENCE;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{records, shared_broker};

on_both_drivers!(the_seeds_variables_lead_to_the_topic);

fn seed(driver: Driver, topic: &str) -> EngineOptions {
    EngineOptions::embedded(driver)
        .environment("AWS_REGION", "eu-west-1")
        .environment("AWS_MSK_BROKERS", &shared_broker().brokers())
        .environment("AWS_MSK_TOPIC", topic)
        .environment("AWS_KINESIS_STREAM_NAME", "__NOT_SET__")
        .environment("AWS_S3_BUCKET", "__NOT_SET__")
        .environment("AWS_S3_PREFIX", "__NOT_SET__")
        .environment("S3_BATCH_MAX_BYTES", "30000000")
        .environment("S3_BATCH_TIMEOUT_SECS", "60")
        .environment("SERVER_ENDPOINT_PATH", "/events")
        .environment("PING_ENDPOINT_PATH", "/alive")
        .environment("SERVER_CORS_ORIGIN", "__NOT_SET__")
        .environment("DEV_MODE", "No")
}

fn the_seeds_variables_lead_to_the_topic(driver: Driver) {
    let broker = shared_broker();
    let topic = format!("seed-{}", driver.name());
    broker.create_topic(&topic, 1, &[]);
    let engine = Engine::start(&seed(driver, &topic).environment("STREAM_ACK_ENABLE", "true"));
    assert_eq!(engine.exchange(&Request::get("/alive")).status, 200);
    assert_eq!(engine.exchange(&Request::post("/collect", "no such path")).status, 404);
    let response = engine.exchange(&Request::post("/events?appId=a&platform=Web", "acknowledged"));
    assert_eq!((response.status, response.text()), (200, ""));
    // `true` means that it is there by now.
    let records = records(broker, &topic);
    assert_eq!(records.len(), 1);
    let record = record_of(&records, &response);
    assert_eq!(
        (record.data(), record.text("appId"), record.text("path")),
        ("acknowledged", Some("a"), Some("/events"))
    );
}

#[test]
fn without_acknowledgement_events_arrive_as_well() {
    let broker = shared_broker();
    broker.create_topic("seed-unacknowledged", 1, &[]);
    let options = seed(Driver::Epoll, "seed-unacknowledged").environment("STREAM_ACK_ENABLE", "false");
    let mut engine = Engine::start(&options);
    let mut client = engine.connect();
    let responses: Vec<_> = (0..50)
        .map(|number| client.exchange(&Request::post("/events?appId=a", format!("event {number}"))))
        .collect();
    assert!(responses.iter().all(|response| response.status == 200));
    // What is in memory is flushed by a drain.
    engine.terminate();
    assert_eq!(engine.wait(PATIENCE).code(), Some(0));
    let records = poll_until("all events", PATIENCE, || {
        let records = records(broker, "seed-unacknowledged");
        (records.len() >= responses.len()).then_some(records)
    });
    assert_eq!(records.len(), responses.len());
    for (number, response) in responses.iter().enumerate() {
        assert_eq!(record_of(&records, response).data(), format!("event {number}"));
    }
}
