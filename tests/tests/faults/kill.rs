//! SIGKILL under load: what was answered 200 before is there afterwards.

use std::thread;
use std::time::Duration;

use support::files::{completed_files, completed_lines, completed_records};
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(
    nothing_acknowledged_is_lost_in_twenty_kills,
    nothing_acknowledged_is_lost_when_plain_small_files_are_killed,
    a_stopped_process_keeps_its_promises_when_it_goes_on,
);

/// One load runs through all kills; its connections come back by themselves.
fn survives_kills(driver: Driver, kills: u32, sink: &str) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let data = tempfile::tempdir().unwrap();
    let options = EngineOptions::new(driver).data_dir(data.path()).files(sink);
    let mut engine = Engine::start(&options);
    let load = Load::start(engine.address(), LoadOptions { connections: 16, ..LoadOptions::default() });
    for kill in 0..kills {
        let goal = load.stored() + random.u64(1..400);
        poll_until(&format!("progress before kill {kill}"), PATIENCE, || {
            (load.stored() >= goal).then_some(())
        });
        // Not only right behind an answer: anywhere in a commit.
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        engine.kill();
        assert_only_whole_files(data.path());
        engine.start_again();
    }
    let goal = load.stored() + 100;
    poll_until("progress after the last kill", PATIENCE, || (load.stored() >= goal).then_some(()));
    let ledger = load.stop();
    println!("{}", ledger.summary());
    let records = engine.stop_and_read();
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
    assert!(verdict.duplicates.is_empty(), "recovery stored a record twice: {:?}", verdict.duplicates);
    assert_nothing_hidden(data.path());
}

/// Reading panics on a file that has its final name and is not complete.
fn assert_only_whole_files(dir: &std::path::Path) {
    let _ = completed_lines(dir);
}

/// After a drain there are no files left that readers don't see.
fn assert_nothing_hidden(dir: &std::path::Path) {
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                // A lock file is no data.
                let is_open = name.starts_with('.') && std::fs::metadata(&path).unwrap().len() > 0;
                assert!(!is_open || name.contains("lock"), "left behind: {}", path.display());
            }
        }
    }
}

fn nothing_acknowledged_is_lost_in_twenty_kills(driver: Driver) {
    survives_kills(driver, 20, "compression = \"gzip\"");
}

/// Small files, so that kills fall into rotations too.
fn nothing_acknowledged_is_lost_when_plain_small_files_are_killed(driver: Driver) {
    survives_kills(driver, 8, "compression = \"none\"\nrotate_bytes = 65536");
}

/// SIGSTOP and SIGCONT: time jumps for the engine; no answer may become wrong by it.
fn a_stopped_process_keeps_its_promises_when_it_goes_on(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let load = Load::start(engine.address(), LoadOptions::default());
    for _ in 0..3 {
        let goal = load.stored() + 100;
        poll_until("progress", PATIENCE, || (load.stored() >= goal).then_some(()));
        engine.pause();
        // The length of the pause is the fault, not a wait for something.
        thread::sleep(Duration::from_millis(300));
        engine.resume();
    }
    let ledger = load.stop();
    let records = engine.stop_and_read();
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
    verdict.assert_whole();
    assert!(verdict.duplicates.is_empty());
}

#[test]
fn files_are_completed_by_age_while_the_engine_runs() {
    let options = EngineOptions::new(Driver::Epoll).files("rotate_age_ms = 200");
    let engine = Engine::start(&options);
    assert_eq!(engine.exchange(&Request::post("/collect", "early")).status, 200);
    poll_until("the file to be completed", PATIENCE, || {
        (!completed_files(engine.data_dir()).is_empty()).then_some(())
    });
    let records = completed_records(engine.data_dir());
    assert_eq!(records.iter().map(Record::data).collect::<Vec<_>>(), ["early"]);
}

#[test]
fn files_are_completed_by_size() {
    let options = EngineOptions::new(Driver::Epoll).files("compression = \"none\"\nrotate_bytes = 20000");
    let mut engine = Engine::start(&options);
    let mut client = engine.connect();
    for _ in 0..50 {
        assert_eq!(client.exchange(&Request::post("/collect", vec![b'a'; 2000])).status, 200);
    }
    assert_eq!(engine.stop_and_read().len(), 50);
    let files = completed_files(engine.data_dir());
    assert!(files.len() >= 4, "125 kB in {} files", files.len());
}
