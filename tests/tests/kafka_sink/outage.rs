//! Brokers that die, freeze, or are not there yet.

use std::thread;
use std::time::{Duration, Instant};

use millrun_sinks::kafka::{Compression, Options, check};
use millrun_sinks::{Fate, FaultKind, Health, Retry, Sink};
use support::kafka::{KafkaOptions, KafkaServer};

use super::lane::{Lane, PATIENCE};
use super::options;

/// Until the first record is confirmed, librdkafka has sent none: it needs a producer's id, which a fresh broker may
/// be slow to give.
fn warm_up(lane: &mut Lane, numbers: &mut u32) {
    lane.submit_numbered(numbers, 20);
    lane.settle_all();
}

/// Sends batches until one is delivered.
fn deliver_one(lane: &mut Lane, numbers: &mut u32) {
    let before = lane.account.delivered();
    let deadline = Instant::now() + PATIENCE;
    while lane.account.delivered() == before {
        assert!(Instant::now() < deadline, "the sink does not recover: {:?}", lane.sink.health());
        lane.submit_numbered(numbers, 20);
        lane.settle_all();
    }
}

#[test]
fn a_broker_killed_and_restarted_under_load_loses_nothing_that_was_confirmed() {
    let mut broker = KafkaServer::start();
    broker.create_topic("killed", 2, &[]);
    let mut lane = Lane::open(&Options {
        delivery_timeout: Duration::from_secs(40),
        ..options(broker.brokers(), "killed")
    });
    let mut numbers = 0;
    warm_up(&mut lane, &mut numbers);
    for _ in 0..2 {
        lane.load(&mut numbers, 50, Duration::from_secs(1));
        broker.kill();
        lane.load(&mut numbers, 50, Duration::from_millis(1500));
        assert!(lane.in_flight() > 0, "nobody confirms");
        broker.start_broker();
    }
    lane.load(&mut numbers, 50, Duration::from_secs(1));
    lane.settle_all();
    assert_eq!(lane.sink.health(), Health::Up);
    // The outage was shorter than the delivery timeout: librdkafka delivers all of it by itself.
    assert_eq!(lane.account.faults().next(), None);
    assert_eq!(lane.account.delivered(), numbers as usize);
    lane.account.compare(&broker.records("killed"));
}

#[test]
fn a_broker_frozen_for_longer_than_the_delivery_timeout_makes_no_outcome_a_lie() {
    let broker = KafkaServer::start();
    broker.create_topic("frozen", 2, &[]);
    let timeout = Duration::from_secs(3);
    let mut lane = Lane::open(&Options { delivery_timeout: timeout, ..options(broker.brokers(), "frozen") });
    let mut numbers = 0;
    warm_up(&mut lane, &mut numbers);
    lane.load(&mut numbers, 50, Duration::from_millis(500));
    broker.pause();
    lane.load(&mut numbers, 200, Duration::from_secs(1));
    assert!(lane.in_flight() > 0);
    lane.settle_all();
    let faults: Vec<_> = lane.account.faults().collect();
    assert!(!faults.is_empty());
    for fault in &faults {
        assert_eq!(fault.retry, Retry::Client, "{fault}: the time is up, and it may be stored");
        assert!(matches!(fault.kind, FaultKind::TimedOut | FaultKind::Unreachable), "{fault}");
    }
    // Requests that were on their way may have been appended before the freeze or after it.
    assert!(faults.iter().any(|fault| fault.fate == Fate::Unknown));
    assert!(matches!(lane.sink.health(), Health::Down(_)));
    broker.resume();
    // Once it has taken what still lay in its sockets, the truth is what the topic holds.
    lane.turn_until("the sink goes on by itself", |lane| lane.sink.is_idle());
    deliver_one(&mut lane, &mut numbers);
    assert_eq!(lane.sink.health(), Health::Up);
    lane.account.compare(&broker.records("frozen"));
}

/// librdkafka links large uncompressed values into its requests instead of copying them. A frozen broker's sockets
/// fill up, so that requests are cut in the middle when their time is up, and their arenas come back.
#[test]
fn requests_cut_in_the_middle_make_no_outcome_a_lie() {
    let broker = KafkaServer::start();
    broker.create_topic("linked", 1, &[]);
    let mut lane = Lane::open(&Options {
        compression: Compression::None,
        delivery_timeout: Duration::from_secs(2),
        ..options(broker.brokers(), "linked")
    });
    let mut numbers = 0;
    for _ in 0..2 {
        deliver_one(&mut lane, &mut numbers);
        broker.pause();
        let large: Vec<Vec<u8>> = (0..120)
            .map(|_| {
                numbers += 1;
                let mut value = format!("large {numbers} ").into_bytes();
                value.resize(200_000, b'l');
                value
            })
            .collect();
        for four in large.chunks(4) {
            let records: Vec<(&[u8], &[u8])> =
                four.iter().map(|value| (&b""[..], value.as_slice())).collect();
            lane.submit(&records, None);
            lane.turn(Duration::from_millis(2));
        }
        lane.settle_all();
        assert!(lane.account.faults().any(|fault| fault.fate == Fate::Unknown));
        broker.resume();
        lane.turn_until("the sink goes on by itself", |lane| lane.sink.is_idle());
    }
    deliver_one(&mut lane, &mut numbers);
    lane.account.compare(&broker.records("linked"));
}

