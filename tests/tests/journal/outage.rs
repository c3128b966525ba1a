//! What happens to records of delivered routes while their sink is down, by policy; and a journal that is full.

use std::time::Duration;

use support::files::completed_records;
use support::kafka::{KafkaOptions, KafkaServer};
use support::ledger::Ledger;
use support::load::{Load, LoadOptions};
use support::mount::SmallDisk;
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, post_until, topic, wait_until_delivered, with_kafka, with_route};

on_both_drivers!(
    an_outage_spills_into_the_journal,
    an_outage_falls_back_to_another_sink,
    a_full_disk_refuses_and_recovers,
    what_waits_ages_until_it_is_delivered,
    accepted_records_are_answered_by_the_journal_they_are_spilled_into,
    the_least_batches_are_enough_for_every_stream
);

const RECOVERY: Duration = Duration::from_mins(1);

fn an_outage_spills_into_the_journal(driver: Driver) {
    let journal = tempfile::tempdir().unwrap();
    let mut broker = KafkaServer::start();
    broker.create_topic("spilled", 1, &[]);
    let options =
        with_route(with_kafka(engine_options(driver, journal.path()), &broker, "spilled"), "delivered")
            .section("sink.events", "outage = \"journal\"");
    let engine = Engine::start(&options);
    let load = Load::start(
        engine.address(),
        LoadOptions { connections: 8, refused_pause: Duration::from_millis(25), ..LoadOptions::default() },
    );
    let progress = |count: u64, what: &str| {
        let goal = load.stored() + count;
        poll_until(what, RECOVERY, || (load.stored() >= goal).then_some(()));
    };
    progress(300, "progress before the outage");
    broker.kill();
    // More than what the client library could have had under way.
    let journaled =
        || engine.metrics()["millrun_batches_sealed_total{sink=\"journal/events\",reason=\"idle\"}"];
    let before = journaled();
    poll_until("batches to go into the journal", RECOVERY, || (journaled() > before + 20.0).then_some(()));
    progress(300, "progress during the outage");
    broker.start_broker();
    progress(300, "progress after the outage");
    let ledger: Ledger = load.stop();
    println!("{}", ledger.summary());
    wait_until_delivered(&engine, RECOVERY);
    let records = topic(&broker, "spilled");
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
}

