//! `deploy/container/seccomp.py`, which makes the seccomp profile.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::container::our_profile;
use super::podman::{outcome, repository};

fn script(arguments: &[&Path]) -> Output {
    let mut command = Command::new("python3");
    outcome(command.arg(repository().join("deploy/container/seccomp.py")).args(arguments))
}

fn ours() -> Value {
    serde_json::from_str(&fs::read_to_string(our_profile()).unwrap()).unwrap()
}

/// Writes a profile that `change` made of ours, and checks it.
fn checked(change: impl FnOnce(&mut Vec<Value>)) -> (Option<i32>, String) {
    let mut profile = ours();
    change(profile["syscalls"].as_array_mut().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("profile.json");
    fs::write(&file, profile.to_string()).unwrap();
    let output = script(&[Path::new("--check"), &file]);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn rule(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_profile_is_in_order() {
    let output = script(&[Path::new("--check"), &our_profile()]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_same_default_makes_the_same_profile() {
    let mut default = ours();
    default["syscalls"].as_array_mut().unwrap().pop();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("default.json");
    // Another layout of the same, with its members in another order.
    fs::write(&file, default.to_string()).unwrap();
    let output = script(&[&file]);
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made, ours());
    // And from itself it comes out byte for byte: making it again changes nothing.
    assert_eq!(script(&[&our_profile()]).stdout, fs::read(our_profile()).unwrap());
}

#[test]
fn what_is_not_in_order_is_named() {
    let allows = |name: &str| rule(&format!(r#"{{"names":["{name}"],"action":"SCMP_ACT_ALLOW"}}"#));
    for (name, (code, text), expected) in [
        (
            "without our rule",
            checked(|rules| drop(rules.pop())),
            "io_uring's rule must be there once, and last",
        ),
        ("our rule twice", checked(|rules| rules.push(rules.last().unwrap().clone())), "there once"),
        ("another rule behind ours", checked(|rules| rules.push(allows("swapon"))), "and last"),
        ("too open", checked(|rules| rules.insert(0, allows("bpf"))), "bpf is open to every container"),
        (
            "not needed",
            checked(|rules| rules.insert(0, allows("io_uring_enter"))),
            "the default allows io_uring_enter by itself",
        ),
        ("no default at all", checked(|rules| drop(rules.drain(..rules.len() - 1))), "read is missing"),
    ] {
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn what_can_not_be_read_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("profile.json");
    fs::write(&file, "{").unwrap();
    for arguments in [&[file.as_path()][..], &[Path::new("/nowhere")], &[]] {
        assert_eq!(script(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
