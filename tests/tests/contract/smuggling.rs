//! What request smuggling is made of is refused: where two servers could disagree on where a request ends, the
//! answer says so, the connection ends, and nothing is stored (RFC 9112 sections 2.2, 5.1, 6.1, 6.3, 7.1, 11.2).

use support::http::Ending;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    ambiguous_lengths_are_refused,
    transfer_codings_other_than_chunked_are_refused,
    malformed_chunks_are_refused,
    framing_fields_in_trailers_are_refused,
    malformed_heads_are_refused,
    malformed_request_lines_are_refused,
    the_host_must_be_one_host,
    unknown_expectations_are_refused,
    heads_beyond_the_limits_are_refused,
);

/// Bytes sent, status, and the names that are right for it (several where the specification leaves the choice).
type Case = (String, u16, &'static [&'static str]);

/// Each on a connection of its own, followed by a request that must not be taken for one.
fn assert_refused(driver: Driver, cases: &[Case]) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    for (bytes, status, names) in cases {
        let mut client = engine.connect();
        client.send(bytes.as_bytes());
        // The server may have closed by now; what matters is that it does not answer this one.
        let _ = client.try_send(&Request::post("/collect", "smuggled").bytes());
        let response = client.try_read("GET").unwrap_or_else(|reason| panic!("{bytes:?}: {reason:?}"));
        let name = response.error();
        assert!(response.status == *status && names.contains(&name.as_str()), "{bytes:?}: {response:?}");
        assert!(response.announces_close(), "{bytes:?}: {response:?}");
        client.finish_sending();
        assert_eq!(client.ending(), Ending::Closed, "{bytes:?}");
    }
    assert_eq!(engine.exchange(&Request::get("/health")).status, 200);
    assert_eq!(engine.stop_and_read(), [], "nothing of it was stored");
}

fn post(fields: &str) -> String {
    format!("POST /collect HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{{}}")
}

fn ambiguous_lengths_are_refused(driver: Driver) {
    let bad = &["bad_content_length"];
    let mut cases: Vec<Case> = vec![
        (post("Content-Length: 2\r\nTransfer-Encoding: chunked"), 400, &["length_and_transfer_encoding"]),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 2"), 400, &["length_and_transfer_encoding"]),
        (post("Content-Length: 2\r\nContent-Length: 3"), 400, bad),
        (post("Content-Length: 2, 3"), 400, bad),
    ];
    for value in ["+2", "-2", "0x2", "2 2", "2;", "", "two", "2.0", "2\u{a0}", "\u{b2}"] {
        cases.push((post(&format!("Content-Length: {value}")), 400, bad));
    }
    assert_refused(driver, &cases);
    // A number that no integer holds is too large at best.
    let huge = post(&format!("Content-Length: {}", "9".repeat(40)));
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    client.send(huge.as_bytes());
    let response = client.read_response();
    assert!(matches!(response.error().as_str(), "bad_content_length" | "body_too_large"), "{response:?}");
    assert!(response.announces_close());
}

fn transfer_codings_other_than_chunked_are_refused(driver: Driver) {
    let bad: &[&str] = &["bad_transfer_encoding"];
    let unsupported: &[&str] = &["unsupported_transfer_encoding"];
    let mut cases: Vec<Case> = vec![
        (post("Transfer-Encoding: chunked, chunked"), 400, bad),
        (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400, bad),
        (post("Transfer-Encoding: gzip, chunked"), 501, unsupported),
        (post("Transfer-Encoding: gzip"), 501, unsupported),
        (
            "POST /collect HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
            400,
            bad,
        ),
    ];
    for value in ["xchunked", "chunkedx"] {
        cases.push((post(&format!("Transfer-Encoding: {value}")), 501, unsupported));
    }
    assert_refused(driver, &cases);
    // Values that are no list of tokens: 400 or 501, but never served, and never with a second reading.
    let engine = Engine::start(&EngineOptions::new(driver));
    for value in ["\"chunked\"", "chunked;q=1", "", ",", "identity", "\u{b}chunked", "chunked\0"] {
        let mut client = engine.connect();
        client.send(post(&format!("Transfer-Encoding: {value}")).as_bytes());
        let response = client.read_response();
        assert!(matches!(response.status, 400 | 501), "{value:?}: {response:?}");
        assert!(response.announces_close(), "{value:?}: {response:?}");
        client.finish_sending();
        assert_eq!(client.ending(), Ending::Closed, "{value:?}");
    }
}

