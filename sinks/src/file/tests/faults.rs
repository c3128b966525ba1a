//! Single faults with their exact outcome: delivery, health, and what lies on the disk afterwards.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::harness::Harness;
use super::model::{ModelDisk, Op, Trouble};
use super::{BOTH, Compression, Options, options};
use crate::{Fate, FaultKind, Health, Retry, Sink, Whose};

fn harness(compression: Compression) -> Harness {
    Harness::new(ModelDisk::new(7), options("/data/events", compression))
}

fn gauge(harness: &Harness, name: &str) -> u64 {
    let mut found = None;
    harness.sink.gauges(&mut |gauge| {
        if gauge.name == name {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let value = gauge.value as u64;
            found = Some(value);
        }
    });
    found.expect("there is such a gauge")
}

#[test]
fn a_full_disk_fails_the_batch_and_ends_by_itself() {
    for compression in BOTH {
        let mut harness = harness(compression);
        harness.deliver();
        harness.disk.set_lasting(Some((Op::Append, ErrorKind::StorageFull)));
        for _ in 0..3 {
            harness.submit(2, None);
            for fault in harness.poll() {
                assert_eq!(fault.kind, FaultKind::StorageFull);
                assert_eq!(
                    (fault.whose, fault.retry, fault.fate),
                    (Whose::Operator, Retry::Yes, Fate::NotStored)
                );
            }
            let Health::Down(text) = harness.sink.health() else { panic!("a full disk is an outage") };
            assert!(text.contains("/data/events/year=") && text.contains("no storage space"), "{text}");
        }
        // What was good is complete already, and nothing else is there.
        assert_eq!(harness.disk.files().len(), 1, "{:?}", harness.disk.files());
        harness.audit();
        harness.disk.set_lasting(None);
        harness.retry();
        assert_eq!(harness.poll(), []);
        assert_eq!(harness.sink.health(), Health::Up);
        harness.end();
    }
}

#[test]
fn after_a_failed_fsync_the_fate_is_unknown_and_the_file_takes_no_more() {
    for compression in BOTH {
        let mut harness = harness(compression);
        harness.deliver();
        harness.disk.plan(1, Trouble::Io);
        harness.submit(2, None);
        let faults = harness.poll();
        assert_eq!(faults.len(), 2);
        assert!(
            faults.iter().all(|fault| fault.kind == FaultKind::StorageFailed && fault.fate == Fate::Unknown)
        );
        // The cut worked, so the file was completed with what was good.
        assert_eq!(harness.disk.files().len(), 1);
        harness.audit();
        harness.deliver();
        assert_eq!(harness.disk.files().len(), 2, "a fresh file");
        harness.end();
    }
}

#[test]
fn a_half_written_group_that_cannot_be_cut_is_unknown() {
    let mut harness = harness(Compression::None);
    harness.deliver();
    harness.disk.plan(0, Trouble::Short);
    harness.disk.plan(1, Trouble::NoSpace);
    harness.disk.set_lasting(Some((Op::Truncate, ErrorKind::Other)));
    harness.submit(9, None);
    let faults = harness.poll();
    assert!(faults.iter().all(|fault| fault.fate == Fate::Unknown), "{faults:?}");
    assert_eq!(gauge(&harness, "files_unfinished"), 1);
    harness.disk.set_lasting(None);
    harness.deliver();
    // It is completed later, without a record and without a restart.
    for _ in 0..2 {
        // First the current file's hour ends.
        let due = harness.sink.next_poll().expect("there is something to mend");
        harness.advance(due - harness.now());
        harness.poll();
    }
    assert_eq!(gauge(&harness, "files_unfinished"), 0);
    harness.end();
}

