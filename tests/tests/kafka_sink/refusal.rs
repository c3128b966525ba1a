//! What brokers refuse, told apart.

use std::time::Duration;

use millrun_sinks::kafka::{Options, check};
use millrun_sinks::{Fate, FaultKind, Health, Retry, Sink, Whose};

use super::lane::Lane;
use super::{options, shared_broker};

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn a_missing_topic_is_the_operators_and_its_appearance_is_noticed() {
    let broker = shared_broker();
    let delivery_timeout = Duration::from_secs(4);
    let mut lane = Lane::open(&Options { delivery_timeout, ..options(broker.brokers(), "missing") });
    lane.submit(&[(b"", b"first")], None);
    lane.settle_all();
    let expected = (FaultKind::DestinationMissing, Whose::Operator, Retry::Client, Fate::NotStored);
    let fault = lane.account.outcomes[&b"first"[..]].unwrap_err();
    assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    let Health::Down(text) = lane.sink.health() else { panic!("{:?}", lane.sink.health()) };
    assert!(text.contains("topic missing does not exist"), "{text}");
    // Known to be missing: the next one is refused at once.
    lane.submit(&[(b"", b"second")], None);
    lane.settle_all();
    assert_eq!(lane.account.outcomes[&b"second"[..]], Err(fault));

    broker.create_topic("missing", 1, &[]);
    let mut attempts = 0;
    while lane.account.delivered() == 0 {
        attempts += 1;
        assert!(attempts < 600, "the topic is not noticed");
        lane.submit(&[(b"", format!("attempt {attempts}").as_bytes())], None);
        lane.settle_all();
        lane.turn(Duration::from_millis(100));
    }
    assert_eq!(lane.sink.health(), Health::Up);
    lane.account.compare(&broker.records("missing"));
}

#[test]
fn a_record_beyond_the_topics_limit_is_the_clients_fault() {
    let broker = shared_broker();
    broker.create_topic("narrow", 1, &[("max.message.bytes", "20000")]);
    let mut lane = Lane::open(&options(broker.brokers(), "narrow"));
    let mut large = vec![0; 50_000];
    fastrand::Rng::with_seed(3).fill(&mut large);
    lane.submit(&[(b"", &large)], None);
    lane.settle_all();
    let fault = lane.account.outcomes[&large].unwrap_err();
    let expected = (FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    // The sequence of requests has a hole now: the producer must fill it by itself.
    lane.submit(&[(b"", b"small")], None);
    lane.settle_all();
    assert_eq!(lane.account.outcomes[&b"small"[..]], Ok(()));
    assert_eq!(lane.sink.health(), Health::Up);
    lane.account.compare(&broker.records("narrow"));
}

#[test]
fn neighbours_of_a_record_beyond_the_topics_limit_are_not_blamed() {
    let broker = shared_broker();
    broker.create_topic("crowded", 1, &[("max.message.bytes", "20000")]);
    // A linger makes sure that the batch becomes one request.
    let mut options = options(broker.brokers(), "crowded");
    options.properties.insert("linger.ms".to_owned(), "200".to_owned());
    let mut lane = Lane::open(&options);
    let mut large = vec![0; 50_000];
    fastrand::Rng::with_seed(4).fill(&mut large);
    lane.submit(&[(b"", b"left"), (b"", &large), (b"", b"right")], None);
    lane.settle_all();
    for fault in lane.account.faults() {
        let expected = (FaultKind::RecordTooLarge, Whose::Operator, Retry::Yes, Fate::NotStored);
        assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    }
    assert_eq!(lane.account.faults().count(), 3);
    lane.account.compare(&broker.records("crowded"));
}

#[test]
fn check_finds_the_topic_and_its_absence() {
    let broker = shared_broker();
    broker.create_topic("checked", 5, &[]);
    let lines = check(&options(broker.brokers(), "checked"), TIMEOUT).unwrap();
    assert!(lines[0].contains(&broker.brokers()), "{lines:?}");
    assert_eq!(lines[1], "topic checked: 5 partitions, 1 replicas, at least 1 in sync");
    let fault = check(&options(broker.brokers(), "unchecked"), TIMEOUT).unwrap_err();
    assert_eq!((fault.kind, fault.whose), (FaultKind::DestinationMissing, Whose::Operator));
}

#[test]
fn check_tells_that_nobody_is_there() {
    let nobody = support::port::ReservedPort::take();
    let fault = check(&options(nobody.address.to_string(), "t"), Duration::from_secs(2)).unwrap_err();
    assert_eq!((fault.kind, fault.whose), (FaultKind::Unreachable, Whose::Sink));
}
