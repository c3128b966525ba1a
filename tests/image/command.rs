//! The other commands of the engine, and configuration files, in the image.

use std::fs;

use support::request::Request;

use super::container::{Container, Options, Seccomp};

#[test]
fn a_command_takes_the_place_of_run() {
    let output = Container::run(&Options::plain().command(&["check"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("route.collect: /collect -> sink local: files below ./data"), "{text}");
}

#[test]
fn a_wrong_variable_ends_it_with_its_name() {
    let output = Container::run(&Options::plain().environment("MILLRUN_SERVER__SHARD", "2"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("MILLRUN_SERVER__SHARD"), "{errors}");
}

#[test]
fn a_mounted_file_configures_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("millrun.toml");
    fs::write(&file, "[route.events]\npath = \"/events\"\nsink = \"none\"\n[sink.none]\nkind = \"null\"\n")
        .unwrap();
    let options = Options::new(Seccomp::Default)
        .file(&file, "/etc/millrun.toml")
        .environment("MILLRUN_CONFIG", "/etc/millrun.toml");
    let container = Container::start(&options);
    assert_eq!(container.exchange(&Request::post("/events?appId=a", "x")).status, 200);
    assert_eq!(container.exchange(&Request::post("/collect?appId=a", "x")).status, 404);
}
