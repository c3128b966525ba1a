//! One sink's outage is no other route's.

use support::files::completed_records;
use support::kafka::KafkaServer;
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::Record;
use support::{Driver, Engine, poll_until};

use super::{engine_options, judged, metric, patient_load, with_files};

#[test]
fn a_dead_broker_does_not_touch_the_route_to_files() {
    let mut broker = KafkaServer::start();
    broker.create_topic("beside", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let options = engine_options(Driver::Epoll, &broker.brokers(), "beside");
    let mut engine = Engine::start(&with_files(options, dir.path()));
    let kafka = Load::start(engine.address(), LoadOptions { prefix: "k".to_owned(), ..patient_load() });
    let files = Load::start(
        engine.address(),
        LoadOptions {
            target: "/files?appId=f".to_owned(),
            prefix: "f".to_owned(),
            connections: 4,
            ..LoadOptions::default()
        },
    );
    poll_until("both routes to store", PATIENCE, || {
        (kafka.stored() >= 200 && files.stored() >= 200).then_some(())
    });
    broker.kill();
    poll_until("requests to be refused", PATIENCE, || {
        let refused = [("route", "collect"), ("reason", "sink_unavailable")];
        (metric(&engine, "millrun_answers_total", &refused) > 0.0).then_some(())
    });
    let goal = files.stored() + 500;
    poll_until("files to be written meanwhile", PATIENCE, || (files.stored() >= goal).then_some(()));
    let (kafka, files) = (kafka.stop(), files.stop());
    assert_eq!(files.stored(), files.entries.len(), "every answer is 200: {}", files.summary());
    engine.terminate();
    assert_eq!(engine.wait(PATIENCE).code(), Some(0), "a dead broker does not hold the drain");
    let records = completed_records(dir.path());
    judge(&files, records.iter().map(Record::data), &[]).assert_truthful();
    broker.start_broker();
    judged(&kafka, &broker, "beside", &[]);
}
