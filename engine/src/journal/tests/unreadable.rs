//! Sectors that can't be read any more: tried again, then taken for damage, and the segment is kept.

use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Origin, Source, StreamId};

use super::options;
use super::sim::{SimDisk, SimFile};
use crate::journal::{Journal, Keeper, Options, Reader, Room, ShardStream, Writer, layout, open};

const STREAM: StreamId = StreamId(0);
/// A frame of [`append`].
const FRAME: usize = 640;

fn large_segments() -> Options {
    let mut options = options();
    options.segment_bytes = 32_768;
    options.bytes_max = options.bytes_min() + 4 * options.segment_size();
    options
}

struct Life {
    keeper: Keeper<SimDisk>,
    writer: Writer<SimDisk>,
    reader: Reader<SimDisk>,
    stream: ShardStream<SimFile>,
}

fn start(disk: &SimDisk) -> Life {
    let Journal { keeper, mut sinks, .. } = open(disk.clone(), &large_segments(), 7).unwrap();
    let sink = sinks.remove(0);
    let stream = sink.streams[0].clone();
    Life { keeper, writer: Writer::new(disk.clone(), stream.clone(), 8), reader: sink.reader, stream }
}

fn batch() -> Batch {
    Batch::new(Origin { shard: 0, slot: 0 }, 1500, 8)
}

fn append(life: &mut Life, number: usize) {
    let (mut batch, text) = (batch(), format!("{number:0520}"));
    batch
        .append_with(|free| {
            free[..text.len()].copy_from_slice(text.as_bytes());
            Some((0, text.len()))
        })
        .unwrap();
    life.keeper.turn();
    life.writer.append(&batch).unwrap();
    life.writer.sync().unwrap();
}

/// Reads and delivers everything; returns the numbers and how many reads failed.
fn deliver_all(life: &mut Life) -> (Vec<usize>, usize) {
    let (mut batch, mut from, mut numbers, mut failures) = (batch(), 0, Vec::new(), 0);
    while failures < 100 {
        match life.reader.read(STREAM, from, &mut batch) {
            Ok(Some(sequence)) => {
                from = sequence + 1;
                numbers.push(std::str::from_utf8(batch.record(0).value).unwrap().parse().unwrap());
                life.reader.delivered_below(STREAM, from);
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().contains("/0000"), "{error}");
                failures += 1;
            }
        }
    }
    life.keeper.turn();
    (numbers, failures)
}

fn first_segment() -> PathBuf {
    layout::segment(Path::new("/data/journal/main/0000"), 0)
}

fn quarantined(disk: &SimDisk, end: &str) -> Vec<usize> {
    let kept = |path: &Path| {
        path.starts_with("/data/journal/main/quarantine") && path.to_string_lossy().ends_with(end)
    };
    disk.files().iter().filter(|(path, _)| kept(path)).map(|(_, bytes)| bytes.len()).collect()
}

/// Which batches a broken page reaches into.
fn is_hit(number: usize, bytes: &std::ops::Range<usize>) -> bool {
    let at = 4096 + number * FRAME;
    at < bytes.end && bytes.start < at + FRAME
}

#[test]
fn a_page_that_cant_be_read_costs_its_batches_and_the_segment_is_kept() {
    for restart in [false, true] {
        let disk = SimDisk::new(1);
        let mut life = start(&disk);
        (0..60).for_each(|number| append(&mut life, number));
        let page = 8192..12_288;
        disk.break_sectors(&first_segment(), page.clone());
        if restart {
            drop(life);
            disk.kill();
            life = start(&disk);
        }
        let (numbers, failures) = deliver_all(&mut life);
        let expected: Vec<usize> =
            (0..60).filter(|number| *number >= 44 || !is_hit(*number, &page)).collect();
        assert_eq!(numbers, expected, "restart: {restart}");
        let lost = (60 - expected.len()) as u64;
        assert!(lost == 7 && (8..=24).contains(&failures), "{lost} {failures}");
        assert_eq!(life.reader.figures().batches_damaged.get(), lost);
        assert_eq!(quarantined(&disk, ".bad").len(), 1, "what could be read of it");
        assert_eq!(quarantined(&disk, ".seg"), [32_768], "another day the disk may give the rest");
        // What is in the quarantine is still counted, and the stream goes on.
        let files: usize = disk.files().iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(life.keeper.budget().used_bytes() >= files as u64);
        append(&mut life, 60);
        assert_eq!(deliver_all(&mut life), (vec![60], 0));
    }
}

#[test]
fn a_segment_of_which_nothing_can_be_read_is_kept_and_the_rest_goes_on() {
    for restart in [false, true] {
        let disk = SimDisk::new(1);
        let mut life = start(&disk);
        (0..60).for_each(|number| append(&mut life, number));
        disk.break_sectors(&first_segment(), 0..32_768);
        if restart {
            drop(life);
            disk.kill();
            life = start(&disk);
        }
        for _ in 0..10 {
            life.keeper.turn();
        }
        let (numbers, _) = deliver_all(&mut life);
        assert_eq!(numbers, (44..60).collect::<Vec<_>>(), "restart: {restart}");
        assert_eq!(life.reader.figures().batches_damaged.get(), 44);
        assert_eq!(quarantined(&disk, ".seg"), [32_768]);
        append(&mut life, 60);
        assert_eq!(deliver_all(&mut life), (vec![60], 0));
    }
}

#[test]
fn a_segment_that_cant_be_retired_is_no_lack_of_room() {
    let disk = SimDisk::new(1);
    let mut life = start(&disk);
    (0..60).for_each(|number| append(&mut life, number));
    disk.set_lasting(Some(libc::EIO));
    deliver_all(&mut life);
    assert!(life.keeper.figures().disk_failures.get() > 0);
    assert_eq!(life.stream.feed.room(), Room::Available, "the next segment is there");
}

#[test]
fn a_last_segment_that_cant_be_read_holds_up_the_start_of_its_stream_only_for_a_while() {
    let disk = SimDisk::new(1);
    let mut life = start(&disk);
    (0..10).for_each(|number| append(&mut life, number));
    disk.break_sectors(&first_segment(), 4096..8192);
    drop(life);
    disk.kill();
    let mut life = start(&disk);
    assert_eq!(life.keeper.unrecovered().count(), 1, "its state is not known yet");
    for _ in 0..10 {
        life.keeper.turn();
    }
    assert_eq!(life.keeper.unrecovered().count(), 0);
    append(&mut life, 10);
    let (numbers, _) = deliver_all(&mut life);
    assert_eq!(numbers, [7, 8, 9, 10]);
    assert_eq!(life.reader.figures().batches_damaged.get(), 7);
}
