//! The desk against a stream that exists only here: with shards that split, answers that come late, short or not at
//! all, and a clock that the test moves.

mod aggregated;
mod model;
mod stream;

use std::time::Duration;

use stream::{Stream, World};

use super::super::call::Said;
use super::super::fault::{Failure, THROTTLED};
use super::super::options::{Options, Spread};
use crate::{Delivery, Fate, FaultKind, Retry};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn options() -> Options {
    Options::new("s")
}

fn throttled() -> Said {
    Said::Refused { code: "ProvisionedThroughputExceededException".to_owned(), message: String::new() }
}

#[test]
fn a_record_is_delivered_only_if_its_own_entry_was_stored() {
    let mut world = World::new(&options(), Stream::of(1));
    world.submit(&[("", "a"), ("", "b"), ("", "c"), ("", "d")]);
    world.turn();
    // The service answers 200; what it says of each entry is another matter.
    world.answer_next(|stored| {
        let failure = Said::Refused { code: "InternalFailure".to_owned(), message: String::new() };
        vec![stored[0].clone(), throttled(), failure, Said::Nothing]
    });
    let Delivery::Some(failed) = world.settled().pop().unwrap() else { panic!("not all, not none") };
    let [(1, slow), (2, broken), (3, unaccounted)] = failed[..] else { panic!("{failed:?}") };
    assert_eq!(slow, THROTTLED);
    assert_eq!((broken.kind, broken.fate), (FaultKind::StorageFailed, Fate::Unknown));
    assert_eq!(
        (unaccounted.kind, unaccounted.fate),
        (FaultKind::Internal, Fate::Unknown),
        "neither stored nor refused"
    );
    assert!([slow, broken, unaccounted].iter().all(|fault| fault.retry == Retry::Yes));
}

#[test]
fn an_answer_200_that_stored_nothing_delivers_nothing() {
    for said in [throttled(), Said::Nothing] {
        let mut world = World::new(&options(), Stream::of(2));
        world.submit(&[("", "a"), ("k", "b")]);
        world.turn();
        world.answer_next(|stored| vec![said.clone(); stored.len()]);
        let delivery = world.settled().pop().unwrap();
        assert!(matches!(delivery, Delivery::None(_)), "{delivery:?}");
    }
}

#[test]
fn an_answer_of_another_length_delivers_nothing() {
    for answered in [0, 1, 2, 4] {
        let mut world = World::new(&options(), Stream::of(1));
        world.submit(&[("", "a"), ("", "b"), ("", "c")]);
        world.turn();
        world.answer_next(|stored| vec![stored[0].clone(); answered]);
        let Some(Delivery::None(fault)) = world.settled().pop() else { panic!("{answered} of 3") };
        assert_eq!((fault.kind, fault.fate, fault.retry), (FaultKind::Internal, Fate::Unknown, Retry::Yes));
    }
}

#[test]
fn a_call_is_filled_to_the_limits_and_no_further() {
    let mut options = options();
    options.calls_in_flight_max = 1;
    let mut world = World::new(&options, Stream::of(3));
    let values: Vec<String> = (0..1100).map(|number| format!("value {number}")).collect();
    world.submit_values(&values);
    let sizes = world.run_counting();
    assert_eq!(sizes, [500, 500, 100]);
    assert_eq!(world.settled(), [Delivery::All]);

    options.record_bytes_max = 1024;
    options.call_bytes_max = 4096;
    let mut world = World::new(&options, Stream::of(3));
    let values: Vec<String> = (0..8).map(|number| format!("{number}{}", "x".repeat(900))).collect();
    world.submit_values(&values);
    assert_eq!(world.run_counting(), [4, 4], "four times 917 bytes are in, five are not");
}

#[test]
fn the_one_bad_record_of_a_call_is_found_and_the_others_are_delivered() {
    let mut world = World::new(&options(), Stream::of(4));
    world.stream.poison = Some("bad".to_owned());
    let mut values: Vec<String> = (0..200).map(|number| format!("good {number}")).collect();
    values[137] = "bad".to_owned();
    world.submit_values(&values);
    let calls = world.run_counting().len();
    let delivery = world.settled().pop().unwrap();
    let Delivery::Some(failed) = &delivery else { panic!("{delivery:?}") };
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].0, failed[0].1.kind, failed[0].1.retry),
        (137, FaultKind::RecordTooLarge, Retry::No)
    );
    assert_eq!(world.stream.values().len(), 199, "each of the others once");
    assert!(calls <= 17, "{calls} calls for a bad one among 200");
}

#[test]
fn a_hot_shard_slows_only_its_own_records() {
    let mut world = World::new(&options(), Stream::of(4));
    world.learn_shards();
    let hot = world.stream.key_on(2);
    world.stream.throttle = Some(2);
    for _ in 0..4 {
        world.submit(&[(hot.as_str(), "hot")]);
        world.run();
        world.pass(MS(300));
    }
    assert!(world.settled().iter().all(|delivery| *delivery == Delivery::None(THROTTLED)));
    // Far more than the hot shard's pace: what it can't take within half a second comes back without being sent.
    let many: Vec<(&str, &str)> = (0..1000).map(|_| (hot.as_str(), "hot")).collect();
    world.submit(&many);
    let others: Vec<String> = [0, 1, 3].iter().map(|shard| world.stream.key_on(*shard)).collect();
    let sent = world.stream.entries;
    for key in &others {
        let records: Vec<(&str, String)> =
            (0..400).map(|number| (key.as_str(), format!("{key} {number}"))).collect();
        let records: Vec<(&str, &str)> = records.iter().map(|(key, value)| (*key, value.as_str())).collect();
        world.submit(&records);
    }
    world.run();
    let settled = world.settled();
    assert_eq!(settled.iter().filter(|delivery| **delivery == Delivery::All).count(), 3, "without any delay");
    assert!(world.stream.entries - sent < 1200 + 100, "the hot shard is not hammered");
    world.pass(MS(600));
    world.run();
    assert!(!world.settled().is_empty(), "what is held back goes home");
    assert!(world.desk.is_idle());
}