fn chunked(body: &str) -> String {
    format!("POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn malformed_chunks_are_refused(driver: Driver) {
    let bodies = [
        "0x2\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        " 2\r\n{}\r\n0\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        ";x\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "2\r\n{}\r\r\n0\r\n\r\n",
        "2;x\ny\r\n{}\r\n0\r\n\r\n",
        "2;x=\"\u{1}\"\r\n{}\r\n0\r\n\r\n",
        "2;x\0\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2,\r\n{}\r\n0\r\n\r\n",
    ];
    let mut cases: Vec<Case> = bodies.iter().map(|body| (chunked(body), 400, &["bad_chunk"] as &_)).collect();
    // A line without an end is not waited for for ever.
    cases.push((chunked(&format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000))), 400, &["bad_chunk"]));
    cases.push((chunked(&format!("{}2\r\n{{}}\r\n0\r\n\r\n", "0".repeat(100_000))), 400, &["bad_chunk"]));
    assert_refused(driver, &cases);
    let engine = Engine::start(&EngineOptions::new(driver));
    for size in ["FFFFFFFFFFFFFFFF", "10000000000000002", "8000000000000000"] {
        let mut client = engine.connect();
        client.send(chunked(&format!("{size}\r\n{{}}\r\n0\r\n\r\n")).as_bytes());
        let response = client.read_response();
        assert!(matches!(response.error().as_str(), "bad_chunk" | "body_too_large"), "{size}: {response:?}");
        assert!(response.announces_close(), "{size}: {response:?}");
    }
}

