//! Refusals of single records inside an answer 200, and what is too large.

use std::time::{Duration, Instant};

use millrun_sinks::{FaultKind, Health, Retry, Sink, Whose};
use support::kinesis_proxy::shard_limits::ShardLimits;
use support::kinesis_proxy::{Behaviour, KinesisProxy};

use super::lane::{Lane, numbered};
use super::{consumer, options, shared_server};

fn proxy(behaviour: Behaviour) -> KinesisProxy {
    KinesisProxy::start(shared_server().address(), behaviour)
}

#[test]
fn records_that_a_shard_throttles_are_tried_again_until_they_are_in() {
    let server = shared_server();
    server.create_stream("throttled", 2);
    let limits = ShardLimits { records_per_s: 60.0, bytes_per_s: 1e6 };
    let proxy = proxy(Behaviour { limits, ..Behaviour::default() });
    let mut lane = Lane::open(&options(proxy.endpoint(), "throttled"));
    lane.learn_shards();
    lane.submit_numbered(0..400, |_| String::new());
    lane.settle_all();
    assert_eq!(lane.faults().next(), None);
    assert_eq!(lane.delivered(), 400);
    let counts = proxy.counts();
    assert!(!counts.throttled.is_empty(), "{counts:?}");
    assert!(lane.gauge("kinesis_pace_decreases_total") >= 1.0);
    let stored = consumer::values(server, "throttled");
    assert_eq!(stored.len(), 400, "only what failed was sent again");
    lane.compare(&stored);
}

/// The system that Millrun replaces answered 200 for such records, and lost them.
#[test]
fn records_that_failed_inside_an_answer_200_are_never_reported_delivered() {
    let server = shared_server();
    server.create_stream("failing", 1);
    let proxy = proxy(Behaviour { internal_failures: 1.0, ..Behaviour::default() });
    let mut lane = Lane::open(&options(proxy.endpoint(), "failing"));
    lane.tries_again = false;
    lane.submit_numbered(0..100, |_| String::new());
    lane.settle_all();
    assert_eq!(lane.delivered(), 0, "every call was answered 200");
    assert_eq!(lane.sink.health(), Health::Up);
    assert!(lane.faults().all(|fault| fault.kind == FaultKind::StorageFailed && fault.retry == Retry::Yes));
    assert!(consumer::values(server, "failing").is_empty());

    proxy.change(|behaviour| behaviour.internal_failures = 0.3);
    lane.submit_numbered(100..300, |_| String::new());
    lane.settle_all();
    let (delivered, failed) = (lane.delivered(), lane.faults().count() - 100);
    assert!(delivered > 0 && failed > 0, "{delivered} and {failed}");
    assert_eq!(proxy.counts().internal, 100 + failed, "each failure is told, and nothing else is");
    let stored = consumer::values(server, "failing");
    assert_eq!(stored.len(), delivered);
    lane.compare(&stored);

    lane.tries_again = true;
    lane.submit_numbered(300..500, |_| String::new());
    lane.settle_all();
    assert_eq!(lane.delivered(), delivered + 200, "with a second attempt all are in");
    lane.compare(&consumer::values(server, "failing"));
}

#[test]
fn a_record_that_the_stream_does_not_take_fails_alone() {
    let server = shared_server();
    server.create_stream("oversize", 1);
    let proxy = proxy(Behaviour { record_bytes_max: 20_000, ..Behaviour::default() });
    let mut lane = Lane::open(&options(proxy.endpoint(), "oversize"));
    let large = [b"large ".to_vec(), vec![b'l'; 20_000]].concat();
    let values: Vec<Vec<u8>> = (0..50).map(|number| numbered(number, "")).collect();
    let mut records: Vec<(&[u8], &[u8])> = values.iter().map(|value| (&b""[..], value.as_slice())).collect();
    records.insert(17, (b"", &large));
    lane.submit(&records);
    // The configured limit is lower than this one's size: it is not even sent.
    let larger = vec![b'x'; 1 << 20];
    lane.submit(&[(b"", &larger)]);
    lane.settle_all();
    for value in [&large, &larger] {
        let fault = lane.outcomes[value].unwrap_err();
        assert_eq!(
            (fault.kind, fault.whose, fault.retry),
            (FaultKind::RecordTooLarge, Whose::Client, Retry::No)
        );
    }
    assert_eq!(lane.delivered(), 50);
    assert_eq!(lane.retried, 0, "the sink parts them by itself");
    lane.compare(&consumer::values(server, "oversize"));
}

#[test]
fn a_hot_shard_slows_only_its_own_records() {
    let server = shared_server();
    server.create_stream("hot", 2);
    let limits = ShardLimits { records_per_s: 40.0, bytes_per_s: 1e6 };
    let proxy = proxy(Behaviour { limits, ..Behaviour::default() });
    let mut lane = Lane::open(&options(proxy.endpoint(), "hot"));
    lane.learn_shards();
    lane.deadline = Duration::from_secs(15);
    // One key: one shard, with many times of what it takes.
    lane.submit_numbered(0..300, |_| "hot".to_owned());
    let shards = server.shards("hot");
    let hot = millrun_sinks::kpl::hash_key_of("hot");
    let other = |key: &String| {
        let key = millrun_sinks::kpl::hash_key_of(key);
        shards.iter().all(|shard| {
            !((shard.first..=shard.last).contains(&key) && shard.first <= hot && hot <= shard.last)
        })
    };
    let cool = (0..1000).map(|number| format!("cool-{number}")).find(other).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    let mut number = 1000;
    while Instant::now() < end {
        lane.submit_numbered(number..number + 4, |_| cool.clone());
        number += 4;
        let pause = Instant::now() + Duration::from_millis(200);
        while Instant::now() < pause {
            lane.turn(Duration::from_millis(20));
        }
    }
    lane.settle_all();
    let cool_failed = (1000..number).filter(|number| lane.outcomes[&numbered(*number, &cool)].is_err());
    assert_eq!(cool_failed.count(), 0);
    let counts = proxy.counts();
    assert_eq!(counts.throttled.len(), 1, "only the hot shard throttled: {counts:?}");
    assert!(
        lane.faults().all(|fault| fault.kind == FaultKind::Throttled || fault.kind == FaultKind::TimedOut)
    );
    lane.compare(&consumer::values(server, "hot"));
}
