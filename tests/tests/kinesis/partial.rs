//! Failures of single records inside an answer 200. The system that Millrun replaces answered its clients 200 for such
//! records, and lost them.

use support::kinesis_proxy::Behaviour;
use support::load::Load;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers};

use super::{engine_options, judged, patient_load, progress, proxy, records, shared_server};

on_both_drivers!(
    a_call_answered_200_that_stored_nothing_acknowledges_nothing,
    only_what_failed_is_sent_again_and_nothing_is_lost
);

fn a_call_answered_200_that_stored_nothing_acknowledges_nothing(driver: Driver) {
    let stream = format!("all-failed-{}", driver.name());
    shared_server().create_stream(&stream, 1);
    let proxy = proxy(Behaviour { internal_failures: 1.0, ..Behaviour::default() });
    let options = engine_options(driver, &proxy.endpoint(), &stream).section("ack", "deadline_ms = 1000");
    let engine = Engine::start(&options);
    let mut client = engine.connect();
    for number in 0..5 {
        let response = client.exchange(&Request::post("/collect?appId=a", format!("event {number}")));
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
    }
    let counts = proxy.counts();
    assert!(counts.calls > 1 && counts.troubled == 0, "every call was answered 200: {counts:?}");
    assert_eq!(counts.internal, counts.entries, "and every record in it failed");
    assert!(records(&stream).is_empty());
}

fn only_what_failed_is_sent_again_and_nothing_is_lost(driver: Driver) {
    let stream = format!("some-failed-{}", driver.name());
    shared_server().create_stream(&stream, 2);
    let proxy = proxy(Behaviour { internal_failures: 0.3, ..Behaviour::default() });
    let engine = Engine::start(&engine_options(driver, &proxy.endpoint(), &stream));
    let load = Load::start(engine.address(), patient_load());
    progress(&load, 500, "progress though three in ten fail");
    let ledger = load.stop();
    let counts = proxy.counts();
    assert!(counts.internal > 100 && counts.troubled == 0, "{counts:?}");
    assert!(counts.entries > counts.calls, "answers mixed successes and failures: {counts:?}");
    let records = records(&stream);
    assert_eq!(records.len(), counts.entries - counts.internal, "each entry that passed is one record");
    let verdict = judged(&ledger, &records, &[]);
    assert_eq!(verdict.duplicates, Vec::<String>::new(), "what is stored is not sent again");
}
