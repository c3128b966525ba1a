//! The root is read-only: everything that the engine writes is on the volume.

use support::files::completed_records;
use support::poll::{PATIENCE, poll_until};
use support::record::record_of;
use support::request::Request;

use super::container::{Container, Options, STATE, Seccomp};

#[test]
fn without_any_mount_events_go_to_a_volume_of_the_image() {
    let container = Container::start(&Options::new(Seccomp::Ours));
    // Stored and fsynced, says this answer.
    assert_eq!(container.exchange(&Request::post("/collect?appId=a", "x")).status, 200);
    let root = container.proc("mountinfo");
    let mount = |point: &str| {
        let options = root.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mut found = options.filter(|fields| fields[4] == point).map(|fields| fields[5].to_owned());
        found.next().unwrap_or_else(|| panic!("nothing is mounted on {point}: {root}"))
    };
    assert!(mount("/").split(',').any(|option| option == "ro"), "{root}");
    assert!(mount(STATE).split(',').any(|option| option == "rw"), "{root}");
}

#[test]
fn events_on_a_mounted_directory_outlive_the_container() {
    let state = tempfile::tempdir().unwrap();
    let container = Container::start(&Options::new(Seccomp::Default).state(state.path()));
    let response = container.exchange(&Request::post("/collect?appId=a", "kept"));
    assert_eq!(container.stop(), 0);
    drop(container);
    let records = completed_records(&state.path().join("data"));
    assert_eq!(record_of(&records, &response).data(), "kept");
}

/// A directory of root's, as a host makes it by itself, in place of the engine's own.
fn not_the_engines(dir: &tempfile::TempDir) -> Options {
    Options::new(Seccomp::Default).argument(&format!("--volume={}:{STATE}", dir.path().display()))
}

#[test]
fn a_directory_that_it_may_not_write_stores_nothing_and_says_so() {
    let state = tempfile::tempdir().unwrap();
    let container = Container::start(&not_the_engines(&state));
    let response = container.exchange(&Request::post("/collect?appId=a", "not stored"));
    assert_eq!(response.status, 503, "{response:?}");
    poll_until("the log to name the reason", PATIENCE, || {
        container.log().contains("Permission denied").then_some(())
    });
}

#[test]
fn a_journal_that_it_may_not_write_stops_the_start() {
    let state = tempfile::tempdir().unwrap();
    let output =
        Container::run(&not_the_engines(&state).environment("MILLRUN_ROUTE__COLLECT__ACK", "journaled"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(errors.contains("./journal") && errors.contains("Permission denied"), "{errors}");
}
