//! A client that is slow, or has stopped, does not hold a connection for ever.

use std::thread;
use std::time::Duration;

use support::http::{Client, Ending, Response};
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    a_head_that_does_not_end_is_answered_408,
    a_head_that_trickles_is_answered_408,
    a_body_that_does_not_end_is_answered_408,
    a_body_below_the_minimum_rate_is_answered_408,
    an_idle_connection_is_closed_without_a_word,
    a_connection_in_use_is_not_idle,
    a_connection_that_never_says_anything_has_to_hurry,
);

fn assert_timed_out(client: &mut Client, response: &Response, name: &str) {
    assert_eq!((response.status, response.error().as_str()), (408, name));
    assert!(response.announces_close());
    client.finish_sending();
    assert_eq!(client.ending(), Ending::Closed);
}

/// Sends a byte at a time until the server answers.
fn trickle(client: &mut Client, byte: u8) -> Response {
    while client.is_quiet() {
        if client.try_send(&[byte]).is_err() {
            break;
        }
        // The client's own slowness, not a wait for anything.
        thread::sleep(Duration::from_millis(20));
    }
    client.read_response()
}

fn a_head_that_does_not_end_is_answered_408(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("head_timeout_ms = 300"));
    for beginning in ["P", "POST /collect HTTP/1.1\r\nHost: x\r\n", "GET /health HTTP/1.1\r\nHost: x\r\n\r"] {
        let mut client = engine.connect();
        client.send(beginning.as_bytes());
        let response = client.read_response();
        assert_timed_out(&mut client, &response, "head_timeout");
    }
    // Also where it is not the first request of its connection.
    let mut client = engine.connect();
    assert_eq!(client.exchange(&Request::get("/health")).status, 200);
    client.send(b"GET /hea");
    let response = client.read_response();
    assert_timed_out(&mut client, &response, "head_timeout");
}

/// The time counts from the first byte of the head, not from the last one.
fn a_head_that_trickles_is_answered_408(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("head_timeout_ms = 300"));
    let mut client = engine.connect();
    client.send(b"GET /health HTTP/1.1\r\nX-Slow: ");
    let response = trickle(&mut client, b'x');
    assert_timed_out(&mut client, &response, "head_timeout");
}

fn a_body_that_does_not_end_is_answered_408(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).limits("body_timeout_ms = 300"));
    let requests = [
        "POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":",
        "POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
        "POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ];
    for request in requests {
        let mut client = engine.connect();
        client.send(request.as_bytes());
        let response = client.read_response();
        assert_timed_out(&mut client, &response, "body_timeout");
    }
    assert_eq!(engine.stop_and_read(), [], "half a body is never stored");
}

/// Averaged, and not before 5 s have passed: this test takes as long.
fn a_body_below_the_minimum_rate_is_answered_408(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).limits("body_rate_min = 10000"));
    let mut client = engine.connect();
    client.send(b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    let response = trickle(&mut client, b'x');
    assert_timed_out(&mut client, &response, "body_too_slow");
    assert_eq!(engine.stop_and_read(), []);
}

fn an_idle_connection_is_closed_without_a_word(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("idle_timeout_ms = 300"));
    let mut fresh = engine.connect();
    assert_eq!(fresh.ending(), Ending::Closed, "one that never sent anything");
    let mut used = engine.connect();
    assert_eq!(used.exchange(&Request::post("/collect", "{}")).status, 200);
    assert_eq!(used.ending(), Ending::Closed, "one between two requests");
}

fn a_connection_in_use_is_not_idle(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("idle_timeout_ms = 2000"));
    let mut client = engine.connect();
    for _ in 0..8 {
        assert_eq!(client.exchange(&Request::get("/health")).status, 200);
        // The client's own pace: in sum far beyond the timeout, each time well below it.
        thread::sleep(Duration::from_millis(400));
    }
}

fn a_connection_that_never_says_anything_has_to_hurry(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("head_timeout_ms = 300"));
    let mut used = engine.connect();
    assert_eq!(used.exchange(&Request::get("/health")).status, 200);
    let mut silent = engine.connect();
    assert_eq!(silent.ending(), Ending::Closed);
    assert_eq!(used.exchange(&Request::get("/health")).status, 200, "one that said something is kept");
}
