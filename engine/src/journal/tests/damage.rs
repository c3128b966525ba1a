//! Damage costs what is damaged and nothing else.

use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Origin, Source, StreamId};

use super::options;
use super::sim::{SimDisk, Trouble};
use crate::journal::disk::Disk;
use crate::journal::format::sequences_end;
use crate::journal::{Journal, Reader, SinkJournal, Writer, layout, offline, open};

const STREAM: StreamId = StreamId(0);

fn batch() -> Batch {
    Batch::new(Origin { shard: 0, slot: 0 }, 1500, 8)
}

fn text(number: usize) -> String {
    format!("{{\"n\":{number},\"p\":\"{}\"}}", "x".repeat(500))
}

fn append<D: Disk>(writer: &mut Writer<D>, number: usize) -> u64 {
    let mut batch = batch();
    let text = text(number);
    batch
        .append_with(|free| {
            free[..text.len()].copy_from_slice(text.as_bytes());
            Some((0, text.len()))
        })
        .unwrap();
    let sequence = writer.append(&batch).unwrap();
    writer.sync().unwrap();
    sequence
}

fn start(disk: &SimDisk) -> (crate::journal::Keeper<SimDisk>, Writer<SimDisk>, Reader<SimDisk>) {
    let Journal { keeper, mut sinks, .. } = open(disk.clone(), &options(), 7).unwrap();
    let SinkJournal { streams, reader } = sinks.remove(0);
    (keeper, Writer::new(disk.clone(), streams[0].clone(), 8), reader)
}

/// What is read from the beginning: the numbers of the texts.
fn read_all(reader: &mut Reader<SimDisk>) -> Vec<usize> {
    let (mut batch, mut from, mut numbers) = (batch(), 0, Vec::new());
    while let Some(sequence) = reader.read(STREAM, from, &mut batch).unwrap() {
        from = sequence + 1;
        let value = std::str::from_utf8(batch.record(0).value).unwrap();
        let number = value[5..].split(',').next().unwrap().parse().unwrap();
        assert_eq!(value, text(number), "what is read is what was written");
        numbers.push(number);
    }
    numbers
}

fn segment_path(first: u64) -> PathBuf {
    layout::segment(Path::new("/data/journal/main/0000"), first)
}

fn quarantined(disk: &SimDisk) -> Vec<Vec<u8>> {
    let files = disk.files().into_iter();
    files.filter(|(path, _)| path.starts_with("/data/journal/main/quarantine")).map(|file| file.1).collect()
}

fn damages(disk: &SimDisk) -> usize {
    offline::take(&mut disk.clone(), Path::new("/data/journal")).unwrap().damage.len()
}

/// A journal of so many batches of 640 bytes in one segment or two, and its disk.
fn written(batches: usize) -> (SimDisk, Vec<u64>) {
    let disk = SimDisk::new(1);
    let (mut keeper, mut writer, _reader) = start(&disk);
    let mut numbers = Vec::new();
    for number in 0..batches {
        keeper.turn();
        numbers.push(append(&mut writer, number));
    }
    keeper.turn();
    disk.kill();
    (disk, numbers)
}

#[test]
fn a_flipped_bit_anywhere_in_a_frame_costs_that_frame() {
    let (disk, _) = written(5);
    let path = segment_path(0);
    let whole = disk.tamper(&path, |bytes| bytes.clone());
    // The third frame: header, index, payload.
    let frame = 4096 + 2 * 640;
    for at in (frame..frame + 72).chain((frame + 72..frame + 580).step_by(37)) {
        for bit in [0, 7] {
            disk.tamper(&path, |bytes| {
                bytes.clone_from(&whole);
                bytes[at] ^= 1 << bit;
            });
            assert_eq!(damages(&disk), 1, "byte {at}");
            let (_keeper, _writer, mut reader) = start(&disk);
            assert_eq!(read_all(&mut reader), [0, 1, 3, 4], "byte {at}");
            assert_eq!(reader.figures().batches_damaged.get(), 1, "byte {at}");
            let mut frame_bytes = whole[frame..frame + 640].to_vec();
            frame_bytes[at - frame] ^= 1 << bit;
            assert_eq!(quarantined(&disk), [frame_bytes], "its bytes are set aside");
            assert_eq!(read_all(&mut reader), [0, 1, 3, 4], "reading again reports nothing again");
            assert_eq!(reader.figures().batches_damaged.get(), 1, "byte {at}");
            disk.kill();
            for (path, _) in disk.files() {
                let keep = path == segment_path(0) || path.ends_with(layout::LOCK);
                if !keep {
                    disk.put(&path, None);
                }
            }
        }
    }
}

