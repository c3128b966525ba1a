//! Any order of events: what is delivered is in the stream, each batch comes back once, and order is kept where it is
//! promised.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::super::fault::Failure;
use super::super::super::options::{Options, Spread};
use super::MS;
use super::stream::{PATIENCE, Stream, World};
use crate::{Batch, Delivery, Origin, Records, Settled};

#[derive(Clone, Debug)]
enum Event {
    Submit {
        records: u8,
        keyed: bool,
    },
    Turn,
    Pass(u16),
    List,
    Answer(prop::sample::Index),
    /// The truth with one entry after the other turned into a refusal, by the bits.
    AnswerPartly(prop::sample::Index, u32),
    AnswerShort(prop::sample::Index, u8),
    Fail,
    Split(prop::sample::Index),
    Merge(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (1..30_u8, any::<bool>()).prop_map(|(records, keyed)| Event::Submit { records, keyed }),
        6 => Just(Event::Turn),
        2 => (1..3000_u16).prop_map(Event::Pass),
        2 => Just(Event::List),
        5 => any::<prop::sample::Index>().prop_map(Event::Answer),
        2 => (any::<prop::sample::Index>(), any::<u32>()).prop_map(|(index, bits)| Event::AnswerPartly(index, bits)),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(index, cut)| Event::AnswerShort(index, cut)),
        1 => Just(Event::Fail),
        1 => any::<prop::sample::Index>().prop_map(Event::Split),
        1 => any::<prop::sample::Index>().prop_map(Event::Merge),
    ]
}

/// What was submitted, by the batch's slot.
#[derive(Default)]
struct Account {
    batches: HashMap<u16, Vec<String>>,
    delivered: Vec<String>,
    failed: usize,
    next: usize,
}

impl Account {
    fn submit(&mut self, world: &mut World, records: u8, keyed: bool) {
        let slot = u16::try_from(self.next).unwrap();
        let mut batch = Batch::new(Origin { shard: 0, slot }, 1 << 16, 64);
        let mut values = Vec::new();
        for _ in 0..records {
            let key = if keyed { format!("k{}", self.next % 5) } else { String::new() };
            let value = format!("{key}/{:06}", self.next);
            self.next += 1;
            batch
                .append_with(|free| {
                    let both = format!("{key}{value}");
                    free[..both.len()].copy_from_slice(both.as_bytes());
                    Some((key.len(), value.len()))
                })
                .unwrap();
            values.push(value);
        }
        assert!(self.batches.insert(slot, values).is_none());
        world.submit_batch(batch, Records::All);
    }

    fn collect(&mut self, world: &mut World) {
        let mut settled = Vec::new();
        world.desk.settled(&mut settled);
        for Settled { batch, delivery } in settled {
            let values = self.batches.remove(&batch.origin().slot).expect("comes back once");
            for (index, value) in (0..).zip(values) {
                match delivery.of(index) {
                    Ok(()) => self.delivered.push(value),
                    Err(_) => self.failed += 1,
                }
            }
        }
    }
}

fn happen(world: &mut World, account: &mut Account, event: &Event) {
    let waiting = world.waiting();
    match event {
        Event::Submit { records, keyed } => account.submit(world, *records, *keyed),
        Event::Turn => world.turn(),
        Event::Pass(ms) => world.pass(MS(u64::from(*ms))),
        Event::List => world.list(),
        Event::Split(index) if world.stream.shards.len() < 12 => {
            let index = index.index(world.stream.shards.len());
            world.stream.split(index);
        }
        Event::Merge(index) if world.stream.shards.len() > 1 => {
            let index = index.index(world.stream.shards.len());
            world.stream.merge(index);
        }
        Event::Answer(index) if waiting > 0 => world.answer(index.index(waiting), <[_]>::to_vec),
        Event::AnswerPartly(index, bits) if waiting > 0 => world.answer(index.index(waiting), |stored| {
            let said = stored.iter().enumerate().map(|(place, said)| {
                if bits >> (place % 32) & 1 == 1 { super::throttled() } else { said.clone() }
            });
            said.collect()
        }),
        Event::AnswerShort(index, cut) if waiting > 0 => world
            .answer(index.index(waiting), |stored| stored[..usize::from(*cut) % (stored.len() + 1)].to_vec()),
        Event::Fail if waiting > 0 => world.fail_next(Failure::TimedOut(String::new())),
        _ => {}
    }
    account.collect(world);
}

/// Lets all of it come to its end.
fn finish(world: &mut World, account: &mut Account) {
    for _ in 0..20 {
        world.run();
        account.collect(world);
        world.pass(MS(2000));
    }
    world.pass(PATIENCE);
    world.run();
    account.collect(world);
    assert!(world.desk.is_idle() && account.batches.is_empty(), "everything comes back");
}

fn play(options: &Options, events: &[Event]) -> (World, Account) {
    let (mut world, mut account) = (World::new(options, Stream::of(2)), Account::default());
    for event in events {
        happen(&mut world, &mut account, event);
    }
    finish(&mut world, &mut account);
    (world, account)
}

fn options(aggregated: bool, even: bool, ordered: bool) -> Options {
    let mut options = Options::new("s");
    options.aggregate_bytes_max = aggregated.then_some(1024);
    options.spread = if even { Spread::Even } else { Spread::Random };
    options.ordered = ordered;
    options.calls_in_flight_max = 4;
    options.call_records_max = 20;
    options
}

proptest! {
    #[test]
    fn what_is_delivered_is_what_a_consumer_reads(
        events in prop::collection::vec(event(), 1..120),
        aggregated in any::<bool>(),
        even in any::<bool>(),
        ordered in any::<bool>(),
    ) {
        let (world, account) = play(&options(aggregated, even, ordered), &events);
        let mut read: HashMap<Vec<u8>, usize> = HashMap::new();
        for value in world.stream.values() {
            *read.entry(value).or_default() += 1;
        }
        for value in &account.delivered {
            prop_assert_eq!(read.get(value.as_bytes()), Some(&1), "{}", value);
        }
        prop_assert_eq!(account.delivered.len() + account.failed, account.next, "each record has an outcome");
    }

    #[test]
    fn in_order_the_records_of_a_key_follow_each_other_as_long_as_none_fails(
        events in prop::collection::vec(event(), 1..120), aggregated in any::<bool>(),
    ) {
        // Without what makes records fail.
        let events: Vec<Event> = events.into_iter().filter(|event| {
            !matches!(event, Event::AnswerPartly(..) | Event::AnswerShort(..) | Event::Fail | Event::Pass(_))
        }).collect();
        let (world, account) = play(&options(aggregated, false, true), &events);
        if account.failed == 0 {
            let mut last: HashMap<String, String> = HashMap::new();
            for value in world.stream.values() {
                let value = String::from_utf8(value).unwrap();
                let (key, number) = value.split_once('/').unwrap();
                if key.is_empty() {
                    continue;
                }
                let before = last.insert(key.to_owned(), number.to_owned());
                prop_assert!(before.as_deref() < Some(number), "{} after {:?}", value, before);
            }
        }
    }
}

#[test]
fn the_model_does_deliver() {
    let events = [Event::Submit { records: 20, keyed: true }, Event::Turn, Event::List];
    let (_, account) = play(&options(true, false, true), &events);
    assert_eq!((account.delivered.len(), account.failed), (20, 0));
    assert_eq!(Delivery::All.of(0), Ok(()));
}
