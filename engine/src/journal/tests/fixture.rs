//! A journal of format version 1, as it was written once: every later version of this program has to read it.
//! `data/v1` is never written again.

use std::fs;
use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Origin, Source, StreamId};

use crate::journal::disk::OsDisk;
use crate::journal::format::sequences_end;
use crate::journal::{Journal, Options, SinkPlan, Writer, offline, open};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal/tests/data/v1")
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_path_buf(),
        bytes_max: 10 << 20,
        segment_bytes: 8192,
        spares_max: 0,
        batch_bytes_max: 1024,
        batch_records_max: 8,
        sinks: vec![SinkPlan { name: "main".into(), shards: 2 }],
    }
}

/// Record `record` of batch `batch` of a stream: key and value.
fn record(stream: u16, batch: usize, record: usize) -> (String, String) {
    let key = if stream == 1 { format!("app-{record}") } else { String::new() };
    (key, format!("{{\"batch\":{batch},\"record\":{record},\"pad\":\"{}\"}}", "-".repeat(150)))
}

fn fill(into: &mut Batch, stream: u16, number: usize) {
    into.clear();
    for index in 0..3 {
        let (key, value) = record(stream, number, index);
        let both = key.clone() + &value;
        let encode = |free: &mut [u8]| {
            free[..both.len()].copy_from_slice(both.as_bytes());
            Some((key.len(), value.len()))
        };
        into.append_with(encode).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_journal_of_version_1_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    copy(&data(), &path);
    let inventory = offline::take(&mut OsDisk, &path).unwrap();
    assert!(inventory.damage.is_empty(), "{:?}", inventory.damage);
    let Journal { mut sinks, found, keeper: _keeper } = open(OsDisk, &options(&path), 1).unwrap();
    let mut sink = sinks.remove(0);
    assert_eq!(sink.reader.read_note().unwrap(), b"the plan of the next object");
    let torn: u64 = found.streams.iter().map(|stream| stream.torn_batches).sum();
    assert_eq!(torn, 1, "the last batch of stream 1 was cut");
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 1024, 8);
    let mut expected = Batch::new(Origin { shard: 0, slot: 0 }, 1024, 8);
    // Of stream 0 the first three batches are delivered, of stream 1 the last one is torn.
    for (stream, batches) in [(0, 3..10), (1, 0..4)] {
        let mut from = sink.reader.delivered(StreamId(stream));
        for number in batches {
            let sequence = sink.reader.read(StreamId(stream), from, &mut batch).unwrap().unwrap();
            fill(&mut expected, stream, number);
            assert!(batch.records().eq(expected.records()), "stream {stream}, batch {number}");
            from = sequence + 1;
        }
        assert_eq!(sink.reader.read(StreamId(stream), from, &mut batch).unwrap(), None);
        let mut writer = Writer::new(OsDisk, sink.streams[usize::from(stream)].clone(), 8);
        let sequence = writer.append(&expected).unwrap();
        assert!(sequence >= from && sequence.is_multiple_of(sequences_end(0)), "a new number");
        writer.sync().unwrap();
        assert_eq!(sink.reader.read(StreamId(stream), from, &mut batch).unwrap(), Some(sequence));
    }
}

/// How the fixture was made. A new format version gets a new directory and a new test.
#[test]
#[ignore = "the fixture is frozen"]
fn write_the_fixture() {
    assert!(!data().exists(), "it is written once");
    let Journal { mut keeper, mut sinks, .. } = open(OsDisk, &options(&data()), 1).unwrap();
    let mut sink = sinks.remove(0);
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 1024, 8);
    for (stream, batches) in [(0, 10), (1, 5)] {
        let mut writer = Writer::new(OsDisk, sink.streams[usize::from(stream)].clone(), 8);
        for number in 0..batches {
            fill(&mut batch, stream, number);
            writer.append(&batch).unwrap();
            writer.sync().unwrap();
            keeper.turn();
        }
    }
    let mut from = 0;
    for _ in 0..3 {
        from = sink.reader.read(StreamId(0), from, &mut batch).unwrap().unwrap() + 1;
    }
    sink.reader.delivered_below(StreamId(0), from);
    sink.reader.write_note(b"the plan of the next object").unwrap();
    keeper.turn();
    keeper.close();
    drop(keeper);
    fs::remove_file(data().join("lock")).unwrap();
    // The end of the last batch of stream 1 never reached the disk.
    let path = data().join("main/0001/0000000000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used - 99..].fill(0);
    fs::write(&path, bytes).unwrap();
}
