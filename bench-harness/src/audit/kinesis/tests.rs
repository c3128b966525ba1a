//! Against a service that keeps to a script: its protocol is JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

/// What the stream holds: shards with their records, and whether they are closed.
#[derive(Default)]
struct Held {
    shards: Vec<(u128, u128, Vec<Vec<u8>>, bool)>,
    /// Operations that fail once, with this code.
    failures: Vec<(&'static str, &'static str)>,
    /// Calls of each operation.
    calls: Vec<String>,
}

struct Service {
    endpoint: String,
    held: Arc<Mutex<Held>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let held = Arc::new(Mutex::new(Held::default()));
        let serving = Arc::clone(&held);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let held = Arc::clone(&serving);
                thread::spawn(move || serve(&stream.unwrap(), &held));
            }
        });
        Self { endpoint, held }
    }

    fn add(&self, shard: usize, data: &[u8]) {
        self.held.lock().unwrap().shards[shard].2.push(data.to_vec());
    }

    fn shard(&self, first: u128, last: u128) {
        self.held.lock().unwrap().shards.push((first, last, Vec::new(), false));
    }

    fn stream(&self, deaggregate: bool) -> Stream {
        let endpoint = Some(self.endpoint.clone());
        let options = Options { region: Some("us-east-1".to_owned()), endpoint, deaggregate };
        let mut stream = Stream::new("events", options).unwrap();
        // Without a look at this host's environment.
        let credentials = aws_sdk_kinesis::config::Credentials::new("test", "test", None, None, "test");
        let config = stream.client.config().to_builder().credentials_provider(credentials).build();
        stream.client = Client::from_conf(config);
        stream
    }
}

fn serve(stream: &TcpStream, held: &Mutex<Held>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if lower.starts_with("x-amz-target") {
                line.trim_end().rsplit('.').next().unwrap().clone_into(&mut operation);
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, reply) =
            held.lock().unwrap().answer(&operation, &serde_json::from_slice(&body).unwrap());
        let reply = reply.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", reply.len());
        let mut out = stream;
        out.write_all((head + &reply).as_bytes()).unwrap();
    }
}

impl Held {
    fn answer(&mut self, operation: &str, ask: &Value) -> (u16, Value) {
        self.calls.push(operation.to_owned());
        if let Some(at) = self.failures.iter().position(|(failing, _)| *failing == operation) {
            return (400, json!({ "__type": self.failures.remove(at).1, "message": "scripted" }));
        }
        match operation {
            "ListShards" => {
                let shards = self.shards.iter().enumerate().map(|(number, (first, last, ..))| {
                    let range =
                        json!({ "StartingHashKey": first.to_string(), "EndingHashKey": last.to_string() });
                    json!({ "ShardId": number.to_string(), "HashKeyRange": range, "SequenceNumberRange": { "StartingSequenceNumber": "0" } })
                });
                (200, json!({ "Shards": shards.collect::<Vec<_>>() }))
            }
            "GetShardIterator" => {
                let from: usize =
                    ask["StartingSequenceNumber"].as_str().map_or(0, |last| last.parse::<usize>().unwrap());
                (200, json!({ "ShardIterator": format!("{} {from}", ask["ShardId"].as_str().unwrap()) }))
            }
            "GetRecords" => {
                let (shard, from) = ask["ShardIterator"].as_str().unwrap().split_once(' ').unwrap();
                let (.., records, closed) = &self.shards[shard.parse::<usize>().unwrap()];
                // Two at a time, so that there are pages.
                let from: usize = from.parse().unwrap();
                let page = &records[from..records.len().min(from + 2)];
                let next = from + page.len();
                let found = page.iter().enumerate().map(|(number, data)| {
                    json!({ "Data": STANDARD.encode(data), "PartitionKey": "k", "SequenceNumber": (from + number + 1).to_string() })
                });
                let mut reply = json!({ "Records": found.collect::<Vec<_>>(), "MillisBehindLatest": records.len() - next });
                if !(*closed && next == records.len()) {
                    reply["NextShardIterator"] = json!(format!("{shard} {next}"));
                }
                (200, reply)
            }
            other => panic!("{other} is not asked for"),
        }
    }
}

fn read(stream: &mut Stream) -> Vec<String> {
    let mut records = Vec::new();
    stream
        .read(&mut |item| {
            let Item::Record { bytes, .. } = item else { panic!("not a record") };
            records.push(String::from_utf8_lossy(bytes).into_owned());
        })
        .unwrap();
    records.sort();
    records
}

#[test]
fn what_was_added_is_given_once_from_every_shard_also_from_those_that_are_made_later() {
    let service = Service::start();
    service.shard(0, u128::MAX);
    let mut stream = service.stream(false);
    stream.begin().unwrap();
    assert_eq!(read(&mut stream), [""; 0]);
    for number in 0..5 {
        service.add(0, format!("first {number}").as_bytes());
    }
    assert_eq!(read(&mut stream), ["first 0", "first 1", "first 2", "first 3", "first 4"]);
    assert_eq!(read(&mut stream), [""; 0]);
    service.add(0, b"last");
    service.held.lock().unwrap().shards[0].3 = true;
    service.shard(0, 99);
    service.add(1, b"child");
    assert_eq!(read(&mut stream), ["child", "last"]);
    service.held.lock().unwrap().calls.clear();
    assert_eq!(read(&mut stream), [""; 0]);
    let calls = service.held.lock().unwrap().calls.clone();
    assert_eq!(calls, ["ListShards", "GetShardIterator", "GetRecords"], "what is closed is not read again");
}

#[test]
fn aggregates_are_taken_apart_and_what_lies_on_the_wrong_shard_is_dropped() {
    let service = Service::start();
    let aggregate = aggregate::tests::aggregate();
    service.shard(0, u128::MAX - 1);
    service.add(0, &aggregate);
    service.add(0, b"plain");
    let mut stream = service.stream(true);
    stream.begin().unwrap();
    assert_eq!(
        read(&mut stream),
        ["plain", "{\"n\":1}", "{\"n\":3}"],
        "{{\"n\":2}} belongs to another shard"
    );
    let mut whole = service.stream(false);
    whole.begin().unwrap();
    assert_eq!(read(&mut whole).len(), 2);
}

#[test]
fn a_throttled_shard_and_an_expired_place_are_tried_again() {
    let service = Service::start();
    service.shard(0, u128::MAX);
    service.add(0, b"here");
    let expired = ("GetRecords", "ExpiredIteratorException");
    service.held.lock().unwrap().failures = vec![expired, expired];
    let mut stream = service.stream(false);
    stream.begin().unwrap();
    assert_eq!(read(&mut stream), ["here"]);
}

#[test]
fn a_stream_that_is_not_there_is_named() {
    let service = Service::start();
    service.held.lock().unwrap().failures = vec![("ListShards", "ResourceNotFoundException")];
    let error = service.stream(false).begin().unwrap_err().to_string();
    assert!(error.contains("stream events: list its shards") && error.contains("scripted"), "{error}");
}
