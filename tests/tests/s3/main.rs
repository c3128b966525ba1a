//! The engine in front of an S3 server: what is in the bucket, and that whatever was answered 200 gets there, whatever
//! fails in between.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

mod crash;
mod delivered;
mod drain;
mod faults;
mod objects;
mod replay;

use std::path::Path;
use std::time::Duration;

use support::record::Record;
use support::request::Request;
use support::s3::Bucket;
use support::s3_proxy::S3Proxy;
use support::{Driver, Engine, EngineOptions, poll_until};

const PREFIX: &str = "clickstream/data/";

/// Long enough for anything that happens at all.
const RECOVERY: Duration = Duration::from_mins(2);

/// An engine whose journal is in `dir` and whose objects go to `bucket` by the URL `endpoint`.
fn engine_options(driver: Driver, dir: &Path, bucket: &Bucket, endpoint: &str) -> EngineOptions {
    EngineOptions::new(driver)
        .without_default_sink()
        .environment("AWS_ACCESS_KEY_ID", "test")
        .environment("AWS_SECRET_ACCESS_KEY", "test")
        .environment("AWS_EC2_METADATA_DISABLED", "true")
        .limits("connections_max = 200\nbody_memory_bytes = 8388608\nbody_decoded_bytes_max = 1048576\nrecord_bytes_max = 2000000")
        .section("batch", "count = 16\nlarge_count = 1")
        .section(
            "journal",
            &format!("dir = \"{}\"\nsegment_bytes = 4194304\nbytes_max = 268435456", dir.display()),
        )
        .section("route.collect", "path = \"/collect\"\nsink = \"events\"")
        .section(
            "sink.events",
            &format!(
                "kind = \"s3\"\nbucket = \"{}\"\nprefix = \"{PREFIX}\"\nregion = \"us-east-1\"\nendpoint = \"{endpoint}\"\n\
                 path_style = true\nobject_age_max_ms = 300\ncall_timeout_ms = 5000",
                bucket.name
            ),
        )
}

fn through(proxy: &S3Proxy, driver: Driver, dir: &Path, bucket: &Bucket) -> EngineOptions {
    engine_options(driver, dir, bucket, &proxy.endpoint())
}

fn direct(driver: Driver, dir: &Path, bucket: &Bucket) -> EngineOptions {
    engine_options(driver, dir, bucket, &format!("http://{}", bucket.address))
}

/// Posts a body that has to be answered 200.
fn post(engine: &Engine, body: &str) {
    let response = engine.exchange(&Request::post("/collect?appId=app&platform=Web", body));
    assert_eq!(response.status, 200, "{body}: {response:?}");
}

/// Posts `count` bodies and returns them.
fn post_many(engine: &Engine, prefix: &str, count: usize) -> Vec<String> {
    let mut client = engine.connect();
    (0..count)
        .map(|number| {
            let body = format!("{prefix}-{number}");
            let response = client.exchange(&Request::post("/collect?appId=app", body.as_str()));
            assert_eq!(response.status, 200, "{body}: {response:?}");
            body
        })
        .collect()
}

/// Waits until every body is in the bucket, and returns what is there.
fn wait_for(bucket: &Bucket, bodies: &[String]) -> Vec<Record> {
    poll_until("all records in the bucket", RECOVERY, || {
        let records = bucket.records(PREFIX);
        bodies.iter().all(|body| records.iter().any(|record| record.data() == body)).then_some(records)
    })
}

/// Every body is there once.
fn assert_once(records: &[Record], bodies: &[String]) {
    for body in bodies {
        let copies = records.iter().filter(|record| record.data() == body).count();
        assert_eq!(copies, 1, "{body}");
    }
}

/// SIGTERM, and a clean end.
fn stop(engine: &mut Engine) {
    engine.terminate();
    let status = engine.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", engine.log());
}
