use super::*;

const FRAME: FrameHeader = FrameHeader {
    segment_id: 0x1122_3344_5566_7788,
    sequence: 3 * SEQUENCES_PER_SEGMENT + 5,
    offset: 8192,
    durable_below: 3 * SEQUENCES_PER_SEGMENT + 4,
    void_from: 2 * SEQUENCES_PER_SEGMENT + 77,
    records: 3,
    arena_bytes: 100,
    payload_crc: 0xdead_beef,
};
const FIRST: u64 = 3 * SEQUENCES_PER_SEGMENT;

fn decode(block: &[u8; 64]) -> Result<FrameHeader, FormatError> {
    FrameHeader::decode(block, FRAME.offset, FIRST, Some(FRAME.segment_id))
}

#[test]
fn headers_come_back_and_one_flipped_bit_is_seen_wherever_it_is() {
    let segment = SegmentHeader { stream: 9, id: 7, first_sequence: FIRST, bytes: 1 << 26 };
    let cursor = Cursor { generation: 3, delivered: 17, floor: 1 << 24 };
    assert_eq!(SegmentHeader::decode(&segment.encode()), Ok(segment));
    assert_eq!(Cursor::decode(&cursor.encode(9), 9), Ok(cursor));
    assert_eq!(decode(&FRAME.encode()), Ok(FRAME));
    for bit in 0..64 * 8 {
        let flip = |mut block: [u8; 64]| {
            block[bit / 8] ^= 1 << (bit % 8);
            block
        };
        assert!(SegmentHeader::decode(&flip(segment.encode())).is_err(), "bit {bit}");
        assert!(Cursor::decode(&flip(cursor.encode(9)), 9).is_err(), "bit {bit}");
        assert!(decode(&flip(FRAME.encode())).is_err(), "bit {bit}");
    }
}

#[test]
fn a_frame_is_only_accepted_where_it_was_written() {
    let block = FRAME.encode();
    let misplaced = Err(FormatError::Misplaced);
    assert_eq!(FrameHeader::decode(&block, 8256, FIRST, Some(FRAME.segment_id)), misplaced, "offset");
    assert_eq!(FrameHeader::decode(&block, 8192, FIRST, Some(1)), misplaced, "an earlier use of the file");
    let other = FIRST + SEQUENCES_PER_SEGMENT;
    assert_eq!(FrameHeader::decode(&block, 8192, other, None), misplaced, "another segment's numbers");
    assert_eq!(FrameHeader::decode(&block, 8192, FIRST, None), Ok(FRAME));
    assert_eq!(Cursor::decode(&Cursor::default().encode(1), 2), Err(FormatError::Misplaced));
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut block = FRAME.encode();
    block[4] = 2;
    assert_eq!(decode(&block), Err(FormatError::Damaged), "not under the checksum");
    sign(&mut block);
    assert_eq!(decode(&block), Err(FormatError::Newer(2)));
}

#[test]
fn frames_are_aligned() {
    assert_eq!(FRAME.frame_bytes(), 64 + 24 + 100);
    assert_eq!(FRAME.next_offset(), 8192 + 192);
    assert_eq!((align(0), align(1), align(64)), (0, 64, 64));
}

#[test]
fn a_note_comes_back_whole_or_not_at_all() {
    for note in [&b""[..], b"plan of the next object"] {
        let bytes = encode_note(note);
        assert_eq!(decode_note(&bytes), Ok(note));
        for cut in 0..bytes.len() {
            assert!(decode_note(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 4;
            assert!(decode_note(&bytes).is_err(), "flipped at {at}");
        }
    }
}

#[test]
fn slots_alternate() {
    let cursor = |generation| Cursor { generation, ..Cursor::default() }.slot_offset();
    assert_eq!((cursor(0), cursor(1), cursor(2)), (0, 4096, 0));
}
