//! Bodies at and beyond the limit: a client always gets to read why.

use support::http::{Client, Ending};
use support::poll::PATIENCE;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(
    a_body_of_exactly_the_limit_is_stored,
    one_byte_more_is_refused_and_the_connection_closed,
    a_length_beyond_the_limit_is_refused_before_the_body_is_sent,
    a_client_that_sends_everything_first_still_reads_the_answer,
    chunks_beyond_the_limit_are_refused,
    a_record_that_its_sink_cannot_take_is_refused_at_once,
    bodies_beyond_the_memory_for_them_are_answered_503,
);

const MIB: usize = 1024 * 1024;

fn a_body_of_exactly_the_limit_is_stored(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let body = "a".repeat(MIB);
    let mut client = engine.connect();
    let whole = client.exchange(&Request::post("/collect", body.as_str()));
    let mut chunked = Request::post("/collect", "")
        .bare()
        .header("Host", "x")
        .header("Transfer-Encoding", "chunked")
        .bytes();
    for part in body.as_bytes().chunks(10_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    client.send(&chunked);
    let in_chunks = client.read_response();
    let records = engine.stop_and_read();
    for response in [whole, in_chunks] {
        assert!(record_of(&records, &response).data() == body);
    }
}

fn one_byte_more_is_refused_and_the_connection_closed(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).limits("body_bytes_max = 1000"));
    let mut client = engine.connect();
    assert_eq!(client.exchange(&Request::post("/collect", vec![b'a'; 1000])).status, 200);
    let response = client.exchange(&Request::post("/collect", vec![b'a'; 1001]));
    assert_eq!((response.status, response.error().as_str()), (413, "body_too_large"));
    assert!(response.announces_close());
    client.finish_sending();
    assert_eq!(client.ending(), Ending::Closed);
    assert_eq!(engine.stop_and_read().len(), 1);
}

fn a_length_beyond_the_limit_is_refused_before_the_body_is_sent(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    for expectation in ["", "Expect: 100-continue\r\n"] {
        let mut client = engine.connect();
        let head =
            format!("POST /collect HTTP/1.1\r\nHost: x\r\n{expectation}Content-Length: 5000000\r\n\r\n");
        client.send(head.as_bytes());
        let response = client.read_response();
        assert_eq!((response.status, response.error().as_str()), (413, "body_too_large"), "no 100 before it");
        assert!(response.announces_close());
        client.finish_sending();
        assert_eq!(client.ending(), Ending::Closed);
    }
}

/// A server that closes with unread bytes resets the connection, and the client's kernel throws the answer away.
fn a_client_that_sends_everything_first_still_reads_the_answer(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    for size in [MIB + 1, 2 * MIB, 4 * MIB] {
        let mut client = engine.connect();
        client.send(&Request::post("/collect", vec![b'a'; size]).bytes());
        let response = client.read_response();
        assert_eq!((response.status, response.error().as_str()), (413, "body_too_large"), "{size}");
        client.finish_sending();
        assert_eq!(client.ending(), Ending::Closed, "{size}");
    }
}

fn chunks_beyond_the_limit_are_refused(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).limits("body_bytes_max = 1000"));
    let head = "POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many = format!("{head}{}", format!("64\r\n{}\r\n", "a".repeat(100)).repeat(11));
    let announced = format!("{head}3e9\r\n");
    for bytes in [many, announced] {
        let mut client = engine.connect();
        client.send(bytes.as_bytes());
        let response = client.read_response();
        assert_eq!((response.status, response.error().as_str()), (413, "body_too_large"));
        client.finish_sending();
        assert_eq!(client.ending(), Ending::Closed);
    }
    assert_eq!(engine.stop_and_read(), []);
}

fn a_record_that_its_sink_cannot_take_is_refused_at_once(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).limits("record_bytes_max = 100000"));
    let mut client = engine.connect();
    // Each of these takes six bytes in JSON: a small body, a large record.
    let response = client.exchange(&Request::post("/collect", vec![1_u8; 50_000]));
    assert_eq!((response.status, response.error().as_str()), (413, "record_too_large"));
    assert!(!response.announces_close(), "the request was read whole: the connection goes on");
    assert_eq!(client.exchange(&Request::post("/collect", vec![b'a'; 50_000])).status, 200);
    assert_eq!(engine.stop_and_read().len(), 1);
}

/// Memory is a sum: many large bodies at a time are refused, and nobody waits or grows.
fn bodies_beyond_the_memory_for_them_are_answered_503(driver: Driver) {
    let limits = "body_decoded_bytes_max = 1048576\nbody_memory_bytes = 4194304";
    let mut engine = Engine::start(&EngineOptions::new(driver).server("shards = 1").limits(limits));
    let body = vec![b'a'; 900_000];
    let request = Request::post("/collect", body.as_slice()).bytes();
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..10 {
        let mut client = engine.connect();
        // The one that is refused may be closed while it sends.
        let _ = client.try_send(&request[..request.len() - 1]);
        clients.push(client);
    }
    let refused = poll_until("one of ten to be refused", PATIENCE, || {
        clients.iter_mut().position(|client| !client.is_quiet())
    });
    let response = clients[refused].read_response();
    assert_eq!((response.status, response.error().as_str()), (503, "body_memory_full"));
    assert!(
        response.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:?}"
    );
    assert!(response.announces_close());
    drop(clients);
    poll_until("the memory to be free again", PATIENCE, || {
        let response = engine.exchange(&Request::post("/collect", body.as_slice()));
        assert!(matches!(response.status, 200 | 503), "{response:?}");
        (response.status == 200).then_some(())
    });
    assert_eq!(engine.stop_and_read().len(), 1);
}
