//! Aggregation: what is packed together, and what is believed of it.

use super::super::super::options::Options;
use super::stream::{Stream, World};
use super::{MS, options};
use crate::kpl::{self, Content};
use crate::{Delivery, Fate, Retry};

fn aggregating() -> Options {
    let mut options = options();
    options.aggregate_bytes_max = Some(10_000);
    options
}

fn numbered(from: usize, count: usize) -> Vec<String> {
    (from..from + count)
        .map(|number| format!("{{\"number\":{number},\"data\":\"{}\"}}", "x".repeat(80)))
        .collect()
}

/// All of `values` is in the stream, each once.
fn each_once(world: &World, values: &[String]) {
    let mut found: Vec<String> =
        world.stream.values().into_iter().map(|value| String::from_utf8(value).unwrap()).collect();
    found.sort_unstable();
    let mut wanted = values.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn many_records_become_few_and_a_consumer_finds_each() {
    let mut world = World::new(&aggregating(), Stream::of(4));
    world.learn_shards();
    let values = numbered(0, 1000);
    world.submit_values(&values);
    world.run();
    assert_eq!(world.settled(), [Delivery::All]);
    each_once(&world, &values);
    assert!(world.stream.entries <= 15, "{} Kinesis records for 1000 of 110 bytes", world.stream.entries);
    for stored in &world.stream.stored {
        assert!(stored.data.len() <= 10_000, "{}", stored.data.len());
    }
}

#[test]
fn records_with_keys_are_packed_by_shard() {
    let mut world = World::new(&aggregating(), Stream::of(4));
    world.learn_shards();
    let values = numbered(0, 400);
    let keys: Vec<String> = (0..400).map(|number| format!("app-{}", number % 37)).collect();
    let records: Vec<(&str, &str)> =
        keys.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.submit(&records);
    world.run();
    assert_eq!(world.settled(), [Delivery::All]);
    each_once(&world, &values);
    assert!(world.stream.entries <= 12, "{}", world.stream.entries);
    let found = world.stream.stored.iter().filter_map(|stored| match kpl::read(&stored.data).unwrap() {
        Content::Aggregated(records) => {
            Some(records.iter().map(|record| record.partition_key.to_owned()).collect())
        }
        Content::Plain(_) => None,
    });
    let found: Vec<Vec<String>> = found.collect();
    assert!(found.iter().flatten().all(|key| keys.contains(key)), "each keeps its own key");
}

#[test]
fn until_the_shards_are_known_records_go_one_by_one() {
    let mut world = World::new(&aggregating(), Stream::of(4));
    world.submit_values(&numbered(0, 50));
    world.turn();
    world.answer_next(<[_]>::to_vec);
    assert_eq!(world.stream.entries, 50);
    assert_eq!(world.settled(), [Delivery::All]);
}

#[test]
fn a_record_larger_than_an_aggregate_goes_by_itself() {
    let mut world = World::new(&aggregating(), Stream::of(1));
    world.learn_shards();
    let mut values = numbered(0, 5);
    values.insert(2, "y".repeat(20_000));
    world.submit_values(&values);
    world.run();
    assert_eq!(world.settled(), [Delivery::All]);
    each_once(&world, &values);
}

#[test]
fn after_a_split_what_a_consumer_would_drop_is_not_called_delivered() {
    let mut world = World::new(&aggregating(), Stream::of(1));
    world.learn_shards();
    let values = numbered(0, 60);
    let keys: Vec<String> = (0..60).map(|number| format!("user-{number}")).collect();
    let records: Vec<(&str, &str)> =
        keys.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.submit(&records);
    world.turn();
    world.stream.split(0);
    world.answer_next(<[_]>::to_vec);
    assert!(world.settled().is_empty(), "nobody knows yet what that shard takes");
    world.pass(MS(2000));
    world.turn();
    world.list();
    let Some(Delivery::Some(failed)) = world.settled().pop() else { panic!("some were on the wrong side") };
    assert!(failed.iter().all(|(_, fault)| fault.retry == Retry::Yes && fault.fate == Fate::Unknown));
    let delivered: Vec<String> = (0..60_u32)
        .filter(|index| !failed.iter().any(|(failed, _)| failed == index))
        .map(|index| values[index as usize].clone())
        .collect();
    each_once(&world, &delivered);
    // The lane's second attempt, with the new map.
    let again: Vec<(&str, &str)> = failed.iter().map(|(index, _)| records[*index as usize]).collect();
    world.submit(&again);
    world.run();
    assert_eq!(world.settled(), [Delivery::All]);
    each_once(&world, &values);
}

#[test]
fn records_without_a_key_are_all_on_one_side_of_a_split() {
    let mut world = World::new(&aggregating(), Stream::of(1));
    world.learn_shards();
    let values = numbered(0, 60);
    world.submit_values(&values);
    world.turn();
    world.stream.split(0);
    world.answer_next(<[_]>::to_vec);
    world.pass(MS(2000));
    world.turn();
    world.list();
    assert_eq!(world.settled(), [Delivery::All], "their aggregate has one hash key");
    each_once(&world, &values);
}

#[test]
fn a_stream_that_places_records_by_itself_ends_aggregation() {
    let mut world = World::new(&aggregating(), Stream::of(2));
    world.learn_shards();
    let values = numbered(0, 40);
    let key = world.stream.key_on(0);
    let records: Vec<(&str, &str)> = values.iter().map(|value| (key.as_str(), value.as_str())).collect();
    world.submit(&records);
    world.turn();
    let other = world.stream.shards[1].id.to_string();
    world.answer_next(|_| vec![super::Said::Stored { shard: other.clone() }]);
    let Some(Delivery::None(fault)) = world.settled().pop() else { panic!("dropped by a consumer") };
    assert_eq!(fault.fate, Fate::Unknown);
    assert!(!world.desk.is_aggregating());
    world.submit(&records);
    world.turn();
    world.answer_next(|stored| {
        assert_eq!(stored.len(), 40, "one by one now");
        vec![super::Said::Stored { shard: other.clone() }; 40]
    });
    assert_eq!(world.settled(), [Delivery::All]);
}
