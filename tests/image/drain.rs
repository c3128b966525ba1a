//! SIGTERM to the container while it is under load: what was answered is stored, and the exit code is 0.

use std::time::Duration;

use support::files::completed_records;
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::{PATIENCE, poll_until};
use support::record::Record;

use super::container::{Container, Options, Seccomp};

fn a_stop_under_load_loses_nothing(seccomp: Seccomp, driver: &str) {
    let state = tempfile::tempdir().unwrap();
    let options =
        Options::new(seccomp).state(state.path()).environment("MILLRUN_SERVER__DRAIN_DELAY_MS", "500");
    let container = Container::start(&options);
    assert_eq!(container.logged("driver chosen")["driver"], driver);
    let rest = Duration::from_millis(25);
    let load = LoadOptions { connections: 16, refused_pause: rest, ..LoadOptions::default() };
    let load = Load::start(container.address(), load);
    poll_until("the load to run", PATIENCE, || (load.stored() >= 500).then_some(()));
    let code = container.stop();
    let ledger = load.stop();
    println!("{}", ledger.summary());
    assert_eq!(code, 0, "{}", container.log());
    container.logged("stopped: every request was answered, every batch decided");

    let records = completed_records(&state.path().join("data"));
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
    verdict.assert_whole();
    assert!(verdict.duplicates.is_empty() && verdict.stored_unanswered.is_empty(), "{verdict:?}");
}

#[test]
fn a_stop_under_load_loses_nothing_on_io_uring() {
    a_stop_under_load_loses_nothing(Seccomp::Ours, "io_uring");
}

#[test]
fn a_stop_under_load_loses_nothing_on_epoll() {
    a_stop_under_load_loses_nothing(Seccomp::Default, "epoll");
}
