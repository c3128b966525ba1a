use super::*;
use crate::record::block::BLOCK;
use proptest::prelude::*;

/// What `serde_json` writes between the quotes.
fn reference(input: &[u8]) -> Vec<u8> {
    let text = serde_json::to_string(&String::from_utf8_lossy(input)).unwrap();
    text.as_bytes()[1..text.len() - 1].to_vec()
}

/// Checks every promise for one input: text, exact length, upper bound, exact room, one byte too few.
fn check(input: &[u8]) {
    let expected = reference(input);
    assert_eq!(escaped_len(input), expected.len(), "{input:x?}");
    assert!(escaped_len_max(input.len()) >= expected.len());
    for slack in [0, 1, 15, 16, 40, 200] {
        let mut out = vec![0xaa; expected.len() + slack + 8];
        let (room, guard) = out.split_at_mut(expected.len() + slack);
        assert_eq!(escape_into(input, room), Some(expected.len()), "{slack} bytes of slack: {input:x?}");
        assert_eq!(room[..expected.len()], expected, "{slack} bytes of slack: {input:x?}");
        assert_eq!(guard, [0xaa; 8]);
    }
    for missing in 1..=expected.len().min(20) {
        let mut out = vec![0; expected.len() - missing];
        assert_eq!(escape_into(input, &mut out), None, "{missing} bytes missing: {input:x?}");
    }
}

#[test]
fn every_byte_at_every_place_of_a_block() {
    for byte in 0..=255 {
        for place in 0..=40 {
            for len in [place + 1, place + 40] {
                let mut input = vec![b'a'; len];
                input[place] = byte;
                check(&input);
            }
        }
    }
}

#[test]
fn all_bytes_escaped_at_every_length() {
    for filler in [b'"', b'\\', b'\n', 0, 0xff, b'a'] {
        for len in 0..100 {
            check(&vec![filler; len]);
        }
    }
}

#[test]
fn invalid_utf8_is_replaced_as_std_does() {
    for input in [
        &b"\xe2\x82"[..],
        b"a\xe2\x82b",
        b"\xf0\x9f\x98",
        b"\xf0\x9f\x98\xf0\x9f\x98\x80",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf5\x80\x80\x80",
        b"\x80\x80\x80",
        "ok: \u{1f600} \u{4e2d}\u{6587} \"quoted\" \u{7f}\u{80}\u{2028}".as_bytes(),
    ] {
        check(input);
        for offset in 0..40 {
            check(&[&vec![b' '; offset][..], input, b"\"tail\""].concat());
        }
    }
}

#[test]
fn every_start_of_a_sequence() {
    for first in 0x80..=0xff {
        for second in [0x00, b'"', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff] {
            for third in [b'a', 0x7f, 0x80, 0xbf, 0xc0] {
                for fourth in [b'a', 0x80, 0xc3] {
                    check(&[first, second, third, fourth, b'"', 0xc3, 0xa9, b'.', b'.', b'.', b'.']);
                }
            }
        }
    }
}

/// Bytes of which many need care.
fn awkward() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => any::<u8>(),
        8 => b' '..=b'~',
        3 => prop_oneof![Just(b'"'), Just(b'\\'), Just(b'\n')],
        1 => 0..0x20u8,
    ];
    proptest::collection::vec(byte, 0..300)
}

proptest! {
    #[test]
    fn arbitrary_bytes(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&input);
    }

    #[test]
    fn awkward_bytes_at_every_alignment(input in awkward()) {
        for start in 0..input.len().min(17) {
            check(&input[start..]);
        }
    }

    #[test]
    fn mixed_scripts(input in "([a-z \"]{0,20}[\u{e9}\u{416}\u{4e2d}\u{6587}\u{ac00}\u{ffff}\u{1f600}]{0,6}){0,12}") {
        check(input.as_bytes());
    }

    #[test]
    fn arbitrary_text(input in ".{0,120}") {
        check(input.as_bytes());
    }
}

/// The blocks of one way: what was read is written right, and it stopped for a reason.
fn check_blocks(way: fn(&[u8], &mut [u8]) -> Progress, input: &[u8], room: usize) {
    let mut out = vec![0xaa; room + 8];
    let (place, guard) = out.split_at_mut(room);
    let Progress { read, written } = way(input, place);
    assert_eq!(place[..written], reference(&input[..read]), "{input:x?}");
    assert_eq!(guard, [0xaa; 8]);
    let tight = room - written < 5 * BLOCK;
    let careful = input.get(read).is_none_or(|byte| *byte < 0x20 || !byte.is_ascii());
    assert!(careful || tight, "stopped at {read} of {input:x?} with {} bytes of room", room - written);
}

#[cfg(target_arch = "x86_64")]
fn by_shuffles(input: &[u8], room: usize) {
    use shuffles::Level;
    let best = Level::of_this_processor();
    if best == Some(Level::Avx2) {
        // SAFETY: this processor has it.
        check_blocks(
            |input, out| unsafe { shuffles::escape_blocks::<true>(Level::Avx2, input, out) },
            input,
            room,
        );
    }
    if best.is_some() {
        // SAFETY: this processor has it, as AVX2 includes SSSE3.
        check_blocks(
            |input, out| unsafe { shuffles::escape_blocks::<true>(Level::Ssse3, input, out) },
            input,
            room,
        );
    }
}

proptest! {
    #[test]
    fn all_ways_write_the_same(
        input in prop::collection::vec(prop_oneof![4 => Just(b'"'), 1 => Just(b'\\'), 12 => 0x20_u8..0x7f, 1 => any::<u8>()], 0..200),
        room in 0_usize..600,
    ) {
        check_blocks(moves::escape_blocks::<true>, &input, room);
        #[cfg(target_arch = "x86_64")]
        by_shuffles(&input, room);
    }
}

#[test]
fn every_mask_of_a_block_by_all_ways() {
    for mask in 0..1_u32 << BLOCK {
        let input: Vec<u8> = (0..BLOCK)
            .map(|at| if mask >> at & 1 == 1 { b'"' } else { b'a' + u8::try_from(at).unwrap() })
            .collect();
        check_blocks(moves::escape_blocks::<true>, &input, 200);
        #[cfg(target_arch = "x86_64")]
        by_shuffles(&input, 200);
    }
}
