//! Splits and merges in mid-stream.

use support::kinesis_proxy::Behaviour;
use support::load::{Load, LoadOptions};
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{
    RECOVERY, engine_options, judged, metric, patient, patient_load, progress, proxy, records, shared_server,
};

on_both_drivers!(a_reshard_under_load_loses_nothing);

fn a_reshard_under_load_loses_nothing(driver: Driver) {
    survives(driver, &format!("resharded-{}", driver.name()), "partition_key = \"rid\"");
}

/// A consumer drops records of an aggregate that landed on a shard which does not take their keys.
#[test]
fn aggregated_records_survive_as_well() {
    let lines = "partition_key = \"rid\"\naggregate_bytes_max = 20000\ncall_linger_ms = 20";
    survives(Driver::Epoll, "resharded-aggregated", lines);
}

fn survives(driver: Driver, stream: &str, lines: &str) {
    let server = shared_server();
    server.create_stream(stream, 2);
    let proxy = proxy(Behaviour::default());
    // A call that is given up may have stored its records, and the next one stores them again: a server that is slow
    // beside other tests gets its time, so that a duplicate can only come from the reshard.
    let options = engine_options(driver, &proxy.endpoint(), stream)
        .section("sink.events", &format!("{lines}\ncall_timeout_ms = 15000"));
    let engine = Engine::start(&patient(options));
    let load = Load::start(engine.address(), LoadOptions { connections: 24, ..patient_load() });
    progress(&load, 200, "progress before the split");
    server.split(stream, &server.shards(stream)[0]);
    progress(&load, 200, "progress after the split");
    let mut open: Vec<_> = server.shards(stream).into_iter().filter(|shard| shard.open).collect();
    open.sort_by_key(|shard| shard.first);
    server.merge(stream, &open[1], &open[2]);
    progress(&load, 400, "progress after the merge");
    let ledger = load.stop();
    let reaches = |name: &str, least: f64| {
        let reached = || (metric(&engine, name, &[("sink", "events")]) >= least).then_some(());
        poll_until(name, RECOVERY, reached);
    };
    reaches("millrun_kinesis_landed_elsewhere_total", 1.0);
    reaches("millrun_kinesis_shard_maps_total", 2.0);
    let records = records(stream);
    let verdict = judged(&ledger, &records, &[]);
    assert_eq!(verdict.duplicates, Vec::<String>::new());
}
