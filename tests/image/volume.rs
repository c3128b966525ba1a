//! The root is read-only: everything that the engine writes is on the volume.

use support::files::completed_records;
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

#[test]
fn a_directory_that_is_not_the_engines_is_refused_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    // Root's, as a host makes it by itself.
    let options = Options::new(Seccomp::Default).argument(&format!("--volume={}:{STATE}", state.path().display()));
    let output = Container::run(&options);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    assert!(errors.contains("ermission denied"), "{errors}");
}
