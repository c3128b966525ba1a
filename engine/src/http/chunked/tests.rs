//! Chunked bodies: what is taken, what is refused, and that the way in which the bytes arrive does not matter.

use super::*;
use proptest::prelude::*;

/// Decodes `raw`, arriving in pieces that end at `cuts`; the payload and how much of `raw` was consumed.
fn decode(raw: &[u8], cuts: &[usize], max: u64) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut dechunker = Dechunker::new(max);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (raw.len() + 1)).collect();
    cuts.push(raw.len());
    cuts.sort_unstable();
    let (mut payload, mut consumed, mut from) = (vec![], 0, 0);
    for cut in cuts {
        let mut piece = raw[from..cut].to_vec();
        from = cut;
        let progress = dechunker.advance(&mut piece)?;
        assert!(progress.written <= progress.consumed && progress.consumed <= piece.len());
        assert!(progress.done || progress.consumed == piece.len(), "everything is consumed before the end");
        payload.extend_from_slice(&piece[..progress.written]);
        consumed += progress.consumed;
        if progress.done {
            return Ok(Some((payload, consumed)));
        }
    }
    Ok(None)
}

fn whole(raw: &str) -> Result<Option<String>, Refusal> {
    Ok(decode(raw.as_bytes(), &[], 1000)?.map(|(payload, _)| String::from_utf8(payload).unwrap()))
}

#[test]
fn chunks_extensions_and_trailers() {
    for (raw, payload) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("003;a\r\nabc\r\nA;b=c;d=\"e \\\" f\"\r\n0123456789\r\n0;x\r\n\r\n", "abc0123456789"),
        ("1\r\na\r\n0\r\nX-Check: 12 34\r\nY:\r\n\r\n", "a"),
    ] {
        assert_eq!(whole(raw), Ok(Some(payload.to_owned())), "{raw:?}");
    }
    assert_eq!(whole("3\r\nab"), Ok(None));
    assert_eq!(
        decode(b"0\r\n\r\nGET /", &[], 0),
        Ok(Some((vec![], 5))),
        "what follows is the next request's"
    );
}

#[test]
fn malformed_framing_is_refused() {
    for raw in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\r1",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rb",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "1;\r\n",
        "1;=a\r\n",
        "1;a=\r\n",
        "1;a b\r\n",
        "1;a=\"b\r\n",
        "1;a=\"b\"c\r\n",
        "1;a\n",
    ] {
        assert_eq!(whole(raw), Err(Refusal::BadChunk), "{raw:?}");
    }
    for raw in [
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\ntransfer-encoding: chunked\r\n\r\n",
        "0\r\nHOST: h\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: \x01\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rx",
    ] {
        assert_eq!(whole(raw), Err(Refusal::BadTrailer), "{raw:?}");
    }
}

#[test]
fn payload_and_overhead_are_bounded() {
    assert_eq!(decode(b"5\r\nabcde\r\n0\r\n\r\n", &[], 5).unwrap().unwrap().0, b"abcde");
    assert_eq!(
        decode(b"3\r\nabc\r\n3\r\n", &[], 5),
        Err(Refusal::BodyTooLarge),
        "as soon as the size says so"
    );
    assert_eq!(decode(b"ffffffffffffffff\r\n", &[], u64::MAX - 1), Err(Refusal::BodyTooLarge));
    let extension = format!("1;{}\r\n", "a".repeat(CHUNK_OVERHEAD_BYTES_MAX));
    assert_eq!(whole(&extension), Err(Refusal::BadChunk));
    let trailer = format!("0\r\nA: {}\r\n\r\n", "a".repeat(TRAILER_BYTES_MAX));
    assert_eq!(whole(&trailer), Err(Refusal::BadTrailer));
}

fn chunk() -> impl Strategy<Value = (Vec<u8>, String)> {
    (prop::collection::vec(any::<u8>(), 1..40), "(;[a-z]{1,4}(=([a-z0-9]{1,4}|\"[a-z ]{0,4}\"))?){0,2}")
}

fn encode(chunks: &[(Vec<u8>, String)]) -> (Vec<u8>, Vec<u8>) {
    let (mut raw, mut payload) = (vec![], vec![]);
    for (bytes, extension) in chunks {
        raw.extend_from_slice(format!("{:x}{extension}\r\n", bytes.len()).as_bytes());
        raw.extend_from_slice(bytes);
        raw.extend_from_slice(b"\r\n");
        payload.extend_from_slice(bytes);
    }
    raw.extend_from_slice(b"0\r\n\r\n");
    (raw, payload)
}

proptest! {
    #[test]
    fn a_round_trip_in_any_pieces(chunks in prop::collection::vec(chunk(), 0..8), cuts in prop::collection::vec(0_usize..500, 0..30)) {
        let (raw, payload) = encode(&chunks);
        let consumed = raw.len();
        prop_assert_eq!(decode(&raw, &cuts, 1000), Ok(Some((payload, consumed))));
    }

    #[test]
    fn any_split_of_anything_gives_the_same(
        raw in prop::collection::vec(prop::sample::select(&b"0123af;=\"\\\r\n\r\n\r\n\r\n:ab "[..]), 0..60),
        cuts in prop::collection::vec(0_usize..60, 0..20),
    ) {
        prop_assert_eq!(decode(&raw, &cuts, 50), decode(&raw, &[], 50));
    }
}
