//! The variables of the system that the engine replaces, and no file.

use support::poll::PATIENCE;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{records, shared_server};

on_both_drivers!(the_seeds_variables_lead_to_the_stream);

fn seed(driver: Driver, stream: &str) -> EngineOptions {
    EngineOptions::embedded(driver)
        .environment("AWS_REGION", "us-east-1")
        .environment("AWS_KINESIS_STREAM_NAME", stream)
        .environment("AWS_MSK_BROKERS", "__NOT_SET__")
        .environment("AWS_MSK_TOPIC", "__NOT_SET__")
        .environment("AWS_S3_BUCKET", "__NOT_SET__")
        .environment("AWS_S3_PREFIX", "__NOT_SET__")
        .environment("S3_BATCH_MAX_BYTES", "30000000")
        .environment("S3_BATCH_TIMEOUT_SECS", "60")
        .environment("SERVER_ENDPOINT_PATH", "/events")
        .environment("PING_ENDPOINT_PATH", "/alive")
        .environment("SERVER_CORS_ORIGIN", "__NOT_SET__")
        .environment("DEV_MODE", "No")
        // The SDK's own, as a task's role would bring them.
        .environment("AWS_ENDPOINT_URL_KINESIS", &shared_server().endpoint())
        .environment("AWS_ACCESS_KEY_ID", "test")
        .environment("AWS_SECRET_ACCESS_KEY", "test")
        .environment("MILLRUN_ACK__DEADLINE_MS", "20000")
}

fn the_seeds_variables_lead_to_the_stream(driver: Driver) {
    let stream = format!("seed-{}", driver.name());
    shared_server().create_stream(&stream, 1);
    let engine = Engine::start(&seed(driver, &stream).environment("STREAM_ACK_ENABLE", "true"));
    assert_eq!(engine.exchange(&Request::get("/alive")).status, 200);
    assert_eq!(engine.exchange(&Request::post("/collect", "no such path")).status, 404);
    let response = engine.exchange(&Request::post("/events?appId=a&platform=Web", "acknowledged"));
    assert_eq!((response.status, response.text()), (200, ""));
    // `true` means that it is there by now.
    let records = records(&stream);
    assert_eq!(records.len(), 1);
    let record = record_of(&records, &response);
    assert_eq!(
        (record.data(), record.text("appId"), record.text("path")),
        ("acknowledged", Some("a"), Some("/events"))
    );
}

#[test]
fn without_acknowledgement_events_arrive_as_well() {
    shared_server().create_stream("seed-unacknowledged", 1);
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
        let records = records("seed-unacknowledged");
        (records.len() >= responses.len()).then_some(records)
    });
    assert_eq!(records.len(), responses.len());
    for (number, response) in responses.iter().enumerate() {
        assert_eq!(record_of(&records, response).data(), format!("event {number}"));
    }
}
