//! The client against a scripted server: it must notice every way in which an answer can be wrong.

use std::net::TcpListener;
use std::thread;

use super::*;

const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

/// A server that sends `script` to its one connection and closes it.
fn scripted(script: &str) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = script.replace("DATE", DATE);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(script.as_bytes()).unwrap();
    });
    Client::connect(address)
}

#[test]
fn answers_come_one_by_one_and_then_the_end() {
    let mut client = scripted(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nDATEContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\nDATE\r\n",
    );
    assert_eq!(client.read_response().status, 100);
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (200, "hi"));
    assert_eq!(client.read_response().status, 204);
    assert_eq!(client.ending(), Ending::Closed);
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let mut client = scripted("HTTP/1.1 200 OK\r\nDATEContent-Length: 11\r\n\r\n");
    assert_eq!(client.read_answer_to("HEAD").body, b"");
    assert_eq!(client.ending(), Ending::Closed);
}

#[test]
fn a_connection_that_ends_inside_an_answer_is_told_from_one_that_ends_before() {
    assert_eq!(scripted("").try_read("GET").unwrap_err(), NoResponse::Closed);
    for cut in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nDATEContent-Length: 2\r\n\r\nh"] {
        assert!(matches!(scripted(cut).try_read("GET"), Err(NoResponse::Cut(_))), "{cut}");
    }
}

#[test]
fn malformed_answers_are_refused() {
    let malformed = [
        "HTTP/1.0 200 OK\r\nDATEContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nDATEContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDATE\r\n",
        "HTTP/1.1 200 OK\r\nDATEContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDATETransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nDATEContent-Length: 0\r\n\r\n",
    ];
    for answer in malformed {
        assert!(matches!(scripted(answer).try_read("GET"), Err(NoResponse::Malformed(_))), "{answer}");
    }
}

#[test]
fn a_reset_is_told_from_a_close() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap());
    client.send(b"never read");
    let (stream, _) = listener.accept().unwrap();
    // Closing with unread bytes makes the kernel send a reset (RFC 1122 section 4.2.2.13).
    crate::poll_until("the bytes to arrive", TIMEOUT, || stream.peek(&mut [0]).ok());
    drop(stream);
    assert_eq!(client.ending(), Ending::Reset);
}

#[test]
fn a_refusal_is_a_small_json_object() {
    let body = r#"{"error":"not_found","message":"no"}"#;
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = scripted(&format!("HTTP/1.1 404 Not Found\r\nDATE{head}{body}"));
    assert_eq!(client.read_response().error(), "not_found");
}
