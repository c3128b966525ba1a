//! SIGKILL of the engine under load, with the bucket there, away, and coming and going; SIGKILL and SIGSTOP of the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::Record;
use support::s3::S3Server;
use support::s3_proxy::{S3Proxy, Trouble};
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{PREFIX, assert_once, direct, post_many, stop, through, wait_for};

on_both_drivers!(nothing_is_lost_in_fifty_kills_with_the_bucket_there_away_and_flapping);

/// Kills at random moments of a load that goes on.
fn kill_under_load(engine: &mut Engine, load: &Load, kills: u32, random: &mut fastrand::Rng) {
    for kill in 0..kills {
        let goal = load.stored() + random.u64(1..200);
        poll_until(&format!("progress before kill {kill}"), PATIENCE, || {
            (load.stored() >= goal).then_some(())
        });
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        engine.kill();
        engine.start_again();
    }
}

/// Segments small enough that fifty starts do not fill the journal.
fn thrifty(options: EngineOptions) -> EngineOptions {
    options
        .server("shards = 1")
        .section("journal", "segment_bytes = 1048576\nbytes_max = 536870912")
        .section("batch", "count = 8\nlarge_count = 0")
        .section("sink.events", "call_timeout_ms = 2000\nobject_age_max_ms = 100")
}

fn nothing_is_lost_in_fifty_kills_with_the_bucket_there_away_and_flapping(driver: Driver) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    let mut engine = Engine::start(&thrifty(through(&proxy, driver, journal.path(), &bucket)));
    let load = Load::start(engine.address(), LoadOptions { connections: 8, ..LoadOptions::default() });
    kill_under_load(&mut engine, &load, 17, &mut random);
    proxy.set_down(true);
    kill_under_load(&mut engine, &load, 16, &mut random);
    let flaps = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(seed ^ 1);
            while flaps.load(Ordering::Relaxed) {
                proxy.clear();
                for trouble in [
                    Trouble::DoneUnanswered,
                    Trouble::ResetInBody,
                    Trouble::Error { status: 503, code: "SlowDown" },
                ] {
                    proxy.trouble(None, trouble, random.usize(1..3));
                }
                thread::sleep(Duration::from_millis(random.u64(20..300)));
                proxy.set_down(random.bool());
                thread::sleep(Duration::from_millis(random.u64(20..300)));
            }
        });
        kill_under_load(&mut engine, &load, 17, &mut random);
        flaps.store(false, Ordering::Relaxed);
    });
    proxy.clear();
    let ledger = load.stop();
    println!("{}", ledger.summary());
    let stored: Vec<String> = ledger.with_status(200).map(str::to_owned).collect();
    poll_until("everything that was answered 200 in the bucket", Duration::from_mins(2), || {
        let metrics = engine.metrics();
        let behind = metrics["millrun_journal_streams_behind{sink=\"journal/events\"}"];
        let doubts = metrics["millrun_s3_objects_in_doubt_total{sink=\"journal/events\"}"];
        assert!(doubts < 0.5, "this bucket can be asked");
        (behind < 0.5).then_some(())
    });
    let records = bucket.records(PREFIX);
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    println!("{} answered 200, {} stored twice", stored.len(), verdict.duplicates.len());
    verdict.assert_truthful();
    assert!(verdict.duplicates.is_empty(), "an object has one name: {:?}", verdict.duplicates);
}

#[test]
fn a_server_that_dies_or_freezes_is_waited_for() {
    let journal = tempfile::tempdir().unwrap();
    let mut server = S3Server::start();
    let bucket = server.bucket();
    let options = thrifty(direct(Driver::Epoll, journal.path(), &bucket));
    let mut engine = Engine::start(&options);
    let mut bodies = post_many(&engine, "before", 30);
    server.pause();
    bodies.extend(post_many(&engine, "frozen", 30));
    server.resume();
    wait_for(&bucket, &bodies);
    server.kill();
    bodies.extend(post_many(&engine, "dead", 30));
    server.start_server();
    assert_once(&wait_for(&bucket, &bodies), &bodies);
    stop(&mut engine);
    assert_once(&bucket.records(PREFIX), &bodies);
}
