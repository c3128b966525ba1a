//! What each attack writes, without sockets.

use super::*;

fn target() -> Target {
    Target::resolve("http://127.0.0.1:1/collect", false).unwrap()
}

/// The bytes of a variant over its first `steps` sends, with time passing as it asks for, and where it stopped.
fn bytes(name: &str, variant: usize, steps: usize) -> (Vec<u8>, Duration, Option<Step>) {
    let mut script = (Attack::named(name).unwrap().script)(&target(), variant);
    let (mut all, mut since) = (Vec::new(), Duration::ZERO);
    for _ in 0..steps {
        let mut out = Vec::new();
        match script.next(Moment { since, answers: 0 }, &mut out) {
            Step::Send => {
                assert!(!out.is_empty(), "{name} sends nothing for ever");
                all.append(&mut out);
            }
            Step::WaitUntil(then) => {
                assert!(then > since, "{name} waits for the past");
                since = then;
            }
            step => return (all, since, Some(step)),
        }
    }
    (all, since, None)
}

fn body_of(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    &bytes[end..]
}

fn field(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

fn has_ended(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

#[test]
fn names_are_distinct_and_found() {
    for (at, attack) in ALL.iter().enumerate() {
        assert!(ALL[..at].iter().all(|other| other.name != attack.name));
        assert_eq!(Attack::named(attack.name).unwrap().description, attack.description);
    }
    let error = Attack::named("rude").unwrap_err();
    assert!(error.contains("slow_headers") && error.contains("connection_churn"), "{error}");
}

#[test]
fn slow_headers_send_a_byte_a_second_and_never_end() {
    let (sent, since, stopped) = bytes("slow_headers", 0, 1 + 2 * 40);
    assert_eq!((since, stopped), (Duration::from_secs(40), None));
    assert_eq!(sent.len(), open_head(&target()).len() + 40);
    assert!(!has_ended(&sent));
    assert!(sent.ends_with(b"X-a: b\r\nX-a: b\r\n"));
}

#[test]
fn slow_bodies_send_ten_bytes_a_second_of_what_they_promise() {
    let (sent, since, _) = bytes("slow_body", 0, 1 + 2 * 30);
    assert_eq!((since, body_of(&sent).len()), (Duration::from_secs(3), 30));
    assert_eq!(field(&sent, "Content-Length").as_deref(), Some("100000"));
}

#[test]
fn half_open_says_nothing_and_churn_leaves_at_once() {
    assert_eq!(bytes("half_open", 0, 9), (Vec::new(), Duration::ZERO, Some(Step::Hold)));
    assert_eq!(bytes("connection_churn", 0, 9), (Vec::new(), Duration::ZERO, Some(Step::Close)));
}

#[test]
fn abandoned_stops_in_the_head_or_in_the_body_and_resets() {
    let (sent, _, stopped) = bytes("abandoned", 0, 9);
    assert!(!has_ended(&sent) && stopped == Some(Step::Reset));
    let (sent, _, stopped) = bytes("abandoned", 1, 9);
    assert_eq!((body_of(&sent).len(), stopped), (2000, Some(Step::Reset)));
    assert_eq!(field(&sent, "Content-Length").as_deref(), Some("4000"));
}

#[test]
fn oversized_promises_10_gib_or_sends_sound_chunks() {
    let (sent, _, stopped) = bytes("oversized", 0, 3);
    assert_eq!(field(&sent, "Content-Length").unwrap().parse::<u64>().unwrap(), 10 << 30);
    assert_eq!((body_of(&sent).len(), stopped), (3 * PIECE_BYTES, None));
    let (sent, _, _) = bytes("oversized", 1, 2);
    let chunk = body_of(&sent).strip_prefix(b"4000\r\n").unwrap();
    assert_eq!(PIECE_BYTES, 0x4000);
    assert!(chunk[PIECE_BYTES..].starts_with(b"\r\n4000\r\n"));
}

#[test]
fn lengths_lie_both_ways() {
    let length = |sent: &[u8]| field(sent, "Content-Length").unwrap().parse::<usize>().unwrap();
    let (short, _, _) = bytes("lying_length", 0, 9);
    assert!(length(&short) < body_of(&short).len());
    let (long, _, stopped) = bytes("lying_length", 1, 9);
    assert!(length(&long) > body_of(&long).len() && stopped == Some(Step::Hold));
}

#[test]
fn bad_chunks_never_come_to_an_end() {
    let (extension, _, _) = bytes("bad_chunks", 0, 5);
    let body = body_of(&extension);
    assert!(body.starts_with(b"1;e") && body[2..].iter().all(|&byte| byte == b'e'));
    let (size, _, stopped) = bytes("bad_chunks", 1, 5);
    let digits = String::from_utf8_lossy(body_of(&size)).lines().next().unwrap().to_owned();
    assert_eq!((u128::from_str_radix(&digits, 16), stopped), (Ok(u128::MAX), Some(Step::Hold)));
    let (trailers, _, _) = bytes("bad_chunks", 2, 5);
    let after = body_of(&trailers).strip_prefix(b"1\r\n[\r\n0\r\n").unwrap();
    assert!(after.starts_with(b"X-Trailer: t\r\nX-Trailer: t\r\n") && !has_ended(after));
}

#[test]
fn a_header_flood_never_repeats_a_name() {
    let (sent, _, stopped) = bytes("header_flood", 0, 20);
    assert!(sent.len() >= 20 * PIECE_BYTES && !has_ended(&sent) && stopped.is_none());
    let text = String::from_utf8(sent).unwrap();
    let names: Vec<&str> = text.lines().skip(1).map(|line| line.split_once(": ").unwrap().0).collect();
    let distinct: std::collections::HashSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
}

#[test]
fn who_never_reads_sends_whole_requests() {
    let (sent, _, _) = bytes("never_reads", 0, 2);
    let mut rest = &sent[..];
    while !rest.is_empty() {
        let length = field(rest, "Content-Length").unwrap().parse::<usize>().unwrap();
        assert!(rest.starts_with(b"POST /collect"));
        rest = &body_of(rest)[length..];
    }
    assert!(!Attack::named("never_reads").unwrap().reads);
}
