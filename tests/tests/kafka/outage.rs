//! Brokers that die, freeze, or are not there yet, under load.

use std::thread;
use std::time::Duration;

use support::kafka::{KafkaOptions, KafkaServer};
use support::ledger::{Outcome, Silence};
use support::load::{Load, LoadOptions};
use support::oracle::{Verdict, judge};
use support::poll::PATIENCE;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, judged, metric, patient_load, printed_memory_bytes, records, sinks_down};

on_both_drivers!(a_killed_broker_costs_no_acknowledged_event);

/// A broker's start included.
const RECOVERY: Duration = Duration::from_mins(1);

/// Waits until `count` more events were answered 200.
fn progress(load: &Load, count: u64, what: &str) {
    let goal = load.stored() + count;
    poll_until(what, RECOVERY, || (load.stored() >= goal).then_some(()));
}

fn assert_memory_is_bounded(engine: &Engine) {
    let (rss, sum) = (engine.rss_bytes(), printed_memory_bytes(engine));
    println!("{rss} bytes of {sum} are resident");
    assert!(rss < sum, "{rss} bytes are resident, {sum} were promised");
}

/// What is stored though its client read 503 was counted as unknown or late. Returns how many were counted.
#[allow(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn assert_doubts_are_counted(engine: &Engine, verdict: &Verdict) -> f64 {
    let labels = [("sink", "events")];
    let unknown = metric(engine, "millrun_unknown_deliveries_total", &labels);
    let late = metric(engine, "millrun_late_deliveries_total", &labels);
    let stored = verdict.stored_though_refused.len();
    println!("{stored} stored though answered 503; counted: {unknown} unknown, {late} late");
    assert!(stored as f64 <= unknown + late, "{stored} stored though refused, {unknown} + {late} counted");
    unknown + late
}

fn a_killed_broker_costs_no_acknowledged_event(driver: Driver) {
    let mut broker = KafkaServer::start();
    broker.create_topic("killed", 2, &[]);
    let mut engine = Engine::start(&engine_options(driver, &broker.brokers(), "killed"));
    let load = Load::start(engine.address(), patient_load());
    for _ in 0..2 {
        progress(&load, 300, "progress before the kill");
        let refused =
            || metric(&engine, "millrun_answers_total", &[("status", "503"), ("reason", "sink_unavailable")]);
        let before = refused();
        broker.kill();
        poll_until("requests to be refused", PATIENCE, || (refused() > before).then_some(()));
        assert_memory_is_bounded(&engine);
        assert_eq!(engine.readiness(), Some(200), "the engine is well, its sink is not");
        broker.start_broker();
        progress(&load, 300, "progress by itself after the broker's return");
        assert_memory_is_bounded(&engine);
    }
    let ledger = load.stop();
    let verdict = judged(&ledger, &broker, "killed", &[]);
    assert!(ledger.with_status(503).count() > 0, "{}", ledger.summary());
    assert!(
        !ledger.entries.values().any(|outcome| matches!(outcome, Outcome::Unanswered(_))),
        "all are answered"
    );
    assert_eq!(verdict.duplicates, Vec::<String>::new(), "the producer is idempotent");
    assert_doubts_are_counted(&engine, &verdict);
    assert_eq!(engine.try_wait(), None, "it was never restarted");
}

#[test]
fn a_broker_frozen_for_twenty_seconds_makes_no_answer_a_lie() {
    let broker = KafkaServer::start();
    broker.create_topic("frozen", 2, &[]);
    let engine = Engine::start(&engine_options(Driver::IoUring, &broker.brokers(), "frozen"));
    // Far above the acknowledgement's deadline of 4 s: an answer that never comes is found, a late one is not.
    let load =
        Load::start(engine.address(), LoadOptions { timeout: Duration::from_secs(25), ..patient_load() });
    progress(&load, 300, "progress before the freeze");
    let answers =
        |reason: &str| metric(&engine, "millrun_answers_total", &[("status", "503"), ("reason", reason)]);
    broker.pause();
    // The length of the freeze is the fault, not a wait for something.
    let freeze = thread::spawn(|| thread::sleep(Duration::from_secs(20)));
    poll_until("answers that say that it is not known", PATIENCE, || {
        (answers("delivery_unknown") > 0.0).then_some(())
    });
    poll_until("the breaker to refuse", PATIENCE, || (answers("sink_unavailable") > 0.0).then_some(()));
    poll_until("/ready to name the sink", PATIENCE, || (sinks_down(&engine) == ["events"]).then_some(()));
    freeze.join().unwrap();
    assert_memory_is_bounded(&engine);
    broker.resume();
    progress(&load, 300, "progress by itself after the freeze");
    poll_until("/ready to name no sink", PATIENCE, || sinks_down(&engine).is_empty().then_some(()));
    let ledger = load.stop();
    let verdict = judged(&ledger, &broker, "frozen", &[]);
    let silent = |outcome: &&Outcome| matches!(outcome, Outcome::Unanswered(Silence::TimedOut));
    assert_eq!(ledger.entries.values().filter(silent).count(), 0, "every request is answered");
    assert!(assert_doubts_are_counted(&engine, &verdict) > 0.0, "the freeze leaves some in doubt");
    assert_eq!(verdict.duplicates, Vec::<String>::new(), "the producer is idempotent");
}

#[test]
fn an_engine_started_before_its_broker_serves_and_recovers_by_itself() {
    let mut broker = KafkaServer::prepare(&KafkaOptions::default());
    let engine = Engine::start(&engine_options(Driver::Epoll, &broker.brokers(), "made-by-itself"));
    poll_until("/ready to name the sink", PATIENCE, || (sinks_down(&engine) == ["events"]).then_some(()));
    let mut client = engine.connect();
    for _ in 0..5 {
        let response = client.exchange(&Request::post("/collect?appId=a", "refused"));
        assert_eq!(response.status, 503, "{response:?}");
        let seconds = response.header("Retry-After").unwrap();
        assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "Retry-After: {seconds}");
    }
    let load = Load::start(engine.address(), patient_load());
    broker.start_broker();
    progress(&load, 100, "progress once the broker is there");
    poll_until("/ready to name no sink", PATIENCE, || sinks_down(&engine).is_empty().then_some(()));
    let ledger = load.stop();
    // The posts from before the load were sent by hand.
    let records = records(&broker, "made-by-itself");
    let loaded = records.iter().map(Record::data).filter(|data| *data != "refused");
    judge(&ledger, loaded, &[]).assert_truthful();
}
