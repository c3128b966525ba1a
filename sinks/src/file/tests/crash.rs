//! Every fault and every crash at every step, and random sequences of them.

use std::time::Duration;

use proptest::prelude::*;

use super::harness::Harness;
use super::model::{ModelDisk, Trouble};
use super::{BOTH, Compression, GZIP, Options, options};

fn small_files(compression: Compression, rotate_bytes: u64) -> Options {
    Options { rotate_bytes, ..options("/data/events", compression) }
}

/// A life of the sink with everything in it: partial batches, rotation by size, age and hour, close, recovery.
fn life(harness: &mut Harness) {
    for round in 0..3 {
        harness.submit(3, None);
        harness.submit(2, None);
        harness.poll();
        harness.retry();
        harness.submit(5, Some(2));
        harness.poll();
        harness.advance(Duration::from_mins(4));
        if round == 1 {
            // A writer dies and leaves its file to the next.
            harness.disk.kill_process();
            harness.crash(false);
        }
        if harness.disk.is_off() {
            harness.crash(true);
        }
    }
    harness.poll();
}

#[test]
fn every_trouble_at_every_step_keeps_the_promises() {
    for compression in BOTH {
        let options = small_files(compression, 150);
        let mut quiet = Harness::new(ModelDisk::new(0), options.clone());
        life(&mut quiet);
        let steps = quiet.disk.operations();
        quiet.end();
        assert!(steps > 40, "the life is worth a test: {steps} operations");
        for trouble in [Trouble::NoSpace, Trouble::Io, Trouble::Short, Trouble::Crash] {
            for at in 0..steps {
                for seed in 0..4 {
                    let mut harness = Harness::new(ModelDisk::new(seed), options.clone());
                    harness.disk.plan(at, trouble);
                    // A fault seldom comes alone.
                    for next in 0..seed {
                        harness.disk.plan(at + 1 + next, Trouble::Io);
                    }
                    life(&mut harness);
                    harness.end();
                }
            }
        }
    }
}

/// One thing that happens to a sink.
#[derive(Clone, Debug)]
enum Event {
    Submit { records: u32, skip: Option<u32> },
    Poll,
    Retry,
    Advance(Duration),
    Trouble { after: u64, trouble: Trouble },
    Crash { power: bool },
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    let trouble =
        prop_oneof![Just(Trouble::NoSpace), Just(Trouble::Io), Just(Trouble::Short), Just(Trouble::Crash)];
    prop_oneof![
        6 => (0u32..6, prop::option::of(1u32..4)).prop_map(|(records, skip)| Event::Submit { records, skip }),
        6 => Just(Event::Poll),
        2 => Just(Event::Retry),
        2 => (0u64..900).prop_map(|secs| Event::Advance(Duration::from_secs(secs))),
        4 => (0u64..12, trouble).prop_map(|(after, trouble)| Event::Trouble { after, trouble }),
        1 => any::<bool>().prop_map(|power| Event::Crash { power }),
        1 => Just(Event::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_faults_and_crashes_breaks_the_promises(
        events in prop::collection::vec(event(), 1..60),
        seed in any::<u64>(),
        gzip in any::<bool>(),
        rotate_bytes in 1u64..2000,
    ) {
        let compression = if gzip { GZIP } else { Compression::None };
        let mut harness = Harness::new(ModelDisk::new(seed), small_files(compression, rotate_bytes));
        for event in events {
            match event {
                Event::Submit { records, skip } => harness.submit(records, skip),
                Event::Poll => drop(harness.poll()),
                Event::Retry => harness.retry(),
                Event::Advance(time) => harness.advance(time),
                Event::Trouble { after, trouble } => harness.disk.plan(after, trouble),
                Event::Crash { power } => harness.crash(power),
                Event::Close => {
                    harness.poll();
                    harness.close_and_reopen();
                }
            }
            if harness.disk.is_off() {
                harness.crash(true);
            }
        }
        harness.end();
    }
}
