use millrun_sinks::Origin;

use super::*;
use crate::journal::format::sequences_end;

fn batch(text: &str) -> Batch {
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 1024, 4);
    batch
        .append_with(|free| {
            free[..text.len()].copy_from_slice(text.as_bytes());
            Some((1, text.len() - 1))
        })
        .unwrap();
    batch
}

fn segment(first_sequence: u64, bytes: u64) -> Segment {
    Segment { id: 7, first_sequence, bytes }
}

fn appender() -> Appender {
    Appender::new(Arc::default(), 2, 4)
}

#[test]
fn frames_follow_each_other_and_say_what_is_durable() {
    let mut appender = appender();
    assert_eq!(appender.place(&batch("ab")).unwrap_err(), NeedsSegment, "there is none");
    appender.begin(segment(0, 8192)).unwrap();
    let first = appender.place(&batch("ab")).unwrap();
    let second = appender.place(&batch("cd")).unwrap();
    assert_eq!((first.sequence, first.offset, first.arena_offset()), (0, 4096, 4096 + 72));
    assert_eq!((second.sequence, second.offset), (1, 4096 + 128));
    assert!(appender.in_flight());
    assert_eq!(appender.durable(1), 2);
    assert!(!appender.in_flight());
    let third = appender.place(&batch("ef")).unwrap();
    let head: [u8; 64] = third.head[..64].try_into().unwrap();
    let header = FrameHeader::decode(&head, third.offset, 0, Some(7)).unwrap();
    assert_eq!((header.durable_below, header.void_from, header.records), (2, 0, 1));
    assert_eq!(third.head[64..], [1, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn a_full_segment_is_left_only_when_all_of_it_is_durable() {
    let mut appender = appender();
    appender.begin(segment(0, 4096 + 75)).unwrap();
    let placement = appender.place(&batch("ab")).unwrap();
    assert_eq!(appender.place(&batch("cd")).unwrap_err(), NeedsSegment);
    assert_eq!(appender.begin(segment(sequences_end(0), 8192)), Err(InFlight));
    appender.durable(placement.sequence);
    appender.begin(segment(sequences_end(0), 8192)).unwrap();
    assert_eq!(appender.place(&batch("cd")).unwrap().sequence, sequences_end(0));
}

#[test]
fn after_a_failure_nothing_of_the_segment_becomes_durable_and_the_next_one_says_so() {
    let mut appender = appender();
    appender.begin(segment(0, 8192)).unwrap();
    for text in ["ab", "cd", "ef"] {
        let placement = appender.place(&batch(text)).unwrap();
        appender.give_back(placement.head);
    }
    appender.durable(0);
    assert_eq!(appender.failed(), Some(Abandoned { first_sequence: 0, empty: false }));
    assert_eq!(appender.failed(), None, "it is left once");
    assert_eq!(appender.durable(2), 1, "a completion that comes too late");
    // The next one fails before anything in it is durable.
    appender.begin(segment(sequences_end(0), 8192)).unwrap();
    let _ = appender.place(&batch("cd")).unwrap();
    assert!(appender.failed().unwrap().empty);
    appender.begin(segment(2 * sequences_end(0), 8192)).unwrap();
    let again = appender.place(&batch("cd")).unwrap();
    let head: [u8; 64] = again.head[..64].try_into().unwrap();
    let header = FrameHeader::decode(&head, again.offset, 2 * sequences_end(0), None).unwrap();
    assert_eq!(header.void_from, 1, "everything from the first failure on");
    assert_eq!(appender.durable(again.sequence), again.sequence + 1);
}

#[test]
fn heads_are_used_again() {
    let mut appender = appender();
    appender.begin(segment(0, 1 << 20)).unwrap();
    let place = |appender: &mut Appender| appender.place(&batch("ab")).unwrap();
    let (first, second) = (place(&mut appender), place(&mut appender));
    let (one, two) = (first.head.as_ptr(), second.head.as_ptr());
    appender.give_back(first.head);
    appender.give_back(second.head);
    for _ in 0..10 {
        let placement = place(&mut appender);
        assert!([one, two].contains(&placement.head.as_ptr()));
        assert!(placement.head.capacity() >= Appender::head_bytes_max(4));
        appender.give_back(placement.head);
    }
}
