//! How long a connection lives: keep-alive, `Connection`, HTTP/1.0, and the number of connections.

use support::http::{Ending, NoResponse};
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(
    a_connection_serves_many_requests,
    connection_close_is_obeyed,
    http_1_0_closes_unless_asked_to_keep_alive,
    a_client_that_has_finished_sending_still_gets_its_answers,
    requests_on_one_connection_can_be_limited,
    connections_beyond_the_limit_are_answered_503_and_closed,
    a_client_that_goes_away_does_no_harm,
);

fn a_connection_serves_many_requests(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for number in 0..200 {
        let response = client.exchange(&Request::post("/collect", format!("{number}")));
        assert_eq!((response.status, response.announces_close()), (200, false));
    }
    assert_eq!(engine.stop_and_read().len(), 200);
}

fn connection_close_is_obeyed(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    for value in ["close", "Close", "x-other, close"] {
        let mut client = engine.connect();
        let response = client.exchange(&Request::post("/collect", "{}").header("Connection", value));
        assert_eq!(response.status, 200);
        assert!(response.announces_close());
        assert_eq!(client.ending(), Ending::Closed, "the server closes, and not by a reset");
    }
    // What follows on the connection is not a request any more.
    let mut client = engine.connect();
    let last = Request::post("/collect", "{}").header("Connection", "close").bytes();
    client.send(&[last, Request::post("/collect", "ignored").bytes()].concat());
    assert_eq!(client.read_response().status, 200);
    client.finish_sending();
    assert_eq!(client.ending(), Ending::Closed);
    assert_eq!(engine.stop_and_read().len(), 4);
}

fn http_1_0_closes_unless_asked_to_keep_alive(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    client.send(b"GET /health HTTP/1.0\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.announces_close()), (200, true));
    assert_eq!(client.ending(), Ending::Closed);

    let mut client = engine.connect();
    let request = Request::post("/collect", "{}").http_1_0().header("Connection", "keep-alive");
    for _ in 0..3 {
        let response = client.exchange(&request);
        assert_eq!(response.status, 200);
        assert!(response.lists("Connection", "keep-alive"), "a 1.0 client has to be told: {response:?}");
    }
    // 100 Continue does not exist for a 1.0 client.
    let mut client = engine.connect();
    client.send(&Request::post("/collect", "{}").http_1_0().header("Expect", "100-continue").bytes());
    assert_eq!(client.read_response().status, 200);
}

fn a_client_that_has_finished_sending_still_gets_its_answers(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    client.send(&[Request::post("/collect", "1").bytes(), Request::post("/collect", "2").bytes()].concat());
    client.finish_sending();
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.ending(), Ending::Closed);
    assert_eq!(engine.stop_and_read().len(), 2);
}

fn requests_on_one_connection_can_be_limited(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).limits("requests_per_connection_max = 3"));
    let mut client = engine.connect();
    for number in 1..=3 {
        let response = client.exchange(&Request::post("/collect", "{}"));
        assert_eq!((response.status, response.announces_close()), (200, number == 3), "request {number}");
    }
    assert_eq!(client.ending(), Ending::Closed);
}

fn connections_beyond_the_limit_are_answered_503_and_closed(driver: Driver) {
    let options = EngineOptions::new(driver).server("shards = 1").limits("connections_max = 4");
    let engine = Engine::start(&options);
    let mut clients: Vec<_> = (0..4).map(|_| engine.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.exchange(&Request::get("/health")).status, 200);
    }
    let mut fifth = engine.connect();
    // Answered without being asked; a client that has asked reads the answer all the same.
    fifth.send(&Request::get("/health").bytes());
    let response = fifth.read_response();
    assert_eq!((response.status, response.error().as_str()), (503, "too_many_connections"));
    assert!(
        response.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:?}"
    );
    assert!(response.announces_close());
    fifth.finish_sending();
    assert_eq!(fifth.ending(), Ending::Closed);
    assert_eq!(clients[0].exchange(&Request::get("/health")).status, 200, "the others are not touched");

    clients.pop();
    poll_until("a place to be free again", PATIENCE, || {
        let mut client = engine.connect();
        let sent = client.try_send(&Request::get("/health").bytes());
        (sent.is_ok() && client.try_read("GET").is_ok_and(|response| response.status == 200)).then_some(())
    });
}

fn a_client_that_goes_away_does_no_harm(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let whole = Request::post("/collect?appId=gone", "a body of some bytes").bytes();
    for length in (0..=whole.len()).step_by(3) {
        let mut client = engine.connect();
        client.send(&whole[..length]);
        // Dropped: closed while the request is on its way, or while its answer is.
    }
    let mut client = engine.connect();
    client.send(&whole[..whole.len() - 1]);
    client.finish_sending();
    match client.try_read("POST") {
        Err(NoResponse::Closed) => {}
        Ok(response) => assert_eq!(response.status, 400, "half a request is none: {response:?}"),
        Err(reason) => panic!("{reason:?}"),
    }
    assert_eq!(engine.exchange(&Request::post("/collect?appId=here", "{}")).status, 200);
    let records = engine.stop_and_read();
    let gone: Vec<_> = records.iter().filter(|record| record.text("appId") == Some("gone")).collect();
    assert!(gone.iter().all(|record| record.data() == "a body of some bytes"), "half a body is never stored");
    assert_eq!(records.len() - gone.len(), 1);
}
