//! Which driver the engine takes under which seccomp profile, and that it says so.

use std::fs;
use std::path::PathBuf;

use support::request::Request;

use super::container::{Container, Options, Seccomp, our_profile};

/// Starts a container, has it store an event, and returns the line that says which driver it took.
fn choice(seccomp: Seccomp) -> (String, String) {
    let container = Container::start(&Options::new(seccomp));
    let response = container.exchange(&Request::post("/collect?appId=a", "stored"));
    assert_eq!((response.status, response.text()), (200, ""), "{response:?}");
    let line = container.logged("driver chosen");
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
    (text("driver"), text("why"))
}

/// Our profile with other names in its last rule, the one that is ours; without the rule where there is none.
fn profile_with(dir: &tempfile::TempDir, names: &[&str]) -> Seccomp {
    let text = fs::read_to_string(our_profile()).unwrap();
    let mut profile: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rules = profile["syscalls"].as_array_mut().unwrap();
    let mut ours = rules.pop().unwrap();
    if !names.is_empty() {
        ours["names"] = names.into();
        rules.push(ours);
    }
    let path: PathBuf = dir.path().join("profile.json");
    fs::write(&path, profile.to_string()).unwrap();
    Seccomp::File(path)
}

#[test]
fn under_the_default_profile_it_takes_epoll_and_says_why() {
    let (driver, why) = choice(Seccomp::Default);
    assert_eq!(driver, "epoll");
    assert!(why.contains("seccomp profile that allows io_uring_setup and io_uring_enter"), "{why}");
}

#[test]
fn under_ours_it_takes_io_uring() {
    assert_eq!(choice(Seccomp::Ours).0, "io_uring");
}

#[test]
fn what_ours_is_made_from_forbids_it() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, why) = choice(profile_with(&dir, &[]));
    assert_eq!(driver, "epoll", "it is our rule that makes the difference");
    assert!(why.contains("seccomp profile"), "{why}");
}

#[test]
fn nothing_of_our_rule_can_be_left_out() {
    let text = fs::read_to_string(our_profile()).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rule = profile["syscalls"].as_array().unwrap().last().unwrap();
    let names: Vec<&str> =
        rule["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(names.len() > 1, "{names:?}");
    for left_out in &names {
        let dir = tempfile::tempdir().unwrap();
        let rest: Vec<&str> = names.iter().copied().filter(|name| name != left_out).collect();
        assert_eq!(choice(profile_with(&dir, &rest)).0, "epoll", "without {left_out}");
    }
}

#[test]
fn where_io_uring_is_demanded_and_forbidden_it_does_not_start() {
    let options = Options::new(Seccomp::Default).environment("MILLRUN_SERVER__DRIVER", "io_uring");
    let output = Container::run(&options);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("server.driver = \"io_uring\"") && errors.contains("seccomp profile"),
        "{errors}"
    );
}
