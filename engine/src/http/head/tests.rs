//! Heads that are taken, and heads that are refused, as a table.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Head, Refusal> {
    Head::parse(text.as_bytes(), 64)
}

fn with(fields: &str) -> Result<Head, Refusal> {
    parse(&format!("POST /collect?appId=a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
}

fn at(place: Option<Span>, text: &str) -> Option<String> {
    place.map(|place| String::from_utf8(place.of(text.as_bytes()).to_vec()).unwrap())
}

#[test]
fn what_the_engine_needs_is_found() {
    let text = "POST /collect?appId=a HTTP/1.1\r\nhOsT: h:80\r\nUser-Agent: sdk/1 \r\nX-Forwarded-For: 1.2.3.4\r\n\
                X-Forwarded-For: 5.6.7.8, 9.9.9.9\r\nOrigin: https://o\r\nContent-Encoding: gzip\r\n\
                Content-Length: 12\r\nExpect: 100-Continue\r\n\r\n";
    let head = parse(text).unwrap();
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.uri.of(text.as_bytes()), b"/collect?appId=a");
    assert_eq!(head.path.of(text.as_bytes()), b"/collect");
    assert_eq!(at(head.query, text).as_deref(), Some("appId=a"));
    assert_eq!(at(head.user_agent, text).as_deref(), Some("sdk/1"));
    assert_eq!(at(head.origin, text).as_deref(), Some("https://o"));
    let forwarded: Vec<_> = head.forwarded_for.of(text.as_bytes()).collect();
    assert_eq!(forwarded, [&b"1.2.3.4"[..], b"5.6.7.8, 9.9.9.9"]);
    assert_eq!(head.content_encoding.of(text.as_bytes()).collect::<Vec<_>>(), [b"gzip"]);
    assert_eq!(head.framing, Framing::Length(12));
    assert!(head.keep_alive && head.expect_continue && !head.http_1_0);
}

#[test]
fn connection_is_a_list_that_may_repeat_and_depends_on_the_version() {
    assert!(with("").unwrap().keep_alive);
    assert!(!with("Connection: close\r\n").unwrap().keep_alive);
    assert!(!with("Connection: foo , Close\r\n").unwrap().keep_alive);
    assert!(!with("Connection: keep-alive\r\nConnection: close\r\n").unwrap().keep_alive);
    let old = |fields: &str| parse(&format!("GET / HTTP/1.0\r\n{fields}\r\n")).unwrap();
    assert!(!old("").keep_alive);
    assert!(old("Connection: Keep-Alive\r\n").keep_alive);
    assert!(
        !old("Expect: 100-continue\r\n").expect_continue,
        "a 1.0 client can't wait for an interim answer"
    );
}

#[test]
fn what_smuggling_is_made_of_is_refused() {
    use Refusal::{
        BadContentLength, BadHeader, BadHost, BadTransferEncoding, DuplicateHost, ExpectationFailed,
        LengthAndTransferEncoding, UnsupportedTransferEncoding,
    };
    for (fields, refusal) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", LengthAndTransferEncoding),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", BadContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", BadContentLength),
        ("Content-Length: 5, 5\r\n", BadContentLength),
        ("Content-Length: +5\r\n", BadContentLength),
        ("Content-Length: 18446744073709551616\r\n", BadContentLength),
        ("Content-Length:\r\n", BadContentLength),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BadTransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", UnsupportedTransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", UnsupportedTransferEncoding),
        ("Content-Length : 5\r\n", BadHeader),
        ("A: b\r\n folded\r\n", BadHeader),
        (" A: b\r\n", BadHeader),
        ("A: b\x01\r\n", BadHeader),
        ("A: b\x7f\r\n", BadHeader),
        ("A: b\rc\r\n", BadHeader),
        ("A\0: b\r\n", BadHeader),
        ("A(: b\r\n", BadHeader),
        ("NoColon\r\n", BadHeader),
        ("Host: h\r\n", DuplicateHost),
        ("Expect: something\r\n", ExpectationFailed),
        (
            "X-Forwarded-For: 1\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 1\r\n",
            BadHeader,
        ),
    ] {
        assert_eq!(with(fields), Err(refusal), "{fields:?}");
    }
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), Err(BadHost));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), Err(BadHost));
}

