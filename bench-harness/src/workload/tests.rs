use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::request::{Stored, digest};

fn target() -> Target {
    Target::resolve("http://127.0.0.1:8088/collect", false).unwrap()
}

fn id(worker: u8, number: u64) -> RequestId {
    RequestId { run: 0xbeef, worker, number }
}

/// A request taken apart, as a server would.
struct Parsed {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn parse(wire: &[u8]) -> Parsed {
    let end = wire.windows(4).position(|window| window == b"\r\n\r\n").expect("a head ends") + 4;
    let head = std::str::from_utf8(&wire[..end - 4]).unwrap();
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap().split(' ');
    let (method, target) = (line.next().unwrap().to_owned(), line.next().unwrap().to_owned());
    assert_eq!((line.next(), line.next()), (Some("HTTP/1.1"), None));
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    assert_eq!(wire.len() - end, length, "the body is as long as it says");
    assert_eq!(headers["host"], "127.0.0.1:8088");
    Parsed { method, target, headers, body: wire[end..].to_vec() }
}

/// The body's events, whatever it is wrapped in.
fn events(request: &Parsed) -> Vec<serde_json::Value> {
    let gunzip = |bytes: &[u8]| {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    };
    let text = if request.headers.contains_key("content-encoding") {
        gunzip(&request.body)
    } else if request.body.starts_with(b"[") {
        request.body.clone()
    } else {
        gunzip(&STANDARD.decode(&request.body).unwrap())
    };
    serde_json::from_slice(&text).unwrap()
}

fn drawn(name: &str, seed: u64, worker: u8, count: u64) -> Vec<(Shape, Vec<u8>, String)> {
    let mut workload = WorkloadSpec { name: name.into(), seed }.open(&target(), worker).unwrap();
    let requests = (0..count).map(|number| {
        let mut wire = Vec::new();
        let shape = workload.next(id(worker, number), &mut wire);
        (shape, wire, workload.kinds()[usize::from(shape.kind)].clone())
    });
    requests.collect()
}

#[test]
fn the_same_seed_makes_the_same_requests_and_another_others() {
    for name in ["single", "sdk-mix", "pixel"] {
        let first = drawn(name, 1, 0, 200);
        assert!(first == drawn(name, 1, 0, 200), "{name}");
        assert!(first != drawn(name, 1, 1, 200), "{name}: another worker");
    }
    assert!(drawn("sdk-mix", 1, 0, 200) != drawn("sdk-mix", 2, 0, 200));
}

#[test]
fn every_request_is_whole_and_can_be_found_and_no_event_comes_twice() {
    let mut seen = BTreeSet::new();
    for (number, (shape, wire, kind)) in (0..).zip(drawn("sdk-mix", 1, 0, 2000)) {
        let request = parse(&wire);
        let found = |text: &[u8]| {
            memchr::memmem::find_iter(text, b"bh-")
                .any(|at| RequestId::parse(&text[at..]) == Some(id(0, number)))
        };
        assert!(found(request.target.as_bytes()) || found(&request.body), "{kind}: no id");
        match shape.stored {
            Stored::Nothing => assert_eq!((request.method.as_str(), shape.events), ("OPTIONS", 0)),
            Stored::Target(stored) => {
                assert_eq!((request.method.as_str(), stored), ("GET", digest(request.target.as_bytes())));
            }
            Stored::Body(stored) => {
                let events = events(&request);
                assert_eq!(events.len(), shape.events as usize, "{kind}");
                for event in &events {
                    assert!(seen.insert(event["event_id"].as_str().unwrap().to_owned()), "{event}");
                }
                if !request.headers.contains_key("content-encoding") {
                    assert_eq!(stored, digest(&request.body), "{kind}");
                }
            }
        }
    }
    assert!(seen.len() > 5000);
}

#[test]
fn kinds_come_as_often_as_they_weigh_and_are_as_large_as_they_should() {
    let requests = drawn("sdk-mix", 1, 0, 20_000);
    let recorded: Vec<_> = requests.iter().filter(|request| request.0.stored != Stored::Nothing).collect();
    let share = |name: &str| {
        let drawn = recorded.iter().filter(|request| request.2 == name).count();
        100.0 * f64::from(u32::try_from(drawn).unwrap()) / f64::from(u32::try_from(recorded.len()).unwrap())
    };
    for (name, weight) in [
        ("web", 45.0),
        ("web-batch", 5.0),
        ("android", 22.0),
        ("ios", 18.0),
        ("server", 4.0),
        ("device", 3.0),
        ("tracker", 2.8),
    ] {
        assert!((share(name) - weight).abs() < 1.5, "{name}: {} of {weight} %", share(name));
    }
    let sizes = |name: &str| {
        requests
            .iter()
            .filter(|request| request.2 == name)
            .map(|request| parse(&request.1).body.len())
            .collect::<Vec<_>>()
    };
    assert!(sizes("web").iter().all(|bytes| (850..1610).contains(bytes)));
    assert!(sizes("device").iter().all(|bytes| (300..=322).contains(bytes)));
    assert!(sizes("large").iter().all(|bytes| (200_000..=524_288).contains(bytes)));
    assert!(sizes("large").len() > 5);
    let preflights = requests.iter().filter(|request| request.2 == "web-preflight").count();
    assert!(preflights.abs_diff(sizes("web").len()) <= 1, "one preflight for each");
}

#[test]
fn the_plain_ones_allocate_nothing_once_warm() {
    for name in ["single", "pixel"] {
        let mut workload = WorkloadSpec { name: name.into(), seed: 1 }.open(&target(), 0).unwrap();
        let mut wire = Vec::with_capacity(4096);
        for number in 0..10 {
            wire.clear();
            workload.next(id(0, number), &mut wire);
        }
        assert_eq!(wire.capacity(), 4096, "{name}");
        let body = parse(&wire).body.len();
        assert!(name != "single" || (960..970).contains(&body), "{body}");
    }
}

#[test]
fn a_file_that_is_wrong_says_where_and_what_would_be_right() {
    let kind = |line: &str| format!("[[kind]]\nname = \"a\"\nweight = 1\nevents = [1, 1]\n{line}\n");
    for (text, says) in [
        (kind("wieght = 2"), "wieght"),
        (kind("method = \"PUT\""), "POST or GET"),
        (kind("method = \"GET\""), "{rid}"),
        (kind("encoding = \"gzip\""), "{rid}"),
        (kind("encoding = \"br\""), "base64-gzip"),
        (kind("headers = { Host = \"x\" }"), "leave it out"),
        (kind("event_bytes = [2, 1]"), "event_bytes = [2, 1]"),
        (kind("query = \"a b\""), "without spaces"),
        ("[[kind]]\nname = \"a\"\nweight = 0\nevents = [1, 1]".into(), "above 0"),
        ("kind = []".into(), "0 kinds"),
    ] {
        let error =
            KindFile::parse("my.toml", &text).err().unwrap_or_else(|| panic!("{text} was taken")).to_string();
        assert!(error.starts_with("my.toml: ") && error.contains(says), "{text}\n{error}");
    }
    let error = WorkloadSpec { name: "sdkmix".into(), seed: 1 }.open(&target(), 0).err().unwrap().to_string();
    assert!(error.contains("sdk-mix"), "{error}");
}

#[test]
fn recorded_requests_are_sent_again_with_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("requests.ndjson");
    std::fs::write(
        &file,
        concat!(
            r#"{"method":"POST","path":"/x?appId=a","headers":{"User-Agent":"ua","Content-Length":"999","Connection":"close"},"body":"[1]"}"#,
            "\n\n",
            r#"{"method":"GET","path":"/x"}"#,
            "\n",
            r#"{"method":"OPTIONS","path":"/x"}"#,
            "\n",
        ),
    )
    .unwrap();
    let requests = drawn(&format!("replay:{}", file.display()), 1, 0, 4);
    let parsed: Vec<_> = requests.iter().map(|request| parse(&request.1)).collect();
    assert_eq!(parsed[0].target, format!("/collect?appId=a&rid={}", id(0, 0)));
    assert_eq!((parsed[0].headers["user-agent"].as_str(), parsed[0].body.as_slice()), ("ua", &b"[1]"[..]));
    assert!(!parsed[0].headers.contains_key("connection"));
    assert_eq!(requests[0].0.stored, Stored::Body(digest(b"[1]")));
    assert_eq!(requests[1].0.stored, Stored::Target(digest(parsed[1].target.as_bytes())));
    assert_eq!(requests[2].0.stored, Stored::Nothing);
    assert_eq!(parsed[3].method, "POST", "from the beginning again");
}

#[test]
fn a_recording_that_is_wrong_says_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("requests.ndjson");
    for (text, says) in [
        ("", "holds no request"),
        ("\n{\"method\":\"POST\"}", "line 2: missing field `path`"),
        (r#"{"method":"post","path":"/"}"#, "capital letters"),
        (r#"{"method":"POST","path":"x"}"#, "must begin with /"),
        (r#"{"method":"POST","path":"/","body":"","body_base64":""}"#, "give one of them"),
        (r#"{"method":"POST","path":"/","body_base64":"?"}"#, "body_base64"),
        (r#"{"method":"POST","path":"/","bdy":"1"}"#, "bdy"),
    ] {
        std::fs::write(&file, text).unwrap();
        let spec = WorkloadSpec { name: format!("replay:{}", file.display()), seed: 1 };
        let error = spec.open(&target(), 0).err().unwrap_or_else(|| panic!("{text} was taken")).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}