#[test]
fn records_with_a_random_key_avoid_a_hot_shard() {
    let mut world = World::new(&options(), Stream::of(4));
    world.learn_shards();
    world.stream.throttle = Some(2);
    let hot = world.stream.key_on(2);
    world.submit(&[(hot.as_str(), "hot")]);
    world.run();
    world.settled();
    let entries = world.stream.entries;
    let values: Vec<String> = (0..400).map(|number| format!("{number}")).collect();
    world.submit_values(&values);
    world.run();
    world.pass(MS(600));
    world.run();
    let failed = match world.settled().pop().unwrap() {
        Delivery::Some(failed) => failed.len(),
        _ => 0,
    };
    // One of four shards, four draws: 1 in 256.
    assert!(failed < 10, "{failed} of 400 drew the hot shard four times");
    assert!(world.stream.entries - entries >= 390);
}

#[test]
fn even_spread_gives_each_shard_the_same_and_passes_a_hot_one_over() {
    let mut options = options();
    options.spread = Spread::Even;
    let mut world = World::new(&options, Stream::uneven());
    world.learn_shards();
    let values: Vec<String> = (0..300).map(|number| format!("{number}")).collect();
    world.submit_values(&values);
    world.run();
    assert_eq!(world.stream.counts(), [100, 100, 100]);
    world.stream.throttle = Some(0);
    world.submit_values(&values[..3]);
    world.run();
    world.settled();
    world.submit_values(&values[..60]);
    world.run();
    assert_eq!(world.settled(), [Delivery::All]);
}

#[test]
fn at_its_deadline_a_batch_leaves_and_a_late_answer_is_dropped() {
    let mut world = World::new(&options(), Stream::of(1));
    world.submit(&[("", "a")]);
    world.turn();
    world.pass(stream::PATIENCE);
    world.turn();
    let Some(Delivery::None(fault)) = world.settled().pop() else { panic!("nothing was answered") };
    assert_eq!((fault.kind, fault.fate, fault.retry), (FaultKind::TimedOut, Fate::Unknown, Retry::Client));
    world.answer_next(<[Said]>::to_vec);
    assert!(world.settled().is_empty() && world.desk.is_idle());
}

#[test]
fn what_is_left_when_the_process_ends_says_so() {
    let mut options = options();
    options.calls_in_flight_max = 1;
    let mut world = World::new(&options, Stream::of(1));
    world.submit(&[("", "sent")]);
    world.turn();
    world.submit(&[("", "waits")]);
    world.close(MS(100));
    world.turn();
    assert!(world.settled().is_empty());
    world.pass(MS(100));
    world.turn();
    let fates: Vec<_> = world
        .settled()
        .into_iter()
        .map(|delivery| match delivery {
            Delivery::None(fault) => (fault.kind, fault.fate),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(fates, [(FaultKind::Closing, Fate::Unknown), (FaultKind::Closing, Fate::NotStored)]);
}

#[test]
fn records_linger_for_company_but_not_longer() {
    let mut options = options();
    options.linger = MS(20);
    let mut world = World::new(&options, Stream::of(1));
    world.learn_shards();
    world.submit(&[("", "a")]);
    world.turn();
    assert_eq!(world.stream.calls(), 0);
    assert_eq!(world.next_turn(), Some(MS(20)));
    world.pass(MS(10));
    world.submit(&[("", "b")]);
    world.turn();
    assert_eq!(world.stream.calls(), 0);
    world.pass(MS(10));
    world.turn();
    assert_eq!(world.stream.calls(), 1, "both in one");
    let full: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    world.submit_values(&full);
    world.turn();
    assert_eq!(world.stream.calls(), 2, "what is full goes at once");
}

#[test]
fn an_outage_shows_and_passes() {
    let mut world = World::new(&options(), Stream::of(1));
    world.submit(&[("", "a")]);
    world.turn();
    world.fail_next(Failure::NotConnected("refused".to_owned()));
    assert!(matches!(world.desk.health(), crate::Health::Down(text) if text.contains("refused")));
    let Some(Delivery::None(fault)) = world.settled().pop() else { panic!("an outage fails all") };
    assert_eq!((fault.kind, fault.fate, fault.retry), (FaultKind::Unreachable, Fate::NotStored, Retry::Yes));
    world.submit(&[("", "a")]);
    world.run();
    assert_eq!(world.desk.health(), crate::Health::Up);
    assert_eq!(world.settled(), [Delivery::All]);
}

#[test]
fn a_record_that_no_stream_takes_fails_alone_and_for_good() {
    let mut options = options();
    options.record_bytes_max = 2000;
    let mut world = World::new(&options, Stream::of(1));
    world.submit(&[("", "fine"), ("", &"x".repeat(2000)), ("", "fine too")]);
    world.run();
    let Some(Delivery::Some(failed)) = world.settled().pop() else { panic!("one of three") };
    assert_eq!((failed.len(), failed[0].0, failed[0].1.retry), (1, 1, Retry::No));
}
