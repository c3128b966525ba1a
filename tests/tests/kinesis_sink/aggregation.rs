//! Aggregated records, read by somebody else's code.

use std::collections::BTreeMap;
use std::time::Duration;

use millrun_sinks::kinesis::Options;
use millrun_sinks::kpl;
use support::kinesis::deaggregate_independently;

use super::lane::{Lane, numbered};
use super::{consumer, options, shared_server};

fn aggregating(stream: &str) -> Options {
    let mut options = options(shared_server().endpoint(), stream);
    options.aggregate_bytes_max = Some(20_000);
    options.linger = Duration::from_millis(30);
    options
}

#[test]
fn an_independent_reader_finds_every_record_with_its_key() {
    let server = shared_server();
    server.create_stream("aggregated", 3);
    let mut lane = Lane::open(&aggregating("aggregated"));
    lane.learn_shards();
    let key = |number: u32| {
        if number.is_multiple_of(2) { String::new() } else { format!("app-é\"\\{}", number % 7) }
    };
    lane.submit_numbered(0..1000, key);
    lane.settle_all();
    assert_eq!((lane.faults().next(), lane.delivered()), (None, 1000));
    let records = server.records("aggregated");
    assert!(records.len() <= 100, "{} Kinesis records for 1000", records.len());
    lane.compare(&consumer::values(server, "aggregated"));

    let data: Vec<Vec<u8>> = records.into_iter().map(|record| record.data).collect();
    let found: BTreeMap<Vec<u8>, String> =
        deaggregate_independently(&data).into_iter().map(|(key, data)| (data, key)).collect();
    assert_eq!(found.len(), 1000);
    for number in 0..1000 {
        let key = key(number);
        let read = &found[&numbered(number, &key)];
        // A record in an entry of its own is read with the entry's key, which the reader is not shown.
        assert!(key.is_empty() || *read == key || read == "outer", "{number}: {read}");
    }
    let named = found.values().filter(|key| key.starts_with("app-")).count();
    assert!(named > 400, "{named} of 500 with their own key");
}

#[test]
fn what_our_writer_writes_the_independent_reader_reads() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..20 {
        let mut aggregate = kpl::Aggregate::default();
        let count = random.usize(1..60);
        let written: Vec<(String, Vec<u8>)> = (0..count)
            .map(|number| {
                let length = random.usize(0..3000);
                (format!("k{}", number % 9), std::iter::repeat_with(|| random.u8(..)).take(length).collect())
            })
            .collect();
        for (key, data) in &written {
            aggregate.add(key, Some(u128::MAX - key.len() as u128), data);
        }
        assert_eq!(deaggregate_independently(&[aggregate.finish().to_vec()]), written);
    }
}
