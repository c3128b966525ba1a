//! Shards that take less than is sent.

use support::kinesis_proxy::Behaviour;
use support::kinesis_proxy::shard_limits::ShardLimits;
use support::load::{Load, LoadOptions};
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
        // In doubt is what was on its way at the deadline.
        let error = response.error();
        let known = ["delivery_failed", "delivery_unknown", "sink_unavailable"];
        assert!(known.contains(&error.as_str()), "{error}");
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
    let unknown = metric(&engine, "millrun_unknown_deliveries_total", &[("sink", "events")]);
    let late = metric(&engine, "millrun_late_deliveries_total", &[("sink", "events")]);
    #[allow(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    let stored = verdict.stored_though_refused.len() as f64;
    assert!(stored <= unknown + late, "{stored} stored though refused, {unknown} + {late} counted");
}

/// One key gets many times what its shard takes; another has a shard with room.
#[test]
fn a_hot_key_is_refused_and_the_others_are_stored() {
    let server = shared_server();
    server.create_stream("hot", 2);
    let limits = ShardLimits { records_per_s: 8.0, bytes_per_s: 1e6 };
    let proxy = proxy(Behaviour { limits, ..Behaviour::default() });
    let options = engine_options(Driver::Epoll, &proxy.endpoint(), "hot")
        .section("sink.events", "partition_key = \"query:user\"\ncall_timeout_ms = 3500")
        // More than the hot ones can hold: each of their requests one, and those that were given up and are still tried.
        .section("batch", "count = 400\narena_bytes = 8192");
    let engine = Engine::start(&options);
    let shards = server.shards("hot");
    let shard_of = |key: &str| {
        let key = millrun_sinks::kpl::hash_key_of(key);
        shards.iter().position(|shard| (shard.first..=shard.last).contains(&key))
    };
    let mut keys = (0..).map(|number| format!("user-{number}"));
    let hot = keys.next().unwrap();
    let cool = keys.find(|key| shard_of(key) != shard_of(&hot)).unwrap();
    let load = |user: &str, prefix: &str, connections| {
        let options = LoadOptions {
            target: format!("/collect?appId=a&user={user}"),
            prefix: prefix.to_owned(),
            connections,
            // A client that does not rest takes the server its CPU, and calls run out of time.
            ..patient_load()
        };
        Load::start(engine.address(), options)
    };
    let hot = load(&hot, "hot", 64);
    poll_until("the hot shard to throttle", PATIENCE, || {
        (metric(&engine, "millrun_kinesis_shards_held_back", &[("sink", "events")]) > 0.0).then_some(())
    });
    let cool = load(&cool, "cool", 1);
    poll_until("hot ones to be refused", PATIENCE, || (hot.answered() >= hot.stored() + 50).then_some(()));
    // One that shares a batch with hot ones is answered with them, which may take until the deadline: 4 s each.
    progress(&cool, 8, "progress beside the hot key");
    let (mut ledger, cool) = (hot.stop(), cool.stop());
    println!("hot: {}", ledger.summary());
    println!("cool: {}", cool.summary());
    assert_eq!(cool.stored(), cool.entries.len(), "the cool key has a shard of its own: {}", cool.summary());
    ledger.absorb(cool);
    judged(&ledger, &records("hot"), &[]);
}
