//! HTTP/1.1 message framing (RFC 9112): however the bytes arrive, the requests are the same.

use support::http::{Client, Ending};
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    a_request_sent_byte_by_byte_is_the_same_request,
    a_request_split_at_any_place_is_the_same_request,
    chunked_bodies_are_joined,
    pipelined_requests_are_answered_in_order,
    a_deep_pipeline_keeps_its_order,
    a_pipeline_mixes_paths_refusals_and_bodies,
    empty_lines_before_a_request_are_skipped,
    absolute_form_is_a_path,
    a_client_that_waits_for_100_continue_gets_it,
    optional_whitespace_and_letter_case_do_not_matter,
);

const CHUNKED: &str = "POST /collect?appId=a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

fn a_request_sent_byte_by_byte_is_the_same_request(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let body = r#"[{"event_id":"1","text":"é日🦀 \"quoted\""}]"#;
    client.send_in_pieces(&Request::post("/collect?appId=a", body).bytes(), 1);
    let plain = client.read_response();
    let chunked = format!("{CHUNKED}5;x=\"y\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
    client.send_in_pieces(chunked.as_bytes(), 1);
    let chunked = client.read_response();
    let records = engine.stop_and_read();
    assert_eq!(record_of(&records, &plain).data(), body);
    assert_eq!(record_of(&records, &chunked).data(), "hello world");
}

fn a_request_split_at_any_place_is_the_same_request(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let plain = Request::post("/collect?appId=a", "hello world").bytes();
    let chunked = format!("{CHUNKED}5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n").into_bytes();
    let mut answers = Vec::new();
    for request in [plain, chunked] {
        for place in 1..request.len() {
            client.send(&request[..place]);
            client.send(&request[place..]);
            answers.push(client.read_response());
        }
    }
    let records = engine.stop_and_read();
    assert_eq!(records.len(), answers.len());
    for response in answers {
        assert_eq!(record_of(&records, &response).data(), "hello world");
    }
}

fn chunked_bodies_are_joined(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let cases = [
        ("1\r\na\r\n0\r\n\r\n", "a"),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        // Leading zeros and both letter cases are hexadecimal too.
        ("0000A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        // A chunk is bytes: what looks like framing inside it is not.
        ("7\r\n0\r\n\r\nPO\r\n0\r\n\r\n", "0\r\n\r\nPO"),
        ("1;name\r\na\r\n0\r\n\r\n", "a"),
        ("1;name=value;other=\"quoted; text\"\r\na\r\n0;last\r\n\r\n", "a"),
        ("1\r\na\r\n0\r\nX-Checksum: 1\r\nX-Other: two words\r\n\r\n", "a"),
    ];
    let mut sent = Vec::new();
    for (body, joined) in cases {
        client.send(format!("{CHUNKED}{body}").as_bytes());
        let response = client.read_response();
        assert_eq!(response.status, 200, "{body:?}: {response:?}");
        sent.push((response, joined));
    }
    client.send(format!("{CHUNKED}0\r\n\r\n").replace("?appId=a", "").as_bytes());
    assert_eq!(client.read_response().error(), "empty_event", "no chunk, no event");
    let records = engine.stop_and_read();
    for (response, joined) in sent {
        assert_eq!(record_of(&records, &response).data(), joined);
    }
}

fn pipelined_requests_are_answered_in_order(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let pipeline = [
        Request::post("/collect", "first").bytes(),
        Request::get("/health").bytes(),
        Request::post("/collect", "second").bytes(),
        Request::get("/elsewhere").bytes(),
    ];
    client.send(&pipeline.concat());
    let first = client.read_response();
    assert_eq!(client.read_response().text(), r#"{"ok":true}"#);
    let second = client.read_response();
    assert_eq!(client.read_response().status, 404);
    let records = engine.stop_and_read();
    assert_eq!(record_of(&records, &first).data(), "first");
    assert_eq!(record_of(&records, &second).data(), "second");
}

fn a_deep_pipeline_keeps_its_order(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let bodies: Vec<_> =
        (0..300).map(|number| format!("{number}-{}", "x".repeat(number * 7 % 500))).collect();
    let pipeline: Vec<_> =
        bodies.iter().flat_map(|body| Request::post("/collect", body.as_str()).bytes()).collect();
    client.send(&pipeline);
    let answers: Vec<_> = bodies.iter().map(|_| client.read_response()).collect();
    let records = engine.stop_and_read();
    assert_eq!(records.len(), bodies.len());
    for (response, body) in answers.iter().zip(&bodies) {
        assert_eq!(record_of(&records, response).data(), body);
    }
}

fn a_pipeline_mixes_paths_refusals_and_bodies(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    // After a refusal that keeps the connection its body must be skipped exactly, or the next request is lost.
    let requests = [
        (Request::post("/elsewhere", "a body that belongs to nobody"), 404),
        (Request::new("PUT", "/collect").header("Content-Length", "4\r\nX-Ends: here"), 405),
        (Request::post("/collect", "{}").header("Content-Encoding", "br"), 415),
        (Request::post("/collect", "{}"), 200),
        (Request::new("HEAD", "/health"), 200),
        (Request::new("OPTIONS", "/collect"), 204),
        (Request::post("/collect", ""), 400),
        (Request::get("/ping"), 200),
    ];
    let mut bytes = Vec::new();
    for (request, _) in &requests {
        bytes.extend(request.bytes());
        if request.method() == "PUT" {
            bytes.extend(b"body");
        }
    }
    client.send(&bytes);
    for (request, status) in &requests {
        assert_eq!(client.read_answer_to(request.method()).status, *status, "{request:?}");
    }
}

/// RFC 9112 section 2.2: at least one, for clients that end a body with an extra line end.
fn empty_lines_before_a_request_are_skipped(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    client.send(b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 200);
}

fn absolute_form_is_a_path(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let sent = [
        client.exchange(&Request::post("http://collector.example/collect?appId=app1", "{}")),
        client.exchange(&Request::post("HTTP://collector.example:8088/collect?appId=app1", "{}")),
    ];
    assert_eq!(client.exchange(&Request::get("http://collector.example/elsewhere")).status, 404);
    for pathless in ["http://collector.example", "http://collector.example?a?b"] {
        assert_eq!(client.exchange(&Request::get(pathless)).status, 404, "{pathless}");
    }
    let records = engine.stop_and_read();
    for response in sent {
        let record = record_of(&records, &response);
        assert_eq!(record.text("appId"), Some("app1"));
        assert_eq!(record.text("path"), Some("/collect"));
    }
}

fn a_client_that_waits_for_100_continue_gets_it(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let request = Request::post("/collect", "the body").header("Expect", "100-continue");
    client.send(&request.head_bytes());
    assert_eq!(client.read_response().status, 100);
    client.send(b"the body");
    let waited = client.read_response();
    // One that does not wait may get the 100 or, since its body is there, may not.
    client.send(&request.bytes());
    let mut hasty = client.read_response();
    if hasty.status == 100 {
        hasty = client.read_response();
    }
    let records = engine.stop_and_read();
    assert_eq!(record_of(&records, &waited).data(), "the body");
    assert_eq!(record_of(&records, &hasty).data(), "the body");
}

fn optional_whitespace_and_letter_case_do_not_matter(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    let heads = [
        "hOST:x\r\ncONTENT-lENGTH:2",
        "Host: \t x \t\r\nContent-Length:\t2 \t",
        "X-Empty:\r\nHost: x:80\r\nContent-Length: 0002",
        "Host: [::1]:8088\r\nContent-Length: 2\r\nX-Obs: caf\u{e9}",
    ];
    for head in heads {
        client.send(format!("POST /collect HTTP/1.1\r\n{head}\r\n\r\n{{}}").as_bytes());
        assert_eq!(client.read_response().status, 200, "{head:?}");
    }
    client
        .send(b"POST /collect HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert_still_in_step(&mut client);
    assert_eq!(engine.stop_and_read().len(), heads.len() + 1);
}

fn assert_still_in_step(client: &mut Client) {
    assert_eq!(client.exchange(&Request::get("/health")).status, 200);
    assert!(client.is_quiet(), "one answer to one request");
    client.finish_sending();
    assert_eq!(client.ending(), Ending::Closed);
}
