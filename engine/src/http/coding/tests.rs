use super::*;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use std::io::Write as _;

const BOUND: usize = 1 << 20;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// One call, which writes the content size into the frame.
fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

/// A stream, whose frame does not say how large it is, with a checksum.
fn zstd_stream(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

type Encoder = fn(&[u8]) -> Vec<u8>;

const ENCODERS: [(&str, Encoder); 6] = [
    ("gzip", gzip),
    ("deflate", zlib),
    ("deflate", raw_deflate),
    ("zstd", zstd),
    ("zstd", zstd_stream),
    ("snappy", snappy),
];

fn decode(coding: &str, body: &[u8], bound: usize) -> Result<Option<Vec<u8>>, Refusal> {
    decode_with(&mut ContentDecoder::new(), coding, body, bound)
}

fn decode_with(
    decoder: &mut ContentDecoder,
    coding: &str,
    body: &[u8],
    bound: usize,
) -> Result<Option<Vec<u8>>, Refusal> {
    Ok(decoder.decode([coding.as_bytes()].into_iter(), body, bound)?.map(<[u8]>::to_vec))
}

/// Compresses a little, so that every kind of block occurs.
fn event() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..400).flat_map(|n| format!(r#"{{"id":"{:x}","n":{n}}},"#, random.u64(..)).into_bytes()).collect()
}

#[test]
fn identity_leaves_the_body_alone() {
    for coding in ["", "identity", " , identity"] {
        assert_eq!(decode(coding, b"as it is", 1), Ok(None));
        assert_eq!(decode(coding, b"", 1), Ok(None));
    }
    assert_eq!(decode("br", b"", 1), Err(Refusal::UnsupportedEncoding));
}

#[test]
fn every_coding_gives_back_what_went_in() {
    let mut decoder = ContentDecoder::new();
    for plain in
        [&b""[..], b"x", &event(), &vec![b'a'; BOUND], &fastrand::Rng::with_seed(1).u64(..).to_le_bytes()]
    {
        for (coding, encode) in ENCODERS {
            let outcome = decode_with(&mut decoder, coding, &encode(plain), BOUND);
            assert_eq!(outcome.unwrap().unwrap(), plain, "{coding}, {} bytes", plain.len());
        }
    }
}

#[test]
fn codings_are_undone_from_right_to_left() {
    let plain = event();
    let fields = [&b"deflate, GZIP"[..], b"identity,zstd", b"snappy"];
    let body = snappy(&zstd_stream(&gzip(&zlib(&plain))));
    let mut decoder = ContentDecoder::new();
    assert_eq!(decoder.decode(fields.into_iter(), &body, BOUND), Ok(Some(&plain[..])));
    assert_eq!(decoder.decode(fields.into_iter().rev(), &body, BOUND), Err(Refusal::BadEncoding));
}

#[test]
fn the_end_of_every_truncation_is_noticed() {
    let mut decoder = ContentDecoder::new();
    for (coding, encode) in ENCODERS {
        let whole = encode(&event());
        for len in 0..whole.len() {
            let outcome = decode_with(&mut decoder, coding, &whole[..len], BOUND);
            assert_eq!(outcome, Err(Refusal::BadEncoding), "{coding}: {len} of {} bytes", whole.len());
        }
        assert!(decode_with(&mut decoder, coding, &whole, BOUND).is_ok(), "a failure leaves nothing behind");
    }
}

#[test]
fn nothing_may_follow_the_end() {
    for (coding, encode) in ENCODERS {
        for garbage in [
            &b"\0"[..],
            b"x",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x1f\x8b\x08",
            b"\x28\xb5\x2f\xfd",
        ] {
            let body = [&encode(b"[1,2,3]")[..], garbage].concat();
            assert_eq!(decode(coding, &body, BOUND), Err(Refusal::BadEncoding), "{coding} {garbage:x?}");
        }
    }
}

#[test]
fn the_bound_is_exact_for_every_coding() {
    let plain = event();
    let mut warm = ContentDecoder::new();
    for (coding, encode) in ENCODERS {
        let body = encode(&plain);
        for bound in [0, 1, 100, plain.len() - 1] {
            assert_eq!(decode(coding, &body, bound), Err(Refusal::DecodedTooLarge), "{coding} {bound}");
            assert_eq!(
                decode_with(&mut warm, coding, &body, bound),
                Err(Refusal::DecodedTooLarge),
                "{coding} {bound}"
            );
        }
        for bound in [plain.len(), plain.len() + 1] {
            assert_eq!(decode(coding, &body, bound).unwrap().unwrap(), plain, "{coding} {bound}");
            assert_eq!(
                decode_with(&mut warm, coding, &body, bound).unwrap().unwrap(),
                plain,
                "{coding} {bound}"
            );
        }
    }
}

#[test]
fn a_bomb_meets_the_bound_at_every_stage() {
    let zeros = vec![0; 64 << 20];
    for (coding, encode) in ENCODERS {
        let bomb = encode(&zeros);
        assert_eq!(decode(coding, &bomb, BOUND), Err(Refusal::DecodedTooLarge), "{coding}");
        // What is inside would shrink again: the bound holds for every stage, not for the last.
        let inner = snappy(b"x");
        let padded = [&inner[..], &zeros[..2 * BOUND]].concat();
        let two_stages = format!("snappy, {coding}");
        assert_eq!(decode(&two_stages, &encode(&padded), BOUND), Err(Refusal::DecodedTooLarge), "{coding}");
    }
}

#[test]
fn buffers_stay_within_the_bound_and_warm_ones_stay_as_they_are() {
    let body = gzip(&zstd_stream(&vec![b'a'; BOUND]));
    let mut decoder = ContentDecoder::new();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        decode_with(&mut decoder, "zstd, gzip", &body, BOUND).unwrap();
        let [one, other] = &mut decoder.buffers;
        let mut both = [one.room(0).len(), other.room(0).len()];
        both.sort_unstable();
        sizes.push(both);
    }
    assert!(sizes[0].iter().all(|&size| size <= BOUND));
    assert!(sizes.iter().all(|both| *both == sizes[0]), "{sizes:?}");
    assert!(decoder.zstd.sizeof() + 64 * 1024 <= STATES_BYTES_MAX, "{}", decoder.zstd.sizeof());
}

