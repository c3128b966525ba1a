//! No space left: 503 while it lasts, with nothing lost, and 200 again by itself.

use std::collections::BTreeSet;

use support::http::Response;
use support::mount::SmallDisk;
use support::poll::PATIENCE;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(a_full_disk_is_answered_503_and_recovers_by_itself);

/// Large enough that it can't hide in the last page of a file.
const BODY_BYTES: usize = 64 * 1024;

fn a_full_disk_is_answered_503_and_recovers_by_itself(driver: Driver) {
    let disk = SmallDisk::mount(8 * 1024 * 1024);
    let options = EngineOptions::new(driver)
        .data_dir(disk.path())
        .files("compression = \"none\"")
        .section("ack", "deadline_ms = 2000")
        .cors(r#"origins = ["https://a.example.com"]"#);
    let mut engine = Engine::start(&options);
    let mut stored = BTreeSet::new();
    let mut number = 0;
    let mut post = |engine: &Engine| -> Response {
        number += 1;
        let body = format!("{number}-{}", "a".repeat(BODY_BYTES));
        let response =
            engine.exchange(&Request::post("/collect", body).header("Origin", "https://a.example.com"));
        match response.status {
            200 => drop(stored.insert(number.to_string())),
            _ => assert_refused(&response),
        }
        response
    };
    for _ in 0..10 {
        assert_eq!(post(&engine).status, 200);
    }
    disk.fill();
    poll_until("an answer of 503", PATIENCE, || (post(&engine).status == 503).then_some(()));
    for _ in 0..10 {
        assert_eq!(post(&engine).status, 503, "as long as the disk is full");
    }
    assert_eq!(engine.exchange(&Request::get("/health")).status, 200, "the process lives");
    disk.free();
    poll_until("an answer of 200 after space was freed", PATIENCE, || {
        (post(&engine).status == 200).then_some(())
    });
    for _ in 0..10 {
        assert_eq!(post(&engine).status, 200);
    }

    let records = engine.stop_and_read();
    let found: BTreeSet<_> = records.iter().map(|record| number_in(record).to_owned()).collect();
    let lost: Vec<_> = stored.difference(&found).collect();
    assert!(lost.is_empty(), "answered 200 and lost: {lost:?}");
    for record in &records {
        assert_eq!(record.data().len(), number_in(record).len() + 1 + BODY_BYTES, "half a record");
    }
}

fn number_in(record: &Record) -> &str {
    record.data().split('-').next().unwrap()
}

/// What a client needs in order to try again, also from a page.
fn assert_refused(response: &Response) {
    let name = response.error();
    assert_eq!(response.status, 503, "{response:?}");
    let names = ["delivery_failed", "sink_unavailable", "delivery_unknown", "overloaded"];
    assert!(names.contains(&name.as_str()), "{response:?}");
    assert!(
        response.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:?}"
    );
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("https://a.example.com"));
    assert!(!response.announces_close(), "the connection goes on");
}
