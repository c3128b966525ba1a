//! Which path serves which method, and which route leads to which sink.

use support::files::completed_records;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    paths_are_matched_exactly,
    other_methods_are_refused_and_not_stored,
    options_is_answered_and_never_recorded,
    two_routes_lead_to_two_sinks,
);

fn paths_are_matched_exactly(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let elsewhere = [
        "/",
        "/collect/",
        "/collectfoo",
        "/collectfoo/bar",
        "/Collect",
        "/collect%2F",
        "//collect",
        "/healthy",
    ];
    for path in elsewhere {
        let response = client.exchange(&Request::post(path, "{}"));
        assert_eq!((response.status, response.error().as_str()), (404, "not_found"), "{path}");
        assert!(!response.announces_close(), "the connection goes on");
    }
    assert_eq!(client.exchange(&Request::post("/collect?a=/b", "{}")).status, 200);
    assert_eq!(engine.stop_and_read().len(), 1);
}

fn other_methods_are_refused_and_not_stored(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for method in ["PUT", "DELETE", "PATCH", "PROPFIND"] {
        let response = client.exchange(&Request::new(method, "/collect?appId=app1"));
        assert_eq!((response.status, response.error().as_str()), (405, "method_not_allowed"), "{method}");
        for allowed in ["GET", "POST", "OPTIONS"] {
            assert!(response.lists("Allow", allowed), "RFC 9110 section 15.5.6: {response:?}");
        }
    }
    let response = client.exchange(&Request::new("HEAD", "/collect?appId=app1"));
    assert_eq!((response.status, response.body.len()), (405, 0), "an answer to HEAD has no body");
    assert_eq!(
        client.exchange(&Request::post("/collect", "{}")).status,
        200,
        "and the framing is still right"
    );
    assert_eq!(engine.stop_and_read().len(), 1);
}

fn options_is_answered_and_never_recorded(driver: Driver) {
    let mut engine =
        Engine::start(&EngineOptions::new(driver).cors(r#"origins = ["https://a.example.com"]"#));
    let mut client = engine.connect();
    let requests = [
        Request::preflight("/collect?appId=app1", "https://a.example.com"),
        Request::preflight("/collect?appId=app1", "https://evil.example"),
        Request::new("OPTIONS", "/collect?appId=app1"),
    ];
    for request in requests {
        let response = client.exchange(&request);
        assert_eq!((response.status, response.body.len()), (204, 0), "{request:?}");
    }
    assert_eq!(engine.stop_and_read(), []);
}

fn two_routes_lead_to_two_sinks(driver: Driver) {
    let other = tempfile::tempdir().unwrap();
    let options = EngineOptions::new(driver)
        .section("sink.others", &format!("kind = \"file\"\ndir = \"{}\"", other.path().display()))
        .section("route.others", "path = \"/v2/events\"\nprotocol = \"clickstream\"\nsink = \"others\"");
    let mut engine = Engine::start(&options);
    let mut client = engine.connect();
    let first = client.exchange(&Request::post("/collect", "first"));
    let second = client.exchange(&Request::post("/v2/events", "second"));
    let records = engine.stop_and_read();
    assert_eq!(records.len(), 1);
    assert_eq!(record_of(&records, &first).data(), "first");
    let others = completed_records(other.path());
    assert_eq!(others.len(), 1);
    assert_eq!(record_of(&others, &second).data(), "second");
    assert_eq!(record_of(&others, &second).text("path"), Some("/v2/events"));
}
