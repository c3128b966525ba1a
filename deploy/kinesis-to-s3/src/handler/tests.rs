//! Events against a store in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use millrun_sinks::kpl::Aggregate;
use serde_json::{Value, json};

use super::*;

const SHARD: &str = "shardId-000000000006";
/// 2026-11-23T09:01:01Z
const ARRIVED_S: u64 = 1_795_424_461;

#[derive(Default)]
struct Memory {
    objects: RefCell<BTreeMap<String, Vec<u8>>>,
    puts: Cell<usize>,
    /// The key of a put that fails, and whether the object is there all the same.
    fails: Cell<Option<(&'static str, bool)>>,
}

impl Store for Memory {
    async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), StoreError> {
        self.puts.set(self.puts.get() + 1);
        let failure = self.fails.get().filter(|(part, _)| key.contains(part));
        if failure.is_none_or(|(_, stored)| stored) {
            self.objects.borrow_mut().insert(key.to_owned(), body);
        }
        match failure {
            None => Ok(()),
            Some(_) => Err(StoreError { doing: "put", key: key.to_owned(), problem: "scripted".into() }),
        }
    }

    async fn has(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.objects.borrow().contains_key(key))
    }
}

impl Memory {
    /// Key to lines.
    fn lines(&self) -> BTreeMap<String, Vec<String>> {
        let text = |body: &Vec<u8>| {
            let mut text = String::new();
            GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
            assert!(text.ends_with('\n'), "the last line has its end");
            text.lines().map(str::to_owned).collect()
        };
        self.objects.borrow().iter().map(|(key, body)| (key.clone(), text(body))).collect()
    }
}

fn settings() -> Settings {
    Settings {
        bucket: "b".into(),
        prefix: "clickstream/".into(),
        dead_letter_prefix: "dead/".into(),
        gzip_level: 6,
    }
}

fn record(number: u32, data: &str) -> Value {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "k", "sequenceNumber": format!("4959000{number:04}"),
            "data": data, "approximateArrivalTimestamp": 1_795_424_461.25
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record",
        "eventID": format!("{SHARD}:4959000{number:04}"), "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/s"
    })
}

fn event(data: &[&[u8]]) -> Event {
    let records: Vec<_> =
        (0..).zip(data).map(|(number, data)| record(number, &STANDARD.encode(data))).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

fn handled(event: &Event, store: &Memory, after_s: u64) -> Response {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(ARRIVED_S + after_s);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(handle(event, &settings(), store, now))
}

fn failures(response: &Response) -> Value {
    serde_json::to_value(response).unwrap()["batchItemFailures"].clone()
}

#[test]
fn every_event_of_a_batch_is_a_line_of_one_object() {
    let mut aggregate = Aggregate::default();
    aggregate.add("a", None, b"{\"n\":1}");
    aggregate.add("b", Some(7), b"{\"n\":2}");
    let store = Memory::default();
    let event = event(&[b"{\"n\":0}", aggregate.finish(), b"{\"n\":3}"]);
    assert_eq!(failures(&handled(&event, &store, 2)), json!([]));
    let lines = store.lines();
    let (key, lines) = lines.first_key_value().unwrap();
    assert!(key.starts_with("clickstream/year=2026/month=11/day=23/hour=09/1795424461-"), "{key}");
    assert!(key.ends_with(".log.gz"), "{key}");
    assert_eq!(*lines, (0..4).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    assert_eq!(store.objects.borrow().len(), 1);
}

#[test]
fn poison_is_set_aside_with_its_reason_and_blocks_nothing() {
    let mut aggregate = Aggregate::default();
    aggregate.add("a", None, b"{\"n\":1}");
    aggregate.add("b", None, b"poison in it");
    let store = Memory::default();
    let mut event =
        event(&[b"{\"n\":0}", aggregate.finish(), b"no base64", b"\x1F\x8B no gzip", b"{\"n\":2}"]);
    event.records[2].kinesis.data = "?!".into();
    assert_eq!(failures(&handled(&event, &store, 2)), json!([]));
    let lines = store.lines();
    let of = |prefix: &str| lines.iter().find(|(key, _)| key.starts_with(prefix)).unwrap().1.clone();
    assert_eq!(of("clickstream/"), ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
    let dead: Vec<Value> = of("dead/").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(dead.len(), 3);
    let reason = |number: usize| dead[number]["reason"].as_str().unwrap().to_owned();
    assert!(reason(0).contains("not one JSON object"), "{}", reason(0));
    assert_eq!((&dead[0]["part"], &dead[0]["partition_key"]), (&json!(1), &json!("b")));
    assert_eq!(STANDARD.decode(dead[0]["data"].as_str().unwrap()).unwrap(), b"poison in it");
    assert!(reason(1).contains("not base64") && dead[1]["data"] == "?!");
    assert!(reason(2).contains("gzip"));
    assert_eq!((&dead[2]["shard"], &dead[2]["sequence_number"]), (&json!(SHARD), &json!("49590000003")));
}

#[test]
fn a_batch_that_is_given_again_overwrites_what_it_wrote() {
    let event = event(&[b"{\"n\":0}", b"poison"]);
    for (part, stored) in [("clickstream/", false), ("clickstream/", true), ("dead/", false), ("dead/", true)]
    {
        let store = Memory::default();
        store.fails.set(Some((part, stored)));
        let first = [json!({ "itemIdentifier": "49590000000" })];
        assert_eq!(failures(&handled(&event, &store, 2)), json!(first), "all of it comes again");
        store.fails.set(None);
        // Another hour of the same day.
        assert_eq!(failures(&handled(&event, &store, 7200)), json!([]));
        assert_eq!(store.objects.borrow().len(), 2, "{part} {stored}: {:?}", store.lines());
    }
}

#[test]
fn on_another_day_what_was_written_before_is_left_and_the_rest_goes_to_that_day() {
    const DAY_S: u64 = 86_400;
    let event = event(&[b"{\"n\":0}"]);
    for (stored, expected) in [(true, "day=23/hour=09"), (false, "day=24/hour=00")] {
        let store = Memory::default();
        store.fails.set(Some(("clickstream/", stored)));
        assert_eq!(handled(&event, &store, 5).failures.len(), 1);
        store.fails.set(None);
        assert_eq!(failures(&handled(&event, &store, DAY_S)), json!([]));
        assert_eq!(failures(&handled(&event, &store, DAY_S + 9 * 3600)), json!([]), "and again");
        let objects = store.objects.borrow();
        assert_eq!(objects.len(), 1);
        assert!(objects.keys().all(|key| key.contains(expected)), "{objects:?}");
    }
}

#[test]
fn shards_fail_by_themselves() {
    let mut event = event(&[b"{\"n\":0}", b"{\"n\":1}", b"poison", b"{\"n\":2}"]);
    event.records[2].event_id = "shardId-000000000007:1".into();
    let store = Memory::default();
    store.fails.set(Some(("dead/", false)));
    let response = handled(&event, &store, 1);
    assert_eq!(failures(&response), json!([{ "itemIdentifier": "49590000002" }]));
    assert_eq!(store.lines().values().map(Vec::len).collect::<Vec<_>>(), [3]);
}

#[test]
fn nothing_is_nothing() {
    let store = Memory::default();
    assert_eq!(handled(&event(&[]), &store, 0), Response::default());
    assert_eq!(store.puts.get(), 0);
}
