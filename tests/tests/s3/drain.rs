//! `drain.journal = "wait"`: the host that is told to end delivers its journal first.

use std::time::{Duration, Instant};

use support::s3::S3Server;
use support::s3_proxy::S3Proxy;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{PREFIX, RECOVERY, assert_once, direct, post_many, stop, through, wait_for};

on_both_drivers!(an_end_waits_for_the_bucket, what_is_left_at_the_end_is_told_and_kept);

fn waiting(options: EngineOptions, stop_timeout_ms: u32) -> EngineOptions {
    options
        .server("drain_deadline_ms = 1000\ndrain_delay_ms = 0")
        .section("ack", "deadline_ms = 500")
        .section("drain", &format!("journal = \"wait\"\nstop_timeout_ms = {stop_timeout_ms}"))
}

fn an_end_waits_for_the_bucket(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.set_down(true);
    let options = waiting(through(&proxy, driver, journal.path(), &bucket), 60_000);
    let mut engine = Engine::start(&options);
    let bodies = post_many(&engine, "kept", 30);
    engine.terminate();
    poll_until("the drain", RECOVERY, || engine.log().contains("delivering the journal").then_some(()));
    // Without this setting it would have given up by then: the time is what is tested.
    let (since, usual) = (Instant::now(), Duration::from_secs(3));
    poll_until("more than the usual patience", RECOVERY, || (since.elapsed() > usual).then_some(()));
    assert_eq!(engine.try_wait(), None, "it waits: {}", engine.log());
    proxy.set_down(false);
    let status = engine.wait(RECOVERY);
    assert_eq!(status.code(), Some(0), "{}", engine.log());
    assert!(engine.log().contains("the journal is delivered"), "{}", engine.log());
    assert_once(&bucket.records(PREFIX), &bodies);
}

fn what_is_left_at_the_end_is_told_and_kept(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.set_down(true);
    let options = waiting(through(&proxy, driver, journal.path(), &bucket), 4000);
    let mut engine = Engine::start(&options);
    let bodies = post_many(&engine, "left", 30);
    engine.terminate();
    let status = engine.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(1), "{}", engine.log());
    assert!(engine.log().contains("stays for the next start"), "{}", engine.log());
    let mut engine = Engine::start(&direct(driver, journal.path(), &bucket));
    wait_for(&bucket, &bodies);
    stop(&mut engine);
    assert_once(&bucket.records(PREFIX), &bodies);
}
