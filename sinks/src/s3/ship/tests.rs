//! The shipper against a bucket and a journal in memory, both of which fail, with crashes, and a clock that passes hours.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::super::call::{Kind, Said, Stored, Task};
use super::*;
use crate::aws::Failure;

mod world;

use world::{Trouble, World};

/// One process's shipper.
struct Process {
    core: Core<world::Journal, world::Line>,
}

fn options() -> Options {
    let mut options = Options::new("bucket");
    options.prefix = "data/".to_owned();
    options.manifest_prefix = Some("manifest/".to_owned());
    options.object_bytes_max = 4000;
    options.object_age_max = Duration::from_secs(20);
    options.part_bytes = 1500;
    options.compression = super::super::Compression::None;
    options
}

impl Process {
    fn start(world: &Rc<RefCell<World>>, dir: &std::path::Path, seed: u64) -> Self {
        let (now, journal, line) = world::process(world);
        let parts =
            Parts { options: options(), ledger_dir: dir.to_path_buf(), batch: batch(1 << 16, 64), seed };
        Self { core: Core::new(journal, line, parts, now).unwrap() }
    }

    fn turn(&mut self, world: &Rc<RefCell<World>>) -> Turn {
        let (now, wall) = {
            let world = world.borrow();
            (world.now, world.wall())
        };
        self.core.turn(now, wall)
    }

    /// Turns until an object of records is on its way.
    fn turn_until_it_stores(&mut self, world: &Rc<RefCell<World>>) {
        while world.borrow().stores() == 0 {
            let turn = self.turn(world);
            world.borrow_mut().pass_to(turn.next);
        }
    }

    /// Turns until everything is delivered, without trouble.
    fn finish(&mut self, world: &Rc<RefCell<World>>) {
        world.borrow_mut().trouble = Trouble::default();
        self.core.finish();
        for _ in 0..100_000 {
            let turn = self.turn(world);
            if self.core.is_done() {
                return;
            }
            world.borrow_mut().pass_to(turn.next);
        }
        panic!("it never ends: {:?}", self.core.state);
    }
}

#[test]
fn small_and_large_objects_are_stored_and_named_by_their_hour() {
    let world = World::new(1);
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&world, dir.path(), 1);
    for stream in [0, 1, 0, 1] {
        world.borrow_mut().append(stream, 3, 20);
    }
    process.turn(&world);
    assert_eq!(world.borrow().objects(), 0, "it waits for more");
    process.finish(&world);
    assert_eq!(world.borrow().objects(), 1);
    let key = world.borrow().bucket.keys().next().unwrap().clone();
    assert!(key.starts_with("data/year=2026/month=11/day=23/hour=09/1795424"), "{key}");
    let mut process = Process::start(&world, dir.path(), 2);
    world.borrow_mut().append(0, 40, 100);
    process.finish(&world);
    assert_eq!(world.borrow().completed, 1, "more than a part goes in parts");
    world.borrow().verify(true);
}

#[test]
fn an_old_object_is_closed() {
    let world = World::new(1);
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&world, dir.path(), 1);
    world.borrow_mut().append(0, 3, 20);
    for _ in 0..400 {
        let turn = process.turn(&world);
        world.borrow_mut().pass_to(turn.next);
    }
    world.borrow().verify(true);
}

#[test]
fn after_a_crash_what_is_stored_is_not_stored_again_and_what_is_not_is() {
    for (applied, lost) in [(true, false), (false, true)] {
        let world = World::new(3);
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(&world, dir.path(), 1);
        world.borrow_mut().append(0, 5, 20);
        process.core.finish();
        process.turn_until_it_stores(&world);
        drop(process);
        world.borrow_mut().crash(applied);
        assert_eq!(world.borrow().objects(), usize::from(applied));
        let mut process = Process::start(&world, dir.path(), 2);
        process.finish(&world);
        world.borrow().verify(true);
        assert_eq!(world.borrow().objects(), 1, "lost: {lost}");
    }
}

/// Its only manifest: complete or not, and the number of objects.
fn manifest(world: &Rc<RefCell<World>>) -> (bool, usize) {
    let world = world.borrow();
    let (_, text) = world.bucket.iter().find(|(key, _)| key.starts_with("manifest/")).expect("a manifest");
    let value: serde_json::Value = serde_json::from_slice(text).unwrap();
    (value["complete"].as_bool().unwrap(), value["objects"].as_array().unwrap().len())
}

