//! SIGTERM and SIGINT: every request that was accepted is answered, truthfully and whole, and the engine exits 0.

use std::time::Duration;

use support::files::completed_records;
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::{Record, record_of};
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(
    a_drain_under_load_cuts_off_nothing,
    a_request_on_its_way_is_finished,
    an_idle_engine_ends_at_once,
    sigint_drains_too,
    a_client_that_never_finishes_does_not_hold_the_drain,
);

fn a_drain_under_load_cuts_off_nothing(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).server("drain_delay_ms = 1000"));
    let load = Load::start(engine.address(), LoadOptions { connections: 16, ..LoadOptions::default() });
    poll_until("the load to run", PATIENCE, || (load.stored() >= 500).then_some(()));
    engine.terminate();
    poll_until("/ready to say no while the engine still serves", PATIENCE, || {
        (engine.readiness() == Some(503)).then_some(())
    });
    let goal = load.stored() + 50;
    poll_until("more events to be stored during the delay", PATIENCE, || {
        (load.stored() >= goal).then_some(())
    });
    let status = engine.wait(PATIENCE);
    let ledger = load.stop();
    println!("{}", ledger.summary());
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(ledger.closes_announced > 0, "clients are told to go elsewhere: {}", ledger.summary());

    let records = completed_records(engine.data_dir());
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
    verdict.assert_whole();
    assert!(verdict.duplicates.is_empty());
    // A request that got as far as the sink was accepted: its client must have been told.
    assert!(
        verdict.stored_unanswered.is_empty(),
        "accepted, never answered: {:?}",
        verdict.stored_unanswered
    );
    assert!(verdict.stored_though_refused.is_empty(), "{:?}", verdict.stored_though_refused);
}

fn a_request_on_its_way_is_finished(driver: Driver) {
    let options = EngineOptions::new(driver).server("shards = 1\ndrain_delay_ms = 1000");
    let mut engine = Engine::start(&options);
    let request = Request::post("/collect", "begun before the end").bytes();
    let mut client = engine.connect();
    client.send(&request[..request.len() - 5]);
    // By the time that the only shard has answered this one, it has seen the beginning of the other.
    assert_eq!(engine.exchange(&Request::get("/health")).status, 200);
    engine.terminate();
    poll_until("the drain to begin", PATIENCE, || (engine.readiness() != Some(200)).then_some(()));
    client.send(&request[request.len() - 5..]);
    let response = client.read_response();
    assert!(response.announces_close(), "{response:?}");
    assert_eq!(engine.wait(PATIENCE).code(), Some(0));
    let records = completed_records(engine.data_dir());
    assert_eq!(record_of(&records, &response).data(), "begun before the end");
}

fn an_idle_engine_ends_at_once(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    // Idle keep-alive connections are closed, not waited for: their timeout is 200 s.
    let mut idle: Vec<_> = (0..20).map(|_| engine.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.exchange(&Request::get("/health")).status, 200);
    }
    engine.terminate();
    assert_eq!(engine.wait(PATIENCE).code(), Some(0));
    for client in &mut idle {
        assert_eq!(client.ending(), support::http::Ending::Closed);
    }
}

fn sigint_drains_too(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let response = engine.exchange(&Request::post("/collect", "stored"));
    engine.signal(libc::SIGINT);
    assert_eq!(engine.wait(PATIENCE).code(), Some(0));
    let records = completed_records(engine.data_dir());
    assert_eq!(record_of(&records, &response).data(), "stored");
}

fn a_client_that_never_finishes_does_not_hold_the_drain(driver: Driver) {
    let mut engine = Engine::start(
        &EngineOptions::new(driver).server("drain_deadline_ms = 2000").section("ack", "deadline_ms = 1500"),
    );
    let mut client = engine.connect();
    client.send(b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(engine.exchange(&Request::post("/collect", "stored")).status, 200);
    engine.terminate();
    let status = engine.wait(Duration::from_secs(28));
    assert_eq!(status.code(), Some(0), "{status}");
    let records = completed_records(engine.data_dir());
    assert_eq!(records.iter().map(Record::data).collect::<Vec<_>>(), ["stored"]);
}