fn framing_fields_in_trailers_are_refused(driver: Driver) {
    let trailers = [
        "Content-Length: 2",
        "Transfer-Encoding: chunked",
        "transfer-encoding : chunked",
        "Host: evil.example",
        "Trailer field without a colon",
        "X-Folded: a\r\n b",
        "X-Control: \u{1}",
        " X-Leading: blank",
    ];
    let mut cases: Vec<Case> = trailers
        .iter()
        .map(|trailer| {
            (chunked(&format!("2\r\n{{}}\r\n0\r\n{trailer}\r\n\r\n")), 400, &["bad_trailer"] as &_)
        })
        .collect();
    let long = format!("2\r\n{{}}\r\n0\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    cases.push((chunked(&long), 400, &["bad_trailer"]));
    assert_refused(driver, &cases);
}

fn malformed_heads_are_refused(driver: Driver) {
    let fields = [
        "X-Folded: a\r\n b",
        "X-Folded: a\r\n\tb",
        "Content-Length : 2",
        "Transfer-Encoding\t: chunked",
        "X-Nul: a\0b",
        "X-Control: a\u{1}b",
        "X-Delete: a\u{7f}b",
        "No colon",
        ": no name",
        "X Blank: in the name",
        "X-Naïve: name",
        "X(comment): name",
        " X-Leading: blank",
    ];
    let mut cases: Vec<Case> = fields
        .iter()
        .map(|field| (post(&format!("{field}\r\nContent-Length: 2")), 400, &["bad_header"] as &_))
        .collect();
    let line_ends: &[&str] = &["bad_line_ending", "bad_header"];
    cases.push((post("X-Bare: a\rb\r\nContent-Length: 2"), 400, line_ends));
    cases.push((post("X-Bare: a\rContent-Length: 50\r\nContent-Length: 2"), 400, line_ends));
    cases.push((post("X-Newline: a\nContent-Length: 2"), 400, line_ends));
    cases.push(("GET /health HTTP/1.1\nHost: x\n\n".to_owned(), 400, &["bad_line_ending"]));
    cases.push(("GET /health HTTP/1.1\r\nHost: x\r\n\n".to_owned(), 400, line_ends));
    assert_refused(driver, &cases);
}

fn malformed_request_lines_are_refused(driver: Driver) {
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    let cases: Vec<Case> = vec![
        (line("GET /health"), 400, &["bad_request_line"]),
        (line("/health"), 400, &["bad_request_line"]),
        (line("GET  /health HTTP/1.1"), 400, &["bad_request_line", "bad_target"]),
        (line("GET /hea lth HTTP/1.1"), 400, &["bad_request_line", "bad_target"]),
        (line("GET /health HTTP/1.1 "), 400, &["bad_request_line"]),
        (line("G@T /health HTTP/1.1"), 400, &["bad_request_line"]),
        (line(" GET /health HTTP/1.1"), 400, &["bad_request_line"]),
        (line("GET /health http/1.1"), 400, &["bad_request_line"]),
        (line("GET /he\u{1}alth HTTP/1.1"), 400, &["bad_request_line", "bad_target"]),
        (line("GET health HTTP/1.1"), 400, &["bad_target"]),
        (line("GET ftp://x/health HTTP/1.1"), 400, &["bad_target"]),
        (line("GET /health#fragment HTTP/1.1"), 400, &["bad_target", "bad_request_line"]),
        (line("CONNECT collector.example:443 HTTP/1.1"), 400, &["bad_target"]),
        (line("GET /health HTTP/2.0"), 505, &["unsupported_version"]),
        (line("GET /health HTTP/0.9"), 505, &["unsupported_version"]),
        // A TLS client on the plain port.
        (
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{7c}\u{3}\u{3}\r\n\r\n".to_owned(),
            400,
            &["bad_request_line"],
        ),
        // HTTP/2 with prior knowledge.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505, &["unsupported_version"]),
    ];
    assert_refused(driver, &cases);
}

fn the_host_must_be_one_host(driver: Driver) {
    let with = |fields: &str| format!("GET /health HTTP/1.1\r\n{fields}X: y\r\n\r\n");
    let mut cases: Vec<Case> = vec![
        (with(""), 400, &["missing_host"]),
        (with("Host: a\r\nHost: a\r\n"), 400, &["duplicate_host"]),
        (with("Host: a\r\nhost: b\r\n"), 400, &["duplicate_host"]),
    ];
    for host in ["a b", "a/b", "user@a", "a:port", "a,b", "http://a", "a?b", "a#b", "[::1"] {
        cases.push((with(&format!("Host: {host}\r\n")), 400, &["bad_host"]));
    }
    assert_refused(driver, &cases);
}

fn unknown_expectations_are_refused(driver: Driver) {
    let cases: Vec<Case> = vec![(post("Expect: 200-ok\r\nContent-Length: 2"), 417, &["expectation_failed"])];
    assert_refused(driver, &cases);
}

fn heads_beyond_the_limits_are_refused(driver: Driver) {
    let head = |fields: String| format!("GET /health HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let cases: Vec<Case> = vec![
        (head("X: y\r\n".repeat(64)), 431, &["too_many_headers"]),
        (head(format!("X-Long: {}\r\n", "x".repeat(17_000))), 431, &["head_too_large"]),
        // Without an end in sight.
        (head(format!("X-Long: {}", "x".repeat(40_000))), 431, &["head_too_large"]),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(17_000)), 414, &["uri_too_long"]),
        (format!("GET /{}", "x".repeat(40_000)), 414, &["uri_too_long"]),
    ];
    assert_refused(driver, &cases);
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    client.send(head("X: y\r\n".repeat(63)).as_bytes());
    assert_eq!(client.read_response().status, 200, "64 fields are within the limit");
    client.send(head(format!("X-Long: {}\r\n", "x".repeat(16_000))).as_bytes());
    assert_eq!(client.read_response().status, 200, "and so is a head of less than 16 KiB");
}
