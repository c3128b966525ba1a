//! The limit, a full disk, a failing one, and two engines on one directory.

use super::harness::Harness;
use super::options;
use super::sim::SimDisk;
use crate::journal::{AppendError, OpenError, Room, open};

/// Appends until there is no room, and says why.
fn fill(harness: &mut Harness) -> Room {
    for _ in 0..1000 {
        let appended = harness.append(0, 900).and_then(|()| harness.sync(0));
        harness.turn();
        match appended {
            Err(AppendError::NoRoom(room)) if room != Room::Available => return room,
            _ => {}
        }
    }
    panic!("it is never full");
}

#[test]
fn the_limit_is_reached_and_left_again_by_delivering() {
    let mut harness = Harness::new(SimDisk::new(1), options());
    for _ in 0..3 {
        assert_eq!(fill(&mut harness), Room::LimitReached);
        while harness.read(0, 10) > 0 {}
        harness.deliver(0, 0);
        assert!(harness.turn(), "there is room again");
        harness.append_again(0);
        harness.append(0, 900).unwrap();
        harness.sync(0).unwrap();
    }
    harness.end();
}

#[test]
fn a_full_or_failing_disk_is_a_state_that_ends_by_itself() {
    for (errno, room) in [
        (libc::ENOSPC, Room::DiskFull),
        (libc::EDQUOT, Room::DiskFull),
        (libc::EIO, Room::DiskFailed),
        (libc::EROFS, Room::DiskFailed),
    ] {
        let mut harness = Harness::new(SimDisk::new(1), options());
        for _ in 0..5 {
            harness.append(0, 900).unwrap();
            harness.sync(0).unwrap();
            harness.turn();
        }
        harness.disk.set_lasting(Some(errno));
        assert_eq!(fill(&mut harness), room);
        assert!(harness.read(0, 3) > 0, "what is durable is delivered all the same");
        harness.disk.set_lasting(None);
        assert!(harness.turn());
        harness.append_again(0);
        harness.append(0, 900).unwrap();
        harness.sync(0).unwrap();
        harness.end();
    }
}

#[test]
fn a_restart_on_a_full_disk_delivers_and_so_makes_room() {
    let mut harness = Harness::new(SimDisk::new(1), options());
    harness.disk.set_space(90_000);
    assert_eq!(fill(&mut harness), Room::DiskFull);
    harness.crash(false);
    while harness.read(0, 10) > 0 {}
    harness.deliver(0, 0);
    harness.turn();
    assert!(harness.turn());
    harness.append(0, 900).unwrap();
    harness.sync(0).unwrap();
    harness.end();
}

#[test]
fn the_second_engine_is_refused_by_name_and_too_small_a_limit_by_number() {
    let disk = SimDisk::new(1);
    let harness = Harness::new(disk.clone(), options());
    let error = open(disk.clone(), &options(), 1).unwrap_err();
    assert!(matches!(error, OpenError::InUse { pid: Some(4711), .. }), "{error}");
    assert!(error.to_string().contains("in use by the process 4711"), "{error}");
    drop(harness);
    let mut small = options();
    small.bytes_max = small.bytes_min() - 1;
    let error = open(disk.clone(), &small, 1).unwrap_err();
    assert!(error.to_string().contains("journal.bytes_max"), "{error}");
    small.sinks[0].name = "../x".into();
    small.bytes_max = u64::MAX / 2;
    assert!(matches!(open(disk, &small, 1), Err(OpenError::BadName(_))));
}