#[test]
fn a_sink_opened_before_its_broker_delivers_once_it_is_there() {
    let mut broker = KafkaServer::prepare(&KafkaOptions { partitions: 4, ..KafkaOptions::default() });
    let mut lane =
        Lane::open(&Options { delivery_timeout: PATIENCE, ..options(broker.brokers(), "made-by-itself") });
    lane.submit(&[(b"", b"waits for its broker")], None);
    lane.turn_until("the absence is noticed", |lane| matches!(lane.sink.health(), Health::Down(_)));
    let Health::Down(text) = lane.sink.health() else { unreachable!() };
    assert!(text.contains(&broker.brokers()), "{text}");
    // The sink's own thread goes on meanwhile, as the engine's does.
    let starter = thread::spawn(move || {
        broker.start_broker();
        broker
    });
    lane.settle_all();
    let broker = starter.join().unwrap();
    assert_eq!(lane.account.delivered(), 1);
    assert_eq!(lane.sink.health(), Health::Up);
    lane.account.compare(&broker.records("made-by-itself"));
    // Looking for another one finds that it would be made, and does not make it.
    for _ in 0..2 {
        let lines = check(&options(broker.brokers(), "looked-for"), PATIENCE).unwrap();
        assert!(lines[1].contains("make it with its first record"), "{lines:?}");
    }
}

#[test]
fn closing_at_a_dead_broker_ends_at_the_deadline() {
    let broker = KafkaServer::prepare(&KafkaOptions::default());
    let mut lane = Lane::open(&options(broker.brokers(), "never"));
    let mut numbers = 0;
    for _ in 0..20 {
        lane.submit_numbered(&mut numbers, 20);
    }
    let now = Instant::now();
    lane.sink.close(now, now + Duration::from_millis(500));
    lane.settle_all();
    assert_eq!(lane.account.faults().count(), 400);
    for fault in lane.account.faults() {
        assert_eq!((fault.kind, fault.fate), (FaultKind::Closing, Fate::NotStored));
    }
}

#[test]
fn closing_at_a_live_broker_delivers_what_is_in_flight() {
    let broker = super::shared_broker();
    broker.create_topic("closing", 1, &[]);
    let mut lane = Lane::open(&options(broker.brokers(), "closing"));
    let mut numbers = 0;
    for _ in 0..50 {
        lane.submit_numbered(&mut numbers, 20);
    }
    let now = Instant::now();
    lane.sink.close(now, now + PATIENCE);
    lane.settle_all();
    assert_eq!(lane.account.delivered(), 1000);
    lane.account.compare(&broker.records("closing"));
}

#[test]
fn closing_while_the_broker_is_frozen_leaves_what_was_on_its_way_in_doubt() {
    let broker = KafkaServer::start();
    broker.create_topic("closed-frozen", 1, &[]);
    let mut lane = Lane::open(&options(broker.brokers(), "closed-frozen"));
    let mut numbers = 0;
    warm_up(&mut lane, &mut numbers);
    broker.pause();
    for _ in 0..100 {
        lane.submit_numbered(&mut numbers, 20);
    }
    let now = Instant::now();
    lane.sink.close(now, now + Duration::from_secs(1));
    lane.settle_all();
    assert_eq!(lane.account.faults().count(), 2000);
    for fault in lane.account.faults() {
        assert_eq!((fault.kind, fault.retry), (FaultKind::Closing, Retry::Client));
    }
    assert!(lane.account.faults().any(|fault| fault.fate == Fate::Unknown));
    broker.resume();
    // Another sink's record, behind whatever the frozen broker still takes in, is the mark that it has done so.
    let mut after = Lane::open(&options(broker.brokers(), "closed-frozen"));
    after.submit(&[(b"", b"the mark")], None);
    after.settle_all();
    lane.account.outcomes.insert(b"the mark".to_vec(), Ok(()));
    lane.account.compare(&broker.records("closed-frozen"));
}