#[test]
fn request_lines() {
    use Refusal::{BadRequestLine, BadTarget, MissingHost, UnsupportedVersion};
    for (line, refusal) in [
        ("GET / HTTP/1.1", MissingHost),
        ("GET / HTTP/2.0", UnsupportedVersion),
        ("PRI * HTTP/2.0", UnsupportedVersion),
        ("GET / HTTP/0.9", UnsupportedVersion),
        ("GET / http/1.1", BadRequestLine),
        ("GET / HTTP/1.10", BadRequestLine),
        ("GET /", BadRequestLine),
        ("GET /a b HTTP/1.1", BadRequestLine),
        ("G@T / HTTP/1.1", BadRequestLine),
        ("GET /a#b HTTP/1.1", BadTarget),
        ("CONNECT h:80 HTTP/1.1", BadTarget),
    ] {
        assert_eq!(parse(&format!("{line}\r\n\r\n")), Err(refusal), "{line:?}");
    }
    assert!(parse("GET / HTTP/1.0\r\n\r\n").is_ok(), "HTTP/1.0 has no Host");
}

#[test]
fn every_part_of_a_target_without_a_path_has_its_place() {
    for (target, uri, query) in
        [("http://h?a?b", "?a?b", Some("a?b")), ("http://h", "", None), ("http://h?", "?", Some(""))]
    {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = parse(&text).unwrap();
        assert_eq!(head.uri.of(text.as_bytes()), uri.as_bytes(), "{target}");
        assert_eq!(head.path.of(text.as_bytes()), b"", "{target}");
        assert_eq!(head.query.map(|query| query.of(text.as_bytes())), query.map(str::as_bytes), "{target}");
    }
}

#[test]
fn the_number_of_fields_is_bounded() {
    let fields = |count: usize| "A: b\r\n".repeat(count);
    assert!(with(&fields(63)).is_ok());
    assert_eq!(with(&fields(64)), Err(Refusal::TooManyHeaders));
    assert_eq!(Head::parse(b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", 1), Err(Refusal::TooManyHeaders));
}

/// Growth of a head is growth of every waiting connection's task: a reviewed change.
#[test]
fn the_size_of_a_head() {
    assert_eq!(size_of::<Head>(), 96);
}

proptest! {
    /// Whatever comes: no panic, and what is taken is taken by httparse as well.
    #[test]
    fn nothing_is_taken_that_httparse_refuses(bytes in prop::collection::vec(
        prop::sample::select(&b"GET / HTTP/1.1\r\nHost: h\r\nA:b \t\0\x7f\xff,;%"[..]), 0..120)) {
        if let Ok(head) = Head::parse(&bytes, 64) {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut fields);
            prop_assert_eq!(request.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
            prop_assert_eq!(request.method.map(str::as_bytes), Some(head.method_name.of(&bytes)));
        }
    }
}

#[test]
fn a_glance_takes_what_is_plain_and_leaves_the_rest() {
    let plain = "POST /collect?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 3 \r\n\r\n";
    let glance = |text: &str| Head::at_first_sight(text.as_bytes(), 64, 100);
    for behind in ["", "abc", "\r\n", "POST / HTTP/1.1\r\n"] {
        assert_eq!(glance(&format!("{plain}{behind}")), Some((parse(plain).unwrap(), plain.len())));
    }
    assert_eq!(glance("GET / HTTP/1.0\r\n\r\n").map(|(_, len)| len), Some(18));
    for left in [
        &plain[..plain.len() - 1],
        &format!("\r\n{plain}"),
        &plain.replace("h\r\n", "h\n"),
        &plain.replace("1.1\r\n", "1.1\n"),
        &plain.replace("3 \r\n\r\n", "3 \r\n\n"),
        &plain.replace("3 \r\n\r\n", "3 \n\r\n"),
        &plain.replace("Host", "Hos"),
        &plain.replace("a=b", &"b".repeat(100)),
    ] {
        assert_eq!(glance(left), None, "{left:?}");
    }
    assert_eq!(Head::at_first_sight(plain.as_bytes(), 1, 100), None);
}
