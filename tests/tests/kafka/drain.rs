//! SIGTERM while requests wait for Kafka.

use support::load::Load;
use support::poll::PATIENCE;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, judged, patient_load, shared_broker};

on_both_drivers!(a_drain_under_load_answers_what_it_accepted);

fn a_drain_under_load_answers_what_it_accepted(driver: Driver) {
    let broker = shared_broker();
    let topic = format!("drain-{}", driver.name());
    broker.create_topic(&topic, 2, &[]);
    let options = engine_options(driver, &broker.brokers(), &topic).server("drain_delay_ms = 500");
    let mut engine = Engine::start(&options);
    let load = Load::start(engine.address(), patient_load());
    poll_until("the load to run", PATIENCE, || (load.stored() >= 500).then_some(()));
    engine.terminate();
    let status = engine.wait(PATIENCE);
    let ledger = load.stop();
    assert_eq!(status.code(), Some(0), "{status}");
    let verdict = judged(&ledger, broker, &topic, &[]);
    assert_eq!(verdict.stored_unanswered, Vec::<String>::new(), "accepted, never answered");
    assert_eq!(verdict.stored_though_refused, Vec::<String>::new());
    assert_eq!(verdict.duplicates, Vec::<String>::new());
}
