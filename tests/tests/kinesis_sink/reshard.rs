//! Splits and merges in mid-stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrun_sinks::kinesis::Options;
use support::kinesis::KinesisServer;

use super::lane::Lane;
use super::{consumer, options, shared_server};

/// Sends records with keys while the stream's shards are split and merged. Returns how many.
fn reshard_under_load(server: &KinesisServer, stream: &str, lane: &mut Lane) -> u32 {
    let mut number = 0;
    let mut load = |lane: &mut Lane| {
        let end = Instant::now() + Duration::from_millis(700);
        while Instant::now() < end {
            if lane.in_flight() < 10 {
                lane.submit_numbered(number..number + 20, |number| format!("user-{}", number % 40));
                number += 20;
            }
            lane.turn(Duration::from_millis(30));
        }
    };
    load(lane);
    let shards = server.shards(stream);
    server.split(stream, &shards[0]);
    load(lane);
    let mut open: Vec<_> = server.shards(stream).into_iter().filter(|shard| shard.open).collect();
    open.sort_by_key(|shard| shard.first);
    server.merge(stream, &open[1], &open[2]);
    load(lane);
    // Long enough for the next look at the shards.
    load(lane);
    lane.settle_all();
    number
}

fn survives(stream: &str, change: impl FnOnce(&mut Options)) -> (Lane, Vec<Vec<u8>>) {
    let server = shared_server();
    server.create_stream(stream, 2);
    let mut options = options(server.endpoint(), stream);
    change(&mut options);
    let mut lane = Lane::open(&options);
    lane.learn_shards();
    let sent = reshard_under_load(server, stream, &mut lane);
    assert_eq!((lane.faults().next(), lane.delivered()), (None, sent as usize));
    assert!(lane.gauge("kinesis_landed_elsewhere_total") >= 1.0);
    assert!(lane.gauge("kinesis_shard_maps_total") >= 2.0);
    let stored = consumer::values(server, stream);
    lane.compare(&stored);
    (lane, stored)
}

#[test]
fn plain_records_survive_and_the_map_follows() {
    let (lane, stored) = survives("resharded-plain", |_| {});
    assert_eq!(stored.len(), lane.delivered(), "none had to be sent twice");
}

#[test]
fn aggregated_records_survive_consumers_that_drop_what_is_on_the_wrong_shard() {
    survives("resharded-aggregated", |options| {
        options.aggregate_bytes_max = Some(5000);
        options.linger = Duration::from_millis(10);
    });
}

#[test]
fn in_order_the_records_of_a_key_follow_each_other_across_a_reshard() {
    let (lane, _) = survives("resharded-ordered", |options| options.ordered = true);
    assert_eq!(lane.retried, 0, "order is promised as long as nothing fails");
    let server = shared_server();
    let shards = server.shards("resharded-ordered");
    let mut by_key: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for record in server.records("resharded-ordered") {
        let value = String::from_utf8(record.data).unwrap();
        let number = value.split("\"number\":").nth(1).unwrap()[..6].to_owned();
        // Ids are given in the order in which shards open, and a key moves to a child only.
        let shard = shards.iter().position(|shard| shard.id == record.shard).unwrap();
        by_key.entry(record.partition_key).or_default().push((shard, number));
    }
    assert_eq!(by_key.len(), 40);
    for (key, numbers) in by_key {
        let sorted = numbers.is_sorted_by(|before, after| before.1 < after.1);
        assert!(sorted, "{key}: {numbers:?}");
        assert!(numbers.is_sorted_by_key(|(shard, _)| *shard));
    }
}
