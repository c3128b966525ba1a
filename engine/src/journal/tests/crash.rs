//! Every trouble at every operation of a life with everything in it, and random histories.

use proptest::prelude::*;

use super::harness::Harness;
use super::options;
use super::sim::{SimDisk, Trouble};

/// A life of the journal with everything in it: several segments, reuse, partial delivery, both kinds of end.
fn life(harness: &mut Harness) {
    for round in 0..4 {
        for stream in 0..2 {
            for number in 0..4 {
                let _ = harness.append(stream, 300 + 300 * number);
                if number % 2 == 1 {
                    let _ = harness.sync(stream);
                }
                harness.append_again(stream);
            }
            harness.turn();
            let _ = harness.sync(stream);
            harness.append_again(stream);
            let _ = harness.sync(stream);
            harness.read(stream, 5);
            harness.deliver(stream, round % 2);
            harness.turn();
        }
        if harness.disk.is_off() {
            harness.crash(true);
        } else if round == 1 {
            harness.crash_to(false, 1);
        } else if round == 2 {
            // Drained, nothing is left of the second stream but its numbers.
            while harness.read(1, 9) > 0 {}
            harness.deliver(1, 0);
            harness.turn();
            harness.crash_to(true, 2);
        }
    }
}

#[test]
fn every_trouble_at_every_operation_keeps_the_promises() {
    let mut quiet = Harness::new(SimDisk::new(0), options());
    life(&mut quiet);
    let operations = quiet.disk.operations();
    quiet.end();
    assert!(operations > 200, "the life is worth a test: {operations} operations");
    for trouble in [Trouble::NoSpace, Trouble::Io, Trouble::Short, Trouble::Crash] {
        for at in 0..operations {
            for seed in 0..6 {
                let disk = SimDisk::new(seed);
                disk.plan(at, trouble);
                // A fault seldom comes alone.
                for next in 0..3 * (seed % 4) {
                    disk.plan(at + 1 + next, Trouble::Io);
                }
                let mut harness = Harness::new(disk, options());
                life(&mut harness);
                harness.end();
            }
        }
    }
}

#[test]
fn without_a_crash_nothing_is_delivered_twice() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut harness = Harness::new(disk, options());
        for _ in 0..60 {
            if random.u8(..4) == 0 {
                harness
                    .disk
                    .plan(random.u64(..6), if random.bool() { Trouble::Io } else { Trouble::NoSpace });
            }
            let stream = random.usize(..2);
            let _ = harness.append(stream, random.usize(..1200));
            harness.append_again(stream);
            if random.bool() {
                let _ = harness.sync(stream);
            }
            harness.turn();
            harness.read(stream, 3);
            harness.deliver(stream, 0);
        }
        assert_eq!(harness.repeated, 0, "seed {seed}");
        harness.end();
        assert_eq!(harness.repeated, 0, "seed {seed}");
    }
}

/// One thing that happens to a journal.
#[derive(Clone, Debug)]
enum Event {
    Append { stream: usize, bytes: usize },
    AppendAgain(usize),
    Sync(usize),
    Turn,
    Read { stream: usize, count: usize },
    ReadAgain(usize),
    Deliver { stream: usize, keep: usize },
    Trouble { after: u64, trouble: Trouble },
    Space(Option<usize>),
    Crash { power: bool, shards: u16 },
}

fn event() -> impl Strategy<Value = Event> {
    let trouble =
        prop_oneof![Just(Trouble::NoSpace), Just(Trouble::Io), Just(Trouble::Short), Just(Trouble::Crash)];
    prop_oneof![
        12 => (0_usize..2, 0_usize..1300).prop_map(|(stream, bytes)| Event::Append { stream, bytes }),
        3 => (0_usize..2).prop_map(Event::AppendAgain),
        8 => (0_usize..2).prop_map(Event::Sync),
        6 => Just(Event::Turn),
        6 => (0_usize..2, 1_usize..8).prop_map(|(stream, count)| Event::Read { stream, count }),
        1 => (0_usize..2).prop_map(Event::ReadAgain),
        5 => (0_usize..2, 0_usize..3).prop_map(|(stream, keep)| Event::Deliver { stream, keep }),
        4 => (0_u64..16, trouble).prop_map(|(after, trouble)| Event::Trouble { after, trouble }),
        1 => prop::option::of(20_000_usize..200_000).prop_map(Event::Space),
        2 => (any::<bool>(), 1_u16..3).prop_map(|(power, shards)| Event::Crash { power, shards }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_of_faults_and_crashes_breaks_the_promises(
        events in prop::collection::vec(event(), 1..120),
        seed in any::<u64>(),
    ) {
        let mut harness = Harness::new(SimDisk::new(seed), options());
        for event in events {
            match event {
                Event::Append { stream, bytes } => drop(harness.append(stream, bytes)),
                Event::AppendAgain(stream) => harness.append_again(stream),
                Event::Sync(stream) => drop(harness.sync(stream)),
                Event::Turn => drop(harness.turn()),
                Event::Read { stream, count } => drop(harness.read(stream, count)),
                Event::ReadAgain(stream) => harness.read_again(stream),
                Event::Deliver { stream, keep } => harness.deliver(stream, keep),
                Event::Trouble { after, trouble } => harness.disk.plan(after, trouble),
                Event::Space(bytes) => harness.disk.set_space(bytes.unwrap_or(usize::MAX)),
                Event::Crash { power, shards } => harness.crash_to(power, shards),
            }
            if harness.disk.is_off() {
                harness.crash(true);
            }
        }
        harness.end();
    }
}
