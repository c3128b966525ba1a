//! A service that dies, freezes, or is not there yet, under load; credentials that expire.

use std::thread;
use std::time::Duration;

use support::kinesis::KinesisServer;
use support::kinesis_proxy::{Behaviour, KinesisProxy, Trouble};
use support::ledger::{Outcome, Silence};
use support::load::{Load, LoadOptions};
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{
    RECOVERY, assert_memory_is_bounded, consumer, engine_options, judged, metric, parse, patient_load,
    progress, proxy, records, shared_server, sinks_down,
};

on_both_drivers!(a_killed_server_costs_no_confirmed_event);

fn refused(engine: &Engine, reason: &str) -> f64 {
    metric(engine, "millrun_answers_total", &[("status", "503"), ("reason", reason)])
}

/// The server loses its memory with its life, so that the proxy's account of what it had confirmed is the truth.
fn a_killed_server_costs_no_confirmed_event(driver: Driver) {
    let mut server = KinesisServer::start();
    server.create_stream("killed", 2);
    let proxy = KinesisProxy::start(server.address(), Behaviour::default());
    let engine = Engine::start(&engine_options(driver, &proxy.endpoint(), "killed"));
    let load = Load::start(engine.address(), patient_load());
    progress(&load, 200, "progress before the kill");
    server.kill();
    poll_until("requests to be refused", PATIENCE, || {
        (refused(&engine, "sink_unavailable") > 0.0).then_some(())
    });
    poll_until("/ready to name the sink", PATIENCE, || (sinks_down(&engine) == ["events"]).then_some(()));
    assert_memory_is_bounded(&engine);
    server.start_again();
    server.create_stream("killed", 2);
    progress(&load, 200, "progress by itself after the kill");
    poll_until("/ready to name no sink", RECOVERY, || sinks_down(&engine).is_empty().then_some(()));
    let ledger = load.stop();
    judged(&ledger, &parse(proxy.confirmed()), &[]);
}

#[test]
fn a_frozen_server_leaves_doubts_that_are_told_and_no_losses() {
    let server = KinesisServer::start();
    server.create_stream("frozen", 2);
    let engine = Engine::start(&engine_options(Driver::IoUring, &server.endpoint(), "frozen"));
    // Far above the acknowledgement's deadline of 4 s: an answer that never comes is found, a late one is not.
    let load =
        Load::start(engine.address(), LoadOptions { timeout: Duration::from_secs(25), ..patient_load() });
    progress(&load, 100, "progress before the freeze");
    server.pause();
    // The length of the freeze is the fault, not a wait for something.
    let freeze = thread::spawn(|| thread::sleep(Duration::from_secs(12)));
    poll_until("answers that say that it is not known", PATIENCE, || {
        (refused(&engine, "delivery_unknown") > 0.0).then_some(())
    });
    freeze.join().unwrap();
    assert_memory_is_bounded(&engine);
    server.resume();
    progress(&load, 100, "progress by itself after the freeze");
    let ledger = load.stop();
    let silent = |outcome: &&Outcome| matches!(outcome, Outcome::Unanswered(Silence::TimedOut));
    assert_eq!(ledger.entries.values().filter(silent).count(), 0, "every request is answered");
    let values = consumer::values(&server, "frozen");
    let verdict = judged(&ledger, &parse(values), &[]);
    #[allow(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    let stored = verdict.stored_though_refused.len() as f64;
    let labels = [("sink", "events")];
    let unknown = metric(&engine, "millrun_unknown_deliveries_total", &labels);
    let late = metric(&engine, "millrun_late_deliveries_total", &labels);
    assert!(stored <= unknown + late, "{stored} stored though refused, {unknown} + {late} counted");
}

#[test]
fn an_engine_started_before_its_server_serves_and_recovers_by_itself() {
    let mut server = KinesisServer::prepare();
    let engine = Engine::start(&engine_options(Driver::Epoll, &server.endpoint(), "late"));
    poll_until("/ready to name the sink", PATIENCE, || {
        let response = engine.exchange(&Request::post("/collect?appId=a", "refused"));
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
        (sinks_down(&engine) == ["events"]).then_some(())
    });
    server.start_again();
    let load = Load::start(engine.address(), patient_load());
    poll_until("an answer", PATIENCE, || (load.answered() > 0).then_some(()));
    // Until here there was a server and no stream.
    assert_eq!(load.stored(), 0);
    server.create_stream("late", 1);
    progress(&load, 50, "progress once the stream is there");
    let ledger = load.stop();
    judged(&ledger, &parse(consumer::values(&server, "late")), &[]);
}

#[test]
fn expired_credentials_and_lost_answers_under_load_cost_nothing_that_was_acknowledged() {
    shared_server().create_stream("troubled", 2);
    let proxy = proxy(Behaviour::default());
    let engine = Engine::start(&engine_options(Driver::Epoll, &proxy.endpoint(), "troubled"));
    let load = Load::start(engine.address(), patient_load());
    progress(&load, 100, "progress before the troubles");
    proxy.change(|behaviour| {
        let expired = Trouble::Error { status: 400, code: "ExpiredTokenException" };
        let broken = Trouble::Error { status: 500, code: "InternalFailure" };
        let busy = Trouble::Error { status: 503, code: "ServiceUnavailable" };
        let troubles = [Trouble::StoredUnanswered, expired, Trouble::Cut, broken, busy, Trouble::Cut];
        behaviour.troubles = troubles.into_iter().cycle().take(30).collect();
    });
    progress(&load, 200, "progress through the troubles");
    let ledger = load.stop();
    assert_eq!(proxy.counts().troubled, 30);
    let verdict = judged(&ledger, &records("troubled"), &[]);
    assert!(!verdict.duplicates.is_empty(), "what was stored without an answer was sent again");
}