#[test]
fn a_rename_that_fails_is_tried_again_and_loses_nothing() {
    let mut harness =
        Harness::new(ModelDisk::new(7), Options { rotate_bytes: 1, ..options("/data", Compression::None) });
    harness.disk.set_lasting(Some((Op::Rename, ErrorKind::StorageFull)));
    // More files than the sink keeps open: the others are left to recovery.
    for _ in 0..20 {
        harness.submit(1, None);
        assert_eq!(harness.poll(), [], "the records are safe all the same");
    }
    assert_eq!(gauge(&harness, "files_unfinished"), 16);
    assert_eq!(harness.sink.health(), Health::Up, "what is written is stored: requests need not be refused");
    harness.disk.set_lasting(None);
    harness.end();
}

#[test]
fn an_idle_file_is_completed_when_its_time_is_over() {
    let mut harness = harness(Compression::None);
    assert_eq!(harness.sink.next_poll(), None, "nothing to do");
    harness.deliver();
    let due = harness.sink.next_poll().expect("the file must be completed some time");
    assert!(due - harness.now() <= Duration::from_mins(10));
    harness.advance(due - harness.now());
    harness.poll();
    assert_eq!(harness.sink.next_poll(), None);
    harness.audit();
    harness.end();
}

#[test]
fn files_change_with_the_hour_and_lie_in_their_hour() {
    let mut harness = Harness::new(
        ModelDisk::new(7),
        Options { rotate_age: Duration::MAX / 4, ..options("/d", super::GZIP) },
    );
    for _ in 0..3 {
        harness.deliver();
        harness.advance(Duration::from_hours(1));
    }
    harness.poll();
    let mut hours: Vec<_> =
        harness.disk.files().iter().map(|(path, _)| path.parent().unwrap().to_path_buf()).collect();
    hours.dedup();
    let hour = |hour| Path::new("/d/year=2026/month=11/day=23").join(format!("hour={hour}"));
    assert_eq!(hours, [hour("09"), hour("10"), hour("11")]);
    harness.end();
}

#[test]
fn one_fsync_serves_everything_queued() {
    let mut harness = harness(Compression::None);
    for _ in 0..64 {
        harness.submit(3, None);
    }
    assert_eq!(harness.poll(), []);
    assert_eq!(gauge(&harness, "file_fsyncs_total"), 1);
    harness.submit(0, None);
    harness.poll();
    assert_eq!(gauge(&harness, "file_fsyncs_total"), 1, "nothing to store needs no fsync");
    harness.end();
}

#[test]
fn an_unreadable_leftover_is_moved_aside_and_the_sink_works() {
    let disk = ModelDisk::new(7);
    let hour = Path::new("/data/events/year=2026/month=11/day=23/hour=08");
    disk.put(&hour.join(".a.ndjson.open"), b"{}\n");
    disk.set_lasting(Some((Op::Read, ErrorKind::Other)));
    let mut harness = Harness::new(disk, options("/data/events", Compression::None));
    assert_eq!(gauge(&harness, "files_corrupt_total"), 1);
    assert!(harness.disk.files().iter().any(|(path, _)| *path == hour.join(".a.ndjson.corrupt")));
    harness.deliver();
}

#[test]
fn a_recovery_that_fails_is_tried_again_and_no_outage() {
    for op in [Op::List, Op::Open, Op::Truncate, Op::Overwrite, Op::Sync, Op::Rename] {
        let mut first = harness(Compression::None);
        first.deliver();
        first.disk.kill_process();
        first.disk.set_lasting(Some((op, ErrorKind::PermissionDenied)));
        first.crash(false);
        assert!(!matches!(first.sink.health(), Health::Down(_)), "{op:?}");
        first.disk.set_lasting(None);
        first.poll();
        let due = first.sink.next_poll().expect("recovery is tried again");
        first.advance(due - first.now());
        first.poll();
        first.audit();
        assert_eq!(gauge(&first, "files_recovered_total"), 1, "{op:?}");
        first.end();
    }
}

#[test]
fn what_comes_after_the_deadline_of_close_is_settled_as_closing() {
    let mut harness = harness(Compression::None);
    harness.deliver();
    harness.submit(2, None);
    let now = harness.now();
    harness.sink.close(now, now);
    assert!(harness.poll().iter().all(|fault| fault.kind == FaultKind::Closing));
    assert!(harness.sink.is_idle());
    harness.audit();
}