fn an_outage_falls_back_to_another_sink(driver: Driver) {
    let (journal, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let broker = KafkaServer::prepare(&KafkaOptions::default());
    let options =
        with_route(with_kafka(engine_options(driver, journal.path()), &broker, "nowhere"), "delivered")
            .section("sink.events", "outage = \"fallback\"\nfallback = \"files\"")
            .section("sink.files", &format!("kind = \"file\"\ndir = \"{}\"", data.path().display()))
            .section("ack", "deadline_ms = 1000");
    let mut engine = Engine::start(&options);
    let mut stored = post_until(&engine, 200, "first");
    for number in 0..20 {
        let body = format!("then-{number}");
        let response = engine.exchange(&Request::post("/collect", body.as_str()));
        if response.status == 200 {
            stored.push(body);
        }
    }
    assert!(stored.len() >= 15, "only probes wait for the sink that is down: {stored:?}");
    engine.terminate();
    let _ = engine.wait(Duration::from_secs(28));
    let records = completed_records(data.path());
    let found: Vec<_> = records.iter().map(Record::data).collect();
    for body in stored {
        assert!(found.contains(&body.as_str()), "{body} was answered 200");
    }
}

fn what_waits_ages_until_it_is_delivered(driver: Driver) {
    let journal = tempfile::tempdir().unwrap();
    let mut broker = KafkaServer::prepare(&KafkaOptions::default());
    let options =
        with_route(with_kafka(engine_options(driver, journal.path()), &broker, "aged"), "journaled")
            .section("metrics", "emf = true\nemf_interval_ms = 1000");
    let engine = Engine::start(&options);
    let age = || engine.metrics().get("millrun_journal_oldest_age_seconds{sink=\"journal/events\"}").copied();
    // Of the lines that CloudWatch reads, the last.
    let told_ms = || {
        let log = engine.log();
        let (_, last) = log.rsplit_once("\"journal_age_ms\":")?;
        last.split([',', '}']).next()?.parse::<u64>().ok()
    };
    poll_until("an age of nothing", PATIENCE, || (age()? == 0.0).then_some(()));
    post_until(&engine, 200, "waits");
    poll_until("an age of 2 s", PATIENCE, || (age()? >= 2.0).then_some(()));
    poll_until("the same for CloudWatch", PATIENCE, || (told_ms()? >= 2000).then_some(()));
    broker.start_broker();
    poll_until("no age", RECOVERY, || (age()? == 0.0).then_some(()));
    poll_until("none for CloudWatch", PATIENCE, || (told_ms()? == 0).then_some(()));
}

fn a_full_disk_refuses_and_recovers(driver: Driver) {
    let disk = SmallDisk::mount(40 << 20);
    let mut broker = KafkaServer::prepare(&KafkaOptions::default());
    let options = with_route(with_kafka(engine_options(driver, disk.path()), &broker, "full"), "journaled");
    let mut engine = Engine::start(&options);
    let mut stored = post_until(&engine, 200, "before");
    disk.fill();
    // Segments are there ahead of time: they are filled first.
    let large = "x".repeat(500_000);
    let mut number = 0;
    poll_until("an answer of 503", PATIENCE, || {
        number += 1;
        let body = format!("large-{number}-{large}");
        let status = engine.exchange(&Request::post("/collect", body.as_str())).status;
        if status == 200 {
            stored.push(body);
        }
        (status == 503).then_some(())
    });
    assert_eq!(engine.exchange(&Request::get("/health")).status, 200, "the process lives");
    disk.free();
    stored.extend(post_until(&engine, 200, "after"));
    engine.kill();
    engine.start_again();
    broker.start_broker();
    wait_until_delivered(&engine, RECOVERY);
    let records = topic(&broker, "full");
    let found: std::collections::BTreeSet<_> = records.iter().map(Record::data).collect();
    for body in stored {
        assert!(found.contains(body.as_str()), "{} was answered 200", &body[..body.len().min(20)]);
    }
}

/// A sink that nobody answers for.
fn nowhere(options: support::EngineOptions) -> support::EngineOptions {
    options.section("sink.events", "kind = \"kafka\"\nbrokers = \"127.0.0.1:9\"\ntopic = \"nowhere\"")
}

fn accepted_records_are_answered_by_the_journal_they_are_spilled_into(driver: Driver) {
    let journal = tempfile::tempdir().unwrap();
    let options = with_route(nowhere(engine_options(driver, journal.path())), "accepted")
        .section("sink.events", "outage = \"journal\"")
        .section("journal", "bytes_max = 33554432")
        .section("ack", "deadline_ms = 1000\nbreaker_open_ms = 600000");
    let engine = Engine::start(&options);
    let large = "x".repeat(500_000);
    poll_until("the journal to be full", PATIENCE, || {
        let response = engine.exchange(&Request::post("/collect", large.as_str()));
        let used = engine.metrics().get("millrun_journal_used_bytes{sink=\"journal/events\"}").copied()?;
        (response.status == 503 && used > 16e6).then_some(())
    });
    let metrics = engine.metrics();
    let lost: Vec<_> =
        metrics.iter().filter(|(name, _)| name.starts_with("millrun_lost_after_answer")).collect();
    assert!(!lost.is_empty() && lost.iter().all(|(_, records)| **records == 0.0), "{lost:?}");
}

/// The relay never has more batches under way than the lane has accounts for.
fn the_least_batches_are_enough_for_every_stream(driver: Driver) {
    let journal = tempfile::tempdir().unwrap();
    let options = with_route(nowhere(engine_options(driver, journal.path())), "journaled")
        .section("server", "shards = 6")
        .limits("body_memory_bytes = 16777216")
        .section("batch", "count = 2\nlarge_count = 0");
    let engine = Engine::start(&options);
    let behind = "millrun_journal_streams_behind{sink=\"journal/events\"}";
    poll_until("records in most streams", PATIENCE, || {
        let status = engine.exchange(&Request::post("/collect", "one")).status;
        assert_eq!(status, 200);
        (*engine.metrics().get(behind)? >= 5.0).then_some(())
    });
    assert_eq!(engine.exchange(&Request::post("/collect", "still there")).status, 200);
}
