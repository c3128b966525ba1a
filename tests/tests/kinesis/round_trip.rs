//! What is posted is what a consumer reads, byte for byte, under the partition key that was configured.

use std::collections::BTreeMap;
use std::io::Read;
use std::thread;

use flate2::read::GzDecoder;
use support::kinesis::{KinesisRecord, deaggregate_independently};
use support::ledger::body_of;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers};

use super::{engine_options, patient, shared_server, with_kinesis};

on_both_drivers!(every_record_is_read_back_under_its_key);

/// Route, and what its sink says.
const ROUTES: [(&str, &str); 7] = [
    ("random", ""),
    ("app_id", "partition_key = \"app_id\""),
    ("ip", "partition_key = \"ip\""),
    ("rid", "partition_key = \"rid\""),
    ("user", "partition_key = \"query:user id\""),
    ("aggregated", "aggregate_bytes_max = 50000\ncall_linger_ms = 50"),
    ("compressed", "compression = \"gzip\"\npartition_key = \"rid\""),
];

/// Clients at the same time, and what each posts to each route.
const CLIENTS: usize = 6;
const POSTS: usize = 6;

fn every_record_is_read_back_under_its_key(driver: Driver) {
    let server = shared_server();
    let stream = |route: &str| format!("trip-{}-{route}", driver.name());
    let mut options = engine_options(driver, &server.endpoint(), &stream("random"));
    for (route, lines) in ROUTES {
        server.create_stream(&stream(route), 3);
        options = with_kinesis(options, route, route, &server.endpoint(), &stream(route))
            .section(&format!("sink.{route}"), lines);
    }
    // As many large arenas as clients: none has to be refused.
    let engine = Engine::start(&patient(options.section("batch", "large_count = 6")));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = engine.connect();
            thread::spawn(move || {
                let mut sent = Vec::new();
                for post in 0..POSTS {
                    for (route, _) in ROUTES {
                        let (request, data) = request(route, number, post);
                        let response = client.exchange(&request);
                        assert_eq!(response.status, 200, "{response:?}");
                        sent.push((route, response.header("X-Request-ID").unwrap().to_owned(), data));
                    }
                }
                sent
            })
        })
        .collect();
    let mut sent: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for client in clients {
        for (route, rid, data) in client.join().unwrap() {
            assert_eq!(sent.entry(route).or_default().insert(rid, data), None, "each request has its own id");
        }
    }
    for (route, _) in ROUTES {
        // A 200 means that it is there by now.
        compare(route, &sent[route], server.records(&stream(route)));
    }
}

/// A post, and what its record's `data` must be.
fn request(route: &str, client: usize, post: usize) -> (Request, String) {
    let id = format!("{route}-{client}-{post}");
    let user = (post != 3).then(|| format!("&user+id=%C3%A9-{}", post % 3));
    let target = format!("/{route}?platform=Web&appId=app-{}{}", post % 2, user.unwrap_or_default());
    let text = match post {
        0 => body_of(&id),
        1 => id,
        2 => format!("a={id}&b=%20+c\r\n\0\u{1}\u{7f}\"\\/"),
        3 => format!("{{\"id\": \"{id}\",\n\t\"é\": \"日本🦀\u{2028}\"}}"),
        // Beyond a batch's arena: a large one of its own.
        4 if client == 0 => format!("{id}{}", "0123456789abcdef".repeat(20_000)),
        _ => format!("{id}{}", "z".repeat(9_000)),
    };
    (Request::post(&target, text.clone()), text)
}

/// `stored` must be exactly `sent`, rid to data, under the right keys.
fn compare(route: &str, sent: &BTreeMap<String, String>, stored: Vec<KinesisRecord>) {
    let mut shards: BTreeMap<String, String> = BTreeMap::new();
    let mut found = BTreeMap::new();
    let entries = stored.len();
    for entry in stored {
        let shard = entry.shard.clone();
        for (key, value) in values(route, entry) {
            let text = String::from_utf8(value).unwrap();
            let record = Record::parse(&text).unwrap();
            let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(fields.len(), 17, "{:?}", fields.keys());
            let expected = match route {
                "app_id" => record.text("appId").map(str::to_owned),
                "ip" => record.text("ip").map(str::to_owned),
                "rid" | "compressed" => Some(record.rid().to_owned()),
                "user" => {
                    record.text("uri").unwrap().split_once("%C3%A9").map(|(_, rest)| format!("é{rest}"))
                }
                _ => None,
            };
            assert!(!key.is_empty(), "Kinesis wants a key");
            if let Some(expected) = expected {
                assert_eq!(key, expected, "key of {route}");
                assert_eq!(*shards.entry(key).or_insert(shard.clone()), shard, "equal keys stay together");
            }
            assert_eq!(found.insert(record.rid().to_owned(), record.data().to_owned()), None, "stored once");
        }
    }
    assert_eq!(found, *sent, "{route}");
    if route == "aggregated" {
        assert!(entries < sent.len(), "{entries} Kinesis records hold {} of ours", sent.len());
    }
}

/// Partition key and value of each of our records in one of Kinesis'.
fn values(route: &str, entry: KinesisRecord) -> Vec<(String, Vec<u8>)> {
    match route {
        "aggregated" if entry.data.starts_with(&[0xF3, 0x89, 0x9A, 0xC2]) => {
            deaggregate_independently(&[entry.data])
        }
        "compressed" => {
            let mut value = Vec::new();
            GzDecoder::new(entry.data.as_slice()).read_to_end(&mut value).unwrap();
            vec![(entry.partition_key, value)]
        }
        _ => vec![(entry.partition_key, entry.data)],
    }
}
