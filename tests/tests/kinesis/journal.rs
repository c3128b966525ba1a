//! `ack = "journaled"` in front of Kinesis: 200 whatever the service does, and delivery across the death of the engine.

use std::collections::BTreeSet;

use support::kinesis_proxy::{Behaviour, Trouble};
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{RECOVERY, engine_options, proxy, records, shared_server};

on_both_drivers!(what_is_journaled_is_delivered_after_an_outage_and_a_kill);

fn what_is_journaled_is_delivered_after_an_outage_and_a_kill(driver: Driver) {
    let stream = format!("journaled-{}", driver.name());
    shared_server().create_stream(&stream, 2);
    let proxy = proxy(Behaviour::default());
    let journal = tempfile::tempdir().unwrap();
    let options = engine_options(driver, &proxy.endpoint(), &stream)
        .section("route.collect", "ack = \"journaled\"")
        .limits("record_bytes_max = 1048000")
        .section(
            "journal",
            &format!(
                "dir = \"{}\"\nsegment_bytes = 4194304\nbytes_max = 134217728",
                journal.path().display()
            ),
        );
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
