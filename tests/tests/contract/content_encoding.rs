//! `Content-Encoding` (RFC 9110 section 8.4): decoded before the body is stored, within a bound.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use support::http::Ending;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    every_coding_is_undone,
    an_unknown_coding_is_refused,
    broken_data_is_refused,
    what_decodes_to_nothing_is_no_event,
    a_bomb_is_refused_and_costs_little,
);

const EVENTS: &str = r#"[{"event_id":"é-1","note":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]"#;
const TARGET: &str = "/collect?appId=app1";

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).unwrap()
}

/// The raw block format, as the seed takes it.
fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

fn every_coding_is_undone(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let events = EVENTS.as_bytes();
    let (front, back) = events.split_at(20);
    let cases = [
        ("identity", events.to_vec()),
        ("", events.to_vec()),
        ("gzip", gzip(events)),
        ("GZip", gzip(events)),
        ("x-gzip", gzip(events)),
        ("gzip", [gzip(front), gzip(b""), gzip(back)].concat()),
        ("deflate", zlib(events)),
        ("zstd", zstd(events)),
        ("zstd", [zstd(front), zstd(back)].concat()),
        ("snappy", snappy(events)),
        // A list names the codings in the order in which they were applied: the last is undone first.
        ("deflate, gzip", gzip(&zlib(events))),
        ("identity,zstd ,\tsnappy", snappy(&zstd(events))),
    ];
    let mut client = engine.connect();
    let sent: Vec<_> = cases
        .into_iter()
        .map(|(coding, body)| {
            let response = client.exchange(&Request::post(TARGET, body).header("Content-Encoding", coding));
            assert_eq!(response.status, 200, "{coding:?}: {}", String::from_utf8_lossy(&response.body));
            response
        })
        .collect();
    let records = engine.stop_and_read();
    for response in sent {
        assert_eq!(record_of(&records, &response).data(), EVENTS);
    }
}

fn an_unknown_coding_is_refused(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for coding in ["br", "compress", "gzipp", "gzip, br", "aes128gcm"] {
        let response = client.exchange(&Request::post(TARGET, EVENTS).header("Content-Encoding", coding));
        assert_eq!((response.status, response.error().as_str()), (415, "unsupported_encoding"), "{coding}");
        assert!(!response.announces_close(), "the connection goes on");
    }
    assert_eq!(engine.stop_and_read(), []);
}

fn broken_data_is_refused(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let events = EVENTS.as_bytes();
    let without_end = |bytes: Vec<u8>, end: usize| bytes[..bytes.len() - end].to_vec();
    let with_bad_sum = |mut bytes: Vec<u8>| {
        let place = bytes.len() - 6;
        bytes[place] ^= 1;
        bytes
    };
    let cases = [
        ("gzip", events.to_vec()),
        ("gzip", without_end(gzip(events), 1)),
        ("gzip", without_end(gzip(events), 20)),
        ("gzip", with_bad_sum(gzip(events))),
        ("gzip", [gzip(events), b"trailing".to_vec()].concat()),
        ("gzip", zlib(events)),
        ("deflate", without_end(zlib(events), 5)),
        ("zstd", without_end(zstd(events), 3)),
        ("zstd", gzip(events)),
        ("snappy", without_end(snappy(events), 3)),
        ("snappy", b"\xff\xff\xff\xff\x0f".to_vec()),
        ("deflate, gzip", gzip(events)),
    ];
    let mut client = engine.connect();
    for (number, (coding, body)) in cases.into_iter().enumerate() {
        let response = client.exchange(&Request::post(TARGET, body).header("Content-Encoding", coding));
        let found = (response.status, response.error());
        // A snappy header announces its length, here 4 GiB: also a way to be too large.
        let is_right = found == (400, "bad_encoding".to_owned())
            || (coding == "snappy" && found == (413, "decoded_too_large".to_owned()));
        assert!(is_right, "case {number}, {coding}: {found:?}");
        assert_eq!(response.announces_close(), found.0 == 413, "only what costs much costs the connection");
        if response.announces_close() {
            client = engine.connect();
        }
    }
    // Some clients send deflate without its zlib wrapper; the seed does not take it: either is consistent.
    let response =
        client.exchange(&Request::post(TARGET, raw_deflate(events)).header("Content-Encoding", "deflate"));
    let records = engine.stop_and_read();
    match response.status {
        200 => assert_eq!(record_of(&records, &response).data(), EVENTS),
        status => assert_eq!((status, records.len()), (400, 0)),
    }
}

fn what_decodes_to_nothing_is_no_event(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let response = engine.exchange(&Request::post("/collect", gzip(b"")).header("Content-Encoding", "gzip"));
    assert_eq!((response.status, response.error().as_str()), (400, "empty_event"));
    assert_eq!(engine.stop_and_read(), []);
}

fn a_bomb_is_refused_and_costs_little(driver: Driver) {
    const MIB: usize = 1024 * 1024;
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let big = vec![b'a'; 300 * MIB];
    let bombs = [
        ("gzip", gzip(&big)),
        ("deflate", zlib(&big)),
        ("zstd", zstd(&big)),
        ("gzip, gzip", gzip(&gzip(&big))),
        ("gzip", gzip(&big[..=8 * MIB])),
    ];
    drop(big);
    for (coding, bomb) in bombs {
        assert!(bomb.len() < MIB, "small on the wire");
        let mut client = engine.connect();
        let response = client.exchange(&Request::post(TARGET, bomb).header("Content-Encoding", coding));
        assert_eq!((response.status, response.error().as_str()), (413, "decoded_too_large"), "{coding}");
        assert_eq!(client.ending(), Ending::Closed, "{coding}: another one has to cost a connection");
    }
    assert!(engine.rss_bytes() < 200 * MIB as u64, "{} bytes for bombs of 300 MiB", engine.rss_bytes());
    assert_eq!(engine.stop_and_read(), []);
}
