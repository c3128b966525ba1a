//! What is posted is what a consumer reads, byte for byte, under the key that was configured.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::kafka::KafkaRecord;
use support::ledger::body_of;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers};

use super::{engine_options, shared_broker, with_kafka};

on_both_drivers!(every_record_is_read_back_under_its_key);

/// `key` of the configuration; each is a route and a topic.
const ROUTES: [&str; 4] = ["none", "appId", "ip", "rid"];

/// Clients at the same time, and what each posts to each route.
const CLIENTS: usize = 8;
const POSTS: usize = 25;

fn every_record_is_read_back_under_its_key(driver: Driver) {
    let broker = shared_broker();
    let topic = |route: &str| format!("trip-{}-{route}", driver.name());
    // As many large arenas as clients: none has to be refused.
    let mut options =
        engine_options(driver, &broker.brokers(), &topic("none")).section("batch", "large_count = 8");
    for route in ROUTES {
        broker.create_topic(&topic(route), 3, &[]);
        options = with_kafka(options, route, route, &broker.brokers(), &topic(route))
            .section(&format!("sink.{route}"), &format!("key = \"{route}\""));
    }
    let engine = Engine::start(&options);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = engine.connect();
            thread::spawn(move || {
                let mut sent = Vec::new();
                for post in 0..POSTS {
                    for route in ROUTES {
                        let (request, data) = request(route, number, post);
                        let response = client.exchange(&request);
                        assert_eq!(response.status, 200, "{response:?}");
                        let rid = response.header("X-Request-ID").unwrap().to_owned();
                        sent.push((route, rid, data));
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
    for route in ROUTES {
        compare(route, &sent[route], broker.records(&topic(route)));
    }
}

/// A post, and what its record's `data` must be.
fn request(route: &str, client: usize, post: usize) -> (Request, String) {
    let id = format!("{route}-{client}-{post}");
    let app = (!post.is_multiple_of(5)).then(|| format!("app-{}", post % 5));
    let target = format!("/{route}?platform=Web{}", app.map_or(String::new(), |app| format!("&appId={app}")));
    let text = match post % 8 {
        0 => body_of(&id),
        1 => id,
        2 => format!("a={id}&b=%20+c\r\n\0\u{1}\u{7f}\"\\/"),
        3 => format!("{{\"id\": \"{id}\",\n\t\"é\": \"日本🦀\u{2028}\"}}"),
        // Beyond a batch's arena: a large one of its own.
        4 => format!("{id}{}", "0123456789abcdef".repeat(20_000)),
        5 => format!("H4sIAAAAAAAA/6tWKkktLlGyUlAqS8wpTVWqBQBzsGZ1EwAAAA=={id}"),
        6 => format!("{id}{}", "\u{1}".repeat(3_000)),
        _ => format!("{id}{}", "z".repeat(40_000)),
    };
    if post.is_multiple_of(3) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        (Request::post(&target, gzip.finish().unwrap()).header("Content-Encoding", "gzip"), text)
    } else {
        (Request::post(&target, text.clone()), text)
    }
}

/// `stored` must be exactly `sent`, rid to data, under the right keys.
fn compare(route: &str, sent: &BTreeMap<String, String>, stored: Vec<KafkaRecord>) {
    assert_eq!(stored.len(), sent.len(), "records of {route}");
    let mut partitions: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    for found in stored {
        let record = Record::parse(std::str::from_utf8(&found.value).unwrap()).unwrap();
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&found.value).unwrap();
        assert_eq!(fields.len(), 17, "{:?}", fields.keys());
        assert_eq!(
            Some(record.data()),
            sent.get(record.rid()).map(String::as_str),
            "{route} {}",
            record.rid()
        );
        let expected = match route {
            "none" => None,
            "rid" => Some(record.rid()),
            field => record.text(field),
        };
        let key = found.key.as_deref().map(|key| std::str::from_utf8(key).unwrap());
        assert_eq!(key, expected, "key of {route}");
        if let Some(key) = found.key {
            let partition = *partitions.entry(key).or_insert(found.partition);
            assert_eq!(partition, found.partition, "equal keys stay together");
        }
    }
}
