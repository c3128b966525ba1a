//! Shards that take less than is sent.

use support::kinesis_proxy::Behaviour;
use support::kinesis_proxy::shard_limits::ShardLimits;
use support::load::Load;
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, judged, metric, patient_load, progress, proxy, records, shared_server};

on_both_drivers!(throttled_for_ever_is_refused_until_it_ends);

fn throttled_for_ever_is_refused_until_it_ends(driver: Driver) {
    let stream = format!("throttled-{}", driver.name());
    shared_server().create_stream(&stream, 1);
    let nothing = ShardLimits { records_per_s: 0.0, bytes_per_s: 0.0 };
    let proxy = proxy(Behaviour { limits: nothing, ..Behaviour::default() });
    let options = engine_options(driver, &proxy.endpoint(), &stream).section("ack", "deadline_ms = 1500");
    let engine = Engine::start(&options);
    let mut client = engine.connect();
    for _ in 0..5 {
        let response = client.exchange(&Request::post("/collect?appId=a", "refused"));
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
        let error = response.error();
        assert!(
            ["delivery_failed", "sink_unavailable"].contains(&error.as_str()),
            "{error}: nothing is in doubt"
        );
    }
    let counts = proxy.counts();
    assert!(counts.entries > 0 && counts.troubled == 0, "every call was answered 200: {counts:?}");
    assert!(records(&stream).is_empty());
    proxy.change(|behaviour| behaviour.limits = ShardLimits::NONE);
    poll_until("the engine to notice by itself", PATIENCE, || {
        let response = client.exchange(&Request::post("/collect?appId=a", "stored"));
        (response.status == 200).then_some(())
    });
    let records = records(&stream);
    assert_eq!(records.iter().filter(|record| record.data() == "stored").count(), 1);
    assert!(records.iter().all(|record| record.data() == "stored"), "what was refused is not stored");
}

#[test]
fn a_stream_that_is_too_small_makes_answers_late_or_refusals_and_no_losses() {
    shared_server().create_stream("too-small", 2);
    let limits = ShardLimits { records_per_s: 30.0, bytes_per_s: 1e6 };
    let proxy = proxy(Behaviour { limits, ..Behaviour::default() });
    let engine = Engine::start(&engine_options(Driver::IoUring, &proxy.endpoint(), "too-small"));
    let load = Load::start(engine.address(), patient_load());
    progress(&load, 300, "progress at the stream's pace");
    let ledger = load.stop();
    assert!(!proxy.counts().throttled.is_empty(), "the load was too small");
    assert!(metric(&engine, "millrun_kinesis_records_throttled_total", &[("sink", "events")]) > 0.0);
    let verdict = judged(&ledger, &records("too-small"), &[]);
    assert_eq!(verdict.duplicates, Vec::<String>::new(), "a throttled record is surely not stored");
    assert_eq!(verdict.stored_though_refused, Vec::<String>::new());
}
