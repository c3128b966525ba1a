//! `ack = "journaled"` in front of Kinesis: 200 whatever the service does, and delivery across the death of the engine.

use std::collections::BTreeSet;

use support::kinesis_proxy::{Behaviour, Trouble};
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{RECOVERY, engine_options, proxy, records, shared_server};

on_both_drivers!(
    what_is_journaled_is_delivered_after_an_outage_and_a_kill,
    an_end_waits_for_what_is_journaled,
);

fn what_is_journaled_is_delivered_after_an_outage_and_a_kill(driver: Driver) {
    let stream = format!("journaled-{}", driver.name());
    shared_server().create_stream(&stream, 2);
    let proxy = proxy(Behaviour::default());
    let journal = tempfile::tempdir().unwrap();
    let options = engine_options(driver, &proxy.endpoint(), &stream)
        .section("route.collect", "ack = \"journaled\"")
        .limits("record_bytes_max = 1048000")
        .section("journal", &journal_lines(journal.path()));
    let mut engine = Engine::start(&options);
    let mut answered = Vec::new();
    let mut post = |engine: &Engine, phase: &str| {
        let mut client = engine.connect();
        for number in 0..40 {
            let body = format!("{phase} {number}");
            assert_eq!(
                client.exchange(&Request::post("/collect?appId=a", body.clone())).status,
                200,
                "{body}"
            );
            answered.push(body);
        }
    };
    post(&engine, "with the service");
    proxy
        .change(|behaviour| behaviour.outage = Some(Trouble::Error { status: 500, code: "InternalFailure" }));
    post(&engine, "without the service");
    engine.kill();
    engine.start_again();
    post(&engine, "after the kill");
    // Partial failures are not delivered either.
    proxy.change(|behaviour| (behaviour.outage, behaviour.internal_failures) = (None, 0.5));
    let records = poll_until("everything to be delivered", RECOVERY, || {
        let records = records(&stream);
        let stored: BTreeSet<_> = records.iter().map(Record::data).collect();
        answered.iter().all(|body| stored.contains(body.as_str())).then_some(records)
    });
    assert!(
        records.iter().all(|record| answered.iter().any(|body| body == record.data())),
        "nothing else is"
    );
}

/// `drain.journal = "wait"`: what a host that does not come back has in its journal is delivered before it ends.
fn an_end_waits_for_what_is_journaled(driver: Driver) {
    let stream = format!("drained-{}", driver.name());
    shared_server().create_stream(&stream, 2);
    let proxy = proxy(Behaviour::default());
    let journal = tempfile::tempdir().unwrap();
    let options = engine_options(driver, &proxy.endpoint(), &stream)
        .section("route.collect", "ack = \"journaled\"")
        .limits("record_bytes_max = 1048000")
        .section("ack", "deadline_ms = 1000")
        .server("drain_deadline_ms = 2000\ndrain_delay_ms = 0")
        .section("drain", "journal = \"wait\"\nstop_timeout_ms = 60000")
        .section("journal", &journal_lines(journal.path()));
    let mut engine = Engine::start(&options);
    proxy
        .change(|behaviour| behaviour.outage = Some(Trouble::Error { status: 500, code: "InternalFailure" }));
    let bodies: BTreeSet<String> = (0..40).map(|number| format!("drained {number}")).collect();
    let mut client = engine.connect();
    for body in &bodies {
        assert_eq!(client.exchange(&Request::post("/collect?appId=a", body.clone())).status, 200);
    }
    drop(client);
    engine.terminate();
    poll_until("the drain", RECOVERY, || engine.log().contains("delivering the journal").then_some(()));
    assert_eq!(engine.try_wait(), None, "it waits: {}", engine.log());
    proxy.change(|behaviour| behaviour.outage = None);
    let status = engine.wait(RECOVERY);
    assert_eq!(status.code(), Some(0), "{}", engine.log());
    let records = records(&stream);
    let stored: BTreeSet<String> = records.iter().map(|record| record.data().to_owned()).collect();
    assert_eq!(stored, bodies);
}

fn journal_lines(dir: &std::path::Path) -> String {
    format!("dir = \"{}\"\nsegment_bytes = 4194304\nbytes_max = 134217728", dir.display())
}
