//! The operating system's disk, the keeper's thread, and the offline commands.

use std::path::Path;
use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Origin, Source, StreamId, Wake};

use crate::journal::disk::OsDisk;
use crate::journal::{AppendError, Journal, OpenError, Options, SinkPlan, Writer, keeper, offline, open};
use crate::lane::LaneLimits;

pub fn options(dir: &Path) -> Options {
    let mut options = Options {
        dir: dir.to_path_buf(),
        bytes_max: 0,
        segment_bytes: 64 * 1024,
        spares_max: 2,
        batch_bytes_max: 8 * 1024,
        batch_records_max: 16,
        sinks: vec![SinkPlan { name: "main".into(), shards: 1 }],
    };
    options.bytes_max = 64 * options.bytes_min();
    options
}

fn batch(number: usize, records: usize) -> Batch {
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 8 * 1024, 16);
    for record in 0..records {
        let value = format!("{{\"batch\":{number},\"record\":{record}}}");
        let encode = |free: &mut [u8]| {
            free[..value.len()].copy_from_slice(value.as_bytes());
            Some((0, value.len()))
        };
        batch.append_with(encode).unwrap();
    }
    batch
}

/// Appends with patience: the keeper works at its own pace.
fn append(writer: &mut Writer<OsDisk>, batch: &Batch) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match writer.append(batch) {
            Ok(_) => break,
            Err(AppendError::NoRoom(_)) if Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    writer.sync().unwrap();
}

#[test]
fn a_journal_on_a_real_disk_from_the_first_batch_to_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/journal");
    let Journal { keeper, mut sinks, .. } = open(OsDisk, &options(&path), 1).unwrap();
    let mut sink = sinks.remove(0);
    let handle = keeper::thread::start(keeper).unwrap();
    let mut writer = Writer::new(OsDisk, sink.streams[0].clone(), 16);
    for number in 0..300 {
        append(&mut writer, &batch(number, 16));
    }
    let second = open(OsDisk, &options(&path), 1).unwrap_err();
    let me = std::process::id();
    assert!(matches!(second, OpenError::InUse { pid: Some(pid), .. } if pid == me), "{second}");
    assert_eq!(offline::holder(&path), Some(Some(me)));
    // A third is delivered.
    let (mut from, mut into) = (0, batch(0, 1));
    for number in 0..100 {
        from = sink.reader.read(StreamId(0), from, &mut into).unwrap().unwrap() + 1;
        assert!(into.records().eq(batch(number, 16).records()));
    }
    sink.reader.delivered_below(StreamId(0), from);
    handle.stop();
    assert_eq!(offline::holder(&path), None);

    let inventory = offline::take(&mut OsDisk, &path).unwrap();
    assert!(inventory.damage.is_empty(), "{:?}", inventory.damage);
    let totals = inventory.sinks[0].streams[0].totals();
    assert_eq!((totals.3, totals.4), (200, 200 * 16));
    assert!(offline::list_text(&inventory).contains("200 batches, 3200 records to deliver"));
    assert!(offline::verify_text(&inventory).contains(" 0 damages"));
    let mut out = Vec::new();
    let exported = offline::export(&mut OsDisk, &inventory, Some("main"), false, &mut out).unwrap();
    assert_eq!(exported.records, 3200);
    let lines: Vec<&str> = std::str::from_utf8(&out).unwrap().lines().collect();
    assert_eq!((lines[0], lines[3199]), ("{\"batch\":100,\"record\":0}", "{\"batch\":299,\"record\":15}"));

    replay_into_files(&path, dir.path());
    let inventory = offline::take(&mut OsDisk, &path).unwrap();
    assert_eq!(inventory.sinks[0].streams[0].totals().3, 0, "everything is marked delivered");
}

/// Delivers what is left into a file sink, and counts the lines.
fn replay_into_files(path: &Path, dir: &Path) {
    let mut plan = options(path);
    plan.sinks[0].shards = 0;
    let Journal { mut keeper, mut sinks, .. } = open(OsDisk, &plan, 1).unwrap();
    let events = dir.join("events");
    let file = millrun_sinks::file::Options {
        dir: events.clone(),
        compression: millrun_sinks::file::Compression::None,
        rotate_bytes: 1 << 20,
        rotate_age: Duration::from_mins(1),
        record_bytes_max: 8 * 1024,
    };
    let me = std::thread::current();
    let wake = Wake::new(move || me.unpark());
    let sink = millrun_sinks::file::open(&file, std::time::SystemTime::now, wake).unwrap();
    let limits = LaneLimits {
        lane: 0,
        shards: 1,
        slots: 1,
        retry_initial: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        breaker_failures: 5,
        breaker_open: Duration::from_millis(10),
        seed: 1,
    };
    let empty = offline::replay::batch(1, 1);
    let replayed = offline::replay::replay(&mut keeper, &mut sinks[0].reader, sink, limits, empty).unwrap();
    assert_eq!((replayed.batches, replayed.records), (200, 3200));
    assert_eq!(lines_below(&events), 3200);
}

fn lines_below(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let lines = |path: std::path::PathBuf| {
        if path.is_dir() {
            lines_below(&path)
        } else {
            std::fs::read_to_string(path).unwrap().lines().count()
        }
    };
    entries.map(lines).sum()
}
