//! `millrun check --connect`: what an operator reads before the first event.

use std::fs;

use support::command::{Output, run};
use support::port::ReservedPort;

use super::shared_server;

/// Runs it on a configuration with one Kinesis sink, `events`.
fn check(endpoint: &str, stream: &str, lines: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("engine.toml");
    let toml = format!(
        "[route.collect]\npath = \"/collect\"\nsink = \"events\"\n\
         [sink.events]\nkind = \"kinesis\"\nendpoint = \"{endpoint}\"\nstream = \"{stream}\"\nregion = \"us-east-1\"\n\
         credentials.access_key_id = \"test\"\ncredentials.secret_access_key = \"hush\"\n{lines}\n"
    );
    fs::write(&file, toml).unwrap();
    let output = run(&["check", "--connect", "--config", file.to_str().unwrap()], &[], dir.path());
    println!("{output:?}");
    assert!(!format!("{output:?}").contains("hush"), "secrets are hidden");
    output
}

fn assert_mentions(output: &Output, words: &[&str]) {
    let text = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_live_stream_is_described_and_compared_with_the_rate() {
    let server = shared_server();
    server.create_stream("checked", 3);
    let rate = "expected_records_per_s = 10000\nexpected_record_bytes = 900";
    let output = check(&server.endpoint(), "checked", rate);
    assert_eq!(output.code(), 0);
    assert_mentions(&output, &["ok: sink.events", "stream checked: ACTIVE", "3 open shards", "NOT ENOUGH"]);
}

#[test]
fn an_absent_stream_is_named() {
    let output = check(&shared_server().endpoint(), "absent", "");
    assert_eq!(output.code(), 1);
    assert_mentions(&output, &["error: sink.events", "stream absent"]);
}

#[test]
fn a_dead_service_is_named() {
    let nobody = format!("http://{}", ReservedPort::take().address);
    let output = check(&nobody, "any", "");
    assert_eq!(output.code(), 1);
    assert_mentions(&output, &["error: sink.events", "unreachable"]);
}

#[test]
fn what_can_not_work_is_refused_without_a_connection() {
    let output = check("http://127.0.0.1:1", "events", "aggregate_bytes_max = 5");
    assert_eq!(output.code(), 2);
    assert_mentions(&output, &["aggregate_bytes_max", "1024"]);
}