#[test]
fn a_damaged_segment_header_costs_nothing() {
    let (disk, _) = written(5);
    for at in [0, 9, 20, 30, 62] {
        disk.tamper(&segment_path(0), |bytes| bytes[at] ^= 1);
        assert_eq!(damages(&disk), 1);
        let (keeper, _writer, mut reader) = start(&disk);
        assert_eq!(keeper.found().next().unwrap().damaged_headers, 1);
        assert_eq!(read_all(&mut reader), [0, 1, 2, 3, 4]);
        drop(keeper);
        disk.tamper(&segment_path(0), |bytes| bytes[at] ^= 1);
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_is_no_damage() {
    let (disk, _) = written(3);
    let path = segment_path(0);
    let whole = disk.tamper(&path, |bytes| bytes.clone());
    let (last, end) = (4096 + 2 * 640, 4096 + 2 * 640 + 72 + text(0).len() + 1);
    // Zeros, what an earlier use of the file left (older frames of another segment), and the end of the file.
    let stale = whole[4096..4096 + 640].repeat(8);
    for cut in (last..end).step_by(7).chain(last..last + 72) {
        for tail in 0..3 {
            disk.tamper(&path, |bytes| {
                bytes.clone_from(&whole);
                match tail {
                    0 => bytes[cut..].fill(0),
                    1 => {
                        let len = bytes.len();
                        bytes[cut..].copy_from_slice(&stale[..len - cut]);
                    }
                    _ => bytes.truncate(cut),
                }
            });
            assert_eq!(damages(&disk), 0, "cut at {cut}");
            let (_keeper, _writer, mut reader) = start(&disk);
            assert_eq!(read_all(&mut reader), [0, 1], "cut at {cut}");
            assert_eq!(reader.figures().batches_damaged.get(), 0);
        }
    }
}

#[test]
fn a_write_that_lied_or_went_astray_costs_what_it_hit() {
    for trouble in [Trouble::Lost, Trouble::Misdirected] {
        for at in 0..2 {
            let disk = SimDisk::new(3);
            let (_keeper, mut writer, mut reader) = start(&disk);
            append(&mut writer, 0);
            append(&mut writer, 1);
            disk.plan(at, trouble);
            append(&mut writer, 2);
            append(&mut writer, 3);
            let read = read_all(&mut reader);
            assert!(!read.contains(&2) && read.len() >= 2, "{trouble:?} {read:?}");
            assert_eq!(reader.figures().batches_damaged.get(), 4 - read.len() as u64);
            // And so after a restart.
            disk.kill();
            let (_keeper, _writer, mut reader) = start(&disk);
            assert_eq!(read_all(&mut reader), read);
        }
    }
}

#[test]
fn files_that_are_missing_empty_foreign_or_there_twice_stop_nothing() {
    let (disk, numbers) = written(20);
    let firsts: Vec<u64> = {
        let mut firsts: Vec<u64> = numbers.iter().map(|number| number - number % sequences_end(0)).collect();
        firsts.dedup();
        firsts
    };
    assert!(firsts.len() >= 3, "{firsts:x?}");
    let dir = Path::new("/data/journal/main/0000");
    let copy = disk.tamper(&segment_path(firsts[2]), |bytes| bytes.clone());
    disk.put(&segment_path(firsts[1]), None);
    disk.put(&segment_path(0x7700_0000), Some(&[]));
    disk.put(&segment_path(0x7800_0000), Some(&copy));
    disk.put(&dir.join("0000000001000000.seg.bak"), Some(&copy));
    disk.put(&dir.join("notes.txt"), Some(b"hello"));
    disk.put(&dir.join("delivered"), Some(&[0xff; 100]));
    disk.put(Path::new("/data/journal/retired-sink/0000/delivered"), Some(&[]));
    assert!(damages(&disk) >= 1);
    let (keeper, mut writer, mut reader) = start(&disk);
    let found = keeper.found().next().unwrap().clone();
    assert_eq!(found.missing_segments, 1, "{found:?}");
    assert_eq!(found.foreign, ["0000000001000000.seg.bak", "notes.txt"]);
    assert_eq!(found.next_sequence, 0x7900_0000, "behind everything that has a name");
    let expected: Vec<usize> = (0..20)
        .filter(|number| numbers[*number] - numbers[*number] % sequences_end(0) != firsts[1])
        .collect();
    assert_eq!(read_all(&mut reader), expected);
    append(&mut writer, 99);
    assert_eq!(read_all(&mut reader).last(), Some(&99));
}

#[test]
fn a_later_version_is_left_alone_and_the_rest_goes_on() {
    let (disk, _) = written(3);
    let before = disk.tamper(&segment_path(0), |bytes| {
        let mut header: [u8; 64] = bytes[..64].try_into().unwrap();
        header[8] = 2;
        let crc = crc32c::crc32c(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        bytes[..64].copy_from_slice(&header);
        bytes.clone()
    });
    let (mut keeper, mut writer, mut reader) = start(&disk);
    let sequence = append(&mut writer, 9);
    let error = reader.read(STREAM, 0, &mut batch()).unwrap_err().to_string();
    assert!(error.contains("format version 2"), "{error}");
    assert_eq!(reader.read(STREAM, sequence, &mut batch()).unwrap(), Some(sequence), "what is behind it");
    for _ in 0..20 {
        assert!(reader.read(STREAM, 0, &mut batch()).is_err(), "it is never taken for damage");
        keeper.turn();
    }
    assert_eq!(disk.tamper(&segment_path(0), |bytes| bytes.clone()), before);
}

#[test]
fn a_note_is_replaced_whole_and_a_damaged_one_is_none() {
    let disk = SimDisk::new(1);
    let (_keeper, _writer, mut reader) = start(&disk);
    assert_eq!(reader.read_note().unwrap(), b"");
    reader.write_note(b"first").unwrap();
    for after in 0..8 {
        disk.plan(after, if after % 2 == 0 { Trouble::Io } else { Trouble::NoSpace });
        let result = reader.write_note(b"second");
        disk.cancel();
        let note = reader.read_note().unwrap();
        assert!(note == b"second" || (result.is_err() && note == b"first"), "{result:?} {note:?}");
        reader.write_note(b"first").unwrap();
    }
    assert!(reader.write_note(&vec![0; 64 * 1024 + 1]).is_err());
    disk.tamper(Path::new("/data/journal/main/note"), |bytes| bytes[18] ^= 1);
    assert_eq!(reader.read_note().unwrap(), b"");
}