#[test]
fn a_writer_announces_itself_and_completes_its_hour_when_it_ends_in_order() {
    let world = World::new(7);
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&world, dir.path(), 1);
    world.borrow_mut().append(0, 5, 20);
    while world.borrow().objects() == 0 {
        let turn = process.turn(&world);
        world.borrow_mut().pass_to(turn.next);
    }
    assert_eq!(manifest(&world), (false, 0), "announced before its first object");
    process.finish(&world);
    assert_eq!(manifest(&world), (true, 1));
    // Within the same hour it comes back.
    let mut process = Process::start(&world, dir.path(), 2);
    world.borrow_mut().append(0, 5, 20);
    process.core.finish();
    process.turn_until_it_stores(&world);
    assert_eq!(manifest(&world), (false, 1));
    process.finish(&world);
    assert_eq!(manifest(&world), (true, 2));
    world.borrow().verify_manifests();
}

#[test]
fn an_object_that_misses_its_hour_is_made_anew_in_the_next() {
    let world = World::new(5);
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&world, dir.path(), 1);
    world.borrow_mut().append(0, 5, 20);
    world.borrow_mut().trouble.refuse = 1.0;
    let end = Hour::of(world.borrow().wall()).end();
    while world.borrow().wall() < end + Duration::from_secs(40) {
        let turn = process.turn(&world);
        world.borrow_mut().pass_to(turn.next);
    }
    assert!(matches!(process.core.health(), Health::Down(_)));
    process.finish(&world);
    let world = world.borrow();
    world.verify(true);
    let keys: Vec<_> = world.bucket.keys().filter(|key| key.starts_with("data/")).collect();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].contains("hour=10/"), "{keys:?}");
    assert_eq!(process.core.watch().figures.renamed, 1);
}

#[test]
fn without_the_right_to_read_nothing_is_lost() {
    let world = World::new(6);
    world.borrow_mut().blind = true;
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(&world, dir.path(), 1);
    world.borrow_mut().append(0, 5, 20);
    process.core.finish();
    process.turn_until_it_stores(&world);
    drop(process);
    world.borrow_mut().crash(true);
    // Within the hour the same name is written again.
    Process::start(&world, dir.path(), 2).finish(&world);
    world.borrow().verify(true);
    assert_eq!(world.borrow().objects(), 1);
}

#[test]
fn no_order_of_faults_crashes_and_hours_loses_or_repeats_a_record() {
    let rounds =
        std::env::var("MILLRUN_SHIP_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    for seed in 0..rounds {
        eprintln!("seed {seed}");
        let world = World::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
        world.borrow_mut().blind = seed % 5 == 4;
        let mut process = Process::start(&world, dir.path(), seed);
        for step in 0..400 {
            if random.u8(..) < 60 {
                let (stream, records) = (random.u16(..3), random.usize(1..20));
                world.borrow_mut().append(stream, records, 60);
            }
            if random.u8(..) < 20 {
                world.borrow_mut().trouble = Trouble {
                    refuse: if random.bool() { random.f64() } else { 0.0 },
                    lose: if random.bool() { random.f64() / 2.0 } else { 0.0 },
                    vanish: if random.u8(..) < 40 { 0.3 } else { 0.0 },
                    journal: if random.u8(..) < 40 { 0.3 } else { 0.0 },
                };
            }
            if random.u8(..) < 6 {
                drop(process);
                let applied = random.bool();
                world.borrow_mut().crash(applied);
                process = Process::start(&world, dir.path(), seed * 1000 + step);
            }
            let turn = process.turn(&world);
            let pause = match random.u8(..) {
                0..3 => Duration::from_secs(random.u64(1..4000)),
                3..30 => Duration::from_millis(random.u64(1..30_000)),
                _ => Duration::ZERO,
            };
            let mut world = world.borrow_mut();
            let next = turn.next.max(world.now + pause);
            world.pass_to(next);
        }
        process.finish(&world);
        // Past the hour, so that all of them are declared.
        let mut process = Process::start(&world, dir.path(), seed + 1);
        for _ in 0..200 {
            let turn = process.turn(&world);
            world.borrow_mut().pass_to(turn.next + Duration::from_mins(1));
        }
        let world = world.borrow();
        world.verify(!world.blind);
        world.verify_manifests();
    }
}
