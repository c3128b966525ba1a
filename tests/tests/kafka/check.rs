//! `millrun check --connect`: what an operator reads before the first event.

use std::fs;

use support::command::{Output, run};
use support::port::ReservedPort;

use super::shared_broker;

/// Runs it on a configuration with one Kafka sink, `events`.
fn check(brokers: &str, topic: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("engine.toml");
    let toml = format!(
        "[route.collect]\npath = \"/collect\"\nsink = \"events\"\n\
         [sink.events]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{topic}\"\n"
    );
    fs::write(&file, toml).unwrap();
    let output = run(&["check", "--connect", "--config", file.to_str().unwrap()], &[], dir.path());
    println!("{output:?}");
    output
}

fn assert_mentions(output: &Output, words: &[&str]) {
    let text = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_live_broker_is_described() {
    let broker = shared_broker();
    broker.create_topic("checked", 3, &[]);
    let output = check(&broker.brokers(), "checked");
    assert_eq!(output.code(), 0);
    assert_mentions(&output, &["ok: sink.events", &broker.brokers(), "topic checked: 3 partitions"]);
}

#[test]
fn an_absent_topic_is_named_with_the_way_out_and_not_made() {
    let broker = shared_broker();
    // Twice: looking must not have made it.
    for _ in 0..2 {
        let output = check(&broker.brokers(), "absent");
        assert_eq!(output.code(), 1);
        assert_mentions(&output, &["error: sink.events", "topic absent does not exist", "create it"]);
    }
}

#[test]
fn a_dead_broker_is_named() {
    let nobody = ReservedPort::take().address.to_string();
    let output = check(&nobody, "any");
    assert_eq!(output.code(), 1);
    assert_mentions(&output, &["error: sink.events", "unreachable", &nobody]);
}