#[test]
fn gzip_members_follow_each_other() {
    let members = [gzip(b"one, "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(decode("gzip", &members, 8).unwrap().unwrap(), b"one, two");
    assert_eq!(decode("gzip", &members, 7), Err(Refusal::DecodedTooLarge));
    assert_eq!(decode("gzip", &gzip(b"").repeat(5000), 8), Ok(Some(Vec::new())));
}

#[test]
fn zstd_frames_follow_each_other() {
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let frames = [&zstd(b"one, ")[..], skippable, &zstd_stream(b"two")].concat();
    assert_eq!(decode("zstd", &frames, 8).unwrap().unwrap(), b"one, two");
    assert_eq!(decode("zstd", &frames, 7), Err(Refusal::DecodedTooLarge));
}

#[test]
fn gzip_headers_may_have_every_field() {
    let mut encoder = GzBuilder::new()
        .extra("extra")
        .filename("name")
        .comment("comment")
        .write(Vec::new(), Compression::fast());
    encoder.write_all(b"[]").unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(decode("gzip", &body, 8).unwrap().unwrap(), b"[]");
    for len in 0..body.len() {
        assert_eq!(decode("gzip", &body[..len], 8), Err(Refusal::BadEncoding), "{len} bytes");
    }
    let with_header_crc = |error: u8| {
        let plain = gzip(b"[]");
        let mut header = plain[..10].to_vec();
        header[3] |= 2;
        let mut sum = flate2::Crc::new();
        sum.update(&header);
        let [low, high, ..] = sum.sum().to_le_bytes();
        [&header[..], &[low, high ^ error], &plain[10..]].concat()
    };
    assert_eq!(decode("gzip", &with_header_crc(0), 8).unwrap().unwrap(), b"[]");
    assert_eq!(decode("gzip", &with_header_crc(1), 8), Err(Refusal::BadEncoding));
}

#[test]
fn checksums_and_lengths_are_compared() {
    let plain = event();
    for (coding, encode, places) in
        [("gzip", gzip as Encoder, 8), ("deflate", zlib as Encoder, 4), ("zstd", zstd_stream as Encoder, 4)]
    {
        let whole = encode(&plain);
        for back in 1..=places {
            let mut body = whole.clone();
            body[whole.len() - back] ^= 1;
            assert_eq!(
                decode(coding, &body, BOUND),
                Err(Refusal::BadEncoding),
                "{coding}, {back} from the end"
            );
        }
    }
    let mut reserved_flag = gzip(b"[]");
    reserved_flag[3] |= 0x20;
    assert_eq!(decode("gzip", &reserved_flag, BOUND), Err(Refusal::BadEncoding));
}

#[test]
fn sizes_that_lie_are_found_out() {
    // A snappy length of 2^32 - 1, and a zstd frame of a single segment of 2^62 bytes.
    assert_eq!(decode("snappy", b"\xff\xff\xff\xff\x0f\x00a", BOUND), Err(Refusal::DecodedTooLarge));
    let frame = [&b"\x28\xb5\x2f\xfd\xe0"[..], &(1_u64 << 62).to_le_bytes(), b"\x01\0\0"].concat();
    assert_eq!(decode("zstd", &frame, BOUND), Err(Refusal::DecodedTooLarge));
    assert_eq!(decode("snappy", b"\x05\x00a", BOUND), Err(Refusal::BadEncoding));
}

proptest! {
    #[test]
    fn any_text_through_any_codings(
        plain in proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 1..5000),
        stages in proptest::collection::vec(0..ENCODERS.len(), 1..=4),
    ) {
        let mut body = plain.clone();
        let mut names = Vec::new();
        for stage in stages {
            let (name, encode) = ENCODERS[stage];
            body = encode(&body);
            names.push(name);
        }
        prop_assert_eq!(decode(&names.join(","), &body, BOUND), Ok(Some(plain)));
    }

    #[test]
    fn broken_input_is_never_worse_than_refused(
        coding in 0..ENCODERS.len(),
        place in any::<proptest::sample::Index>(),
        bit in 0..8u32,
        noise in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let (name, encode) = ENCODERS[coding];
        let mut body = encode(&event());
        let place = place.index(body.len());
        body[place] ^= 1u8 << bit;
        let plain = event();
        for input in [&body[..], &noise] {
            match decode(name, input, plain.len()) {
                Ok(Some(decoded)) => prop_assert!(decoded.len() <= plain.len()),
                outcome => prop_assert!(
                    matches!(outcome, Err(Refusal::BadEncoding | Refusal::DecodedTooLarge)), "{outcome:?}"
                ),
            }
        }
    }
}
