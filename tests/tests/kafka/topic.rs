//! A topic that does not exist, and nobody makes it.

use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, poll_until};

use super::{engine_options, records, shared_broker, with_files};

#[test]
fn a_missing_topic_fails_its_own_route_only_until_somebody_makes_it() {
    let broker = shared_broker();
    let dir = tempfile::tempdir().unwrap();
    let options = engine_options(Driver::IoUring, &broker.brokers(), "missing");
    let engine = Engine::start(&with_files(options, dir.path()));
    let (mut client, mut other) = (engine.connect(), engine.connect());
    for number in 0..10 {
        let response = client.exchange(&Request::post("/collect?appId=a", format!("missing {number}")));
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
        let error = response.error();
        assert!(
            ["delivery_failed", "sink_unavailable"].contains(&error.as_str()),
            "{error}: nothing is in doubt"
        );
        assert_eq!(other.exchange(&Request::post("/files", "stored")).status, 200);
        assert_eq!(engine.readiness(), Some(200));
        assert_eq!(engine.exchange(&Request::get("/health")).status, 200);
    }
    broker.create_topic("missing", 1, &[]);
    poll_until("the engine to find the topic by itself", PATIENCE, || {
        let response = client.exchange(&Request::post("/collect?appId=a", "found"));
        (response.status == 200).then_some(())
    });
    let records = records(broker, "missing");
    assert_eq!(records.iter().filter(|record| record.data() == "found").count(), 1);
    assert!(records.iter().all(|record| record.data() == "found"), "what was refused is not stored");
}
