//! How fast the journal is read, first from the disk (the page cache is told to forget the segments by `dd`), then from
//! the page cache: `cargo run --release --example journal_speed -- DIR`, with a directory on the disk
//! that is measured. Takes 600 MB of it and removes them again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use millrun::journal::disk::OsDisk;
use millrun::journal::{self, Journal, Options, SinkPlan, Writer};
use millrun_sinks::{Batch, Origin, Source, StreamId};

const BYTES: usize = 512 << 20;
const RECORD_BYTES: usize = 1000;
const RECORDS_MAX: usize = 512;

fn main() {
    let parent = std::env::args().nth(1).expect("name a directory");
    for arena_bytes in [2 * 1024, 16 * 1024, 64 * 1024, 256 * 1024] {
        let dir = tempfile::tempdir_in(&parent).expect("the directory can be written");
        measure(dir.path().join("journal"), arena_bytes);
    }
}

fn measure(dir: PathBuf, arena_bytes: usize) {
    let options = Options {
        dir,
        bytes_max: 4 << 30,
        segment_bytes: 64 << 20,
        spares_max: 1,
        batch_bytes_max: arena_bytes,
        batch_records_max: RECORDS_MAX,
        sinks: vec![SinkPlan { name: "main".into(), shards: 1 }],
    };
    let Journal { keeper, mut sinks, .. } = journal::open(OsDisk, &options, 1).expect("it opens");
    let mut sink = sinks.remove(0);
    let keeper = journal::keeper::thread::start(keeper).expect("there is a thread");
    let mut writer = Writer::new(OsDisk, sink.streams[0].clone(), RECORDS_MAX);
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, arena_bytes, RECORDS_MAX);
    let encode = |free: &mut [u8]| {
        let place = free.get_mut(..RECORD_BYTES)?;
        place.fill(b'x');
        Some((0, RECORD_BYTES))
    };
    while batch.append_with(encode).is_ok() {}
    for _ in 0..BYTES / batch.used_bytes() {
        while writer.append(&batch).is_err() {
            std::thread::yield_now();
        }
    }
    writer.sync().expect("it is written");
    let stream_dir = options.dir.join("main/0000");
    for from_disk in [true, false] {
        if from_disk {
            forget(&stream_dir);
        }
        let (start, mut from, mut read) = (Instant::now(), 0, 0_u128);
        while let Some(sequence) = sink.reader.read(StreamId(0), from, &mut batch).expect("it is read") {
            from = sequence + 1;
            read += batch.used_bytes() as u128;
        }
        let speed = read / start.elapsed().as_micros();
        println!("arenas of {arena_bytes} bytes, from the disk: {from_disk}: {read} bytes at {speed} MB/s");
    }
    keeper.stop();
}

/// Takes the segments out of the page cache.
fn forget(stream_dir: &Path) {
    for entry in std::fs::read_dir(stream_dir).expect("it is there") {
        let path = entry.expect("it is there").path();
        let input = format!("if={}", path.display());
        let dd = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status();
        assert!(dd.expect("dd is there").success());
    }
}
