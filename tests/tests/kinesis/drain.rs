//! SIGTERM while requests wait for Kinesis.

use support::load::Load;
use support::poll::PATIENCE;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, judged, patient_load, records, shared_server};

on_both_drivers!(a_drain_under_load_answers_what_it_accepted);

fn a_drain_under_load_answers_what_it_accepted(driver: Driver) {
    let stream = format!("drain-{}", driver.name());
    let server = shared_server();
    server.create_stream(&stream, 2);
    let options = engine_options(driver, &server.endpoint(), &stream)
        .server("drain_delay_ms = 500")
        .section("sink.events", "call_linger_ms = 200");
    let mut engine = Engine::start(&options);
    let load = Load::start(engine.address(), patient_load());
    poll_until("the load to run", PATIENCE, || (load.stored() >= 200).then_some(()));
    engine.terminate();
    let status = engine.wait(PATIENCE);
    let ledger = load.stop();
    assert_eq!(status.code(), Some(0), "{status}");
    let verdict = judged(&ledger, &records(&stream), &[]);
    assert_eq!(verdict.stored_unanswered, Vec::<String>::new(), "accepted, never answered");
    assert_eq!(verdict.duplicates, Vec::<String>::new());
}
