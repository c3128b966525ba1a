//! Against files that fail as disks do: `/dev/null` takes every write and refuses fdatasync, `/dev/full` refuses writes.

use std::path::Path;
use std::sync::Arc;

use millrun_sinks::Origin;

use super::*;
use crate::journal::{KeeperWake, ReadySegment, Segment, SegmentFeed, StreamMarks};
use crate::shard::driver;

const SEGMENT_BYTES: u64 = 4096 + 2048;

/// A keeper that has these segments, one after the other.
struct Segments {
    stream: ShardStream<StdFile>,
    next: u64,
}

impl Segments {
    fn new() -> Self {
        let marks = Arc::new(StreamMarks::default());
        marks.recovered(0, 0);
        Self {
            stream: ShardStream { marks, feed: Arc::new(SegmentFeed::new(KeeperWake::default())) },
            next: 0,
        }
    }

    fn offer(&mut self, path: &Path) {
        let file = StdFile::options().read(true).write(true).open(path).unwrap();
        let segment = Segment { id: 7, first_sequence: self.next, bytes: SEGMENT_BYTES };
        self.next += 1 << 24;
        self.stream.feed.offer(ReadySegment { segment, file }).unwrap();
    }

    /// Nothing more is to be had.
    fn close(&self, room: Room) {
        self.stream.feed.set_room(room);
    }

    fn abandoned(&self) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| self.stream.feed.next_abandoned())
            .map(|abandoned| (abandoned.first_sequence, abandoned.empty))
            .collect()
    }
}

fn sealed(slot: u16, bytes: usize) -> Sealed {
    let mut batch = Batch::new(Origin { shard: 0, slot }, 2000, 4);
    let append = |free: &mut [u8]| {
        free[..bytes].fill(b'a' + u8::try_from(slot).unwrap());
        Some((0, bytes))
    };
    batch.append_with(append).unwrap();
    let now = Instant::now();
    Sealed { batch, sealed_at: now, deadline: now, patient: false }
}

/// What became of each, in the order in which it was said.
fn commit(writer: &mut Writer, group: Vec<Sealed>, then: impl FnMut(u16)) -> Vec<(u16, Delivery)> {
    let mut then = then;
    let mut settled = Vec::new();
    writer.waiting.extend(group);
    driver::io_uring_runtime().unwrap().block_on(writer.commit(&mut |batch, delivery| {
        then(batch.origin().slot);
        settled.push((batch.origin().slot, delivery));
    }));
    assert!(writer.waiting.is_empty() && writer.written.is_empty(), "nothing is forgotten");
    settled
}

fn writer(segments: &Segments) -> Writer {
    Writer::new(segments.stream.clone(), 4, 4)
}

fn rings() -> bool {
    let rings = driver::io_uring_runtime().is_ok();
    if !rings {
        println!("no io_uring here: nothing to test");
    }
    rings
}

fn real_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SEGMENT_BYTES).unwrap();
    file
}

/// The keeper makes the next segment once one was taken.
fn offer_later(feed: &Arc<SegmentFeed<StdFile>>, path: &Path) -> std::thread::JoinHandle<()> {
    let (feed, path) = (feed.clone(), path.to_path_buf());
    std::thread::spawn(move || {
        let file = StdFile::options().read(true).write(true).open(path).unwrap();
        let segment = Segment { id: 8, first_sequence: 1 << 24, bytes: SEGMENT_BYTES };
        let mut ready = ReadySegment { segment, file };
        while let Err(back) = feed.offer(ready) {
            ready = back;
            std::thread::yield_now();
        }
    })
}

#[test]
fn a_failed_write_or_fdatasync_acknowledges_nothing_and_the_group_goes_elsewhere() {
    for device in ["/dev/null", "/dev/full"] {
        if !rings() {
            return;
        }
        let (mut segments, good) = (Segments::new(), real_file());
        segments.offer(Path::new(device));
        let keeper = offer_later(&segments.stream.feed, good.path());
        let mut writer = writer(&segments);
        let settled = commit(&mut writer, vec![sealed(0, 100), sealed(1, 100)], |slot| {
            let bytes = std::fs::read(good.path()).unwrap();
            let byte = b'a' + u8::try_from(slot).unwrap();
            assert!(bytes.windows(100).any(|window| window.iter().all(|at| *at == byte)), "it is there");
        });
        keeper.join().unwrap();
        assert_eq!(settled, [(0, Delivery::All), (1, Delivery::All)], "{device}");
        assert_eq!(segments.abandoned(), [(0, true)], "{device}");
        assert_eq!(segments.stream.marks.durable_below(), (1 << 24) + 2);
    }
}

#[test]
fn what_fails_twice_is_in_doubt() {
    for device in ["/dev/null", "/dev/full"] {
        if !rings() {
            return;
        }
        let mut segments = Segments::new();
        segments.offer(Path::new(device));
        let keeper = offer_later(&segments.stream.feed, Path::new(device));
        let mut writer = writer(&segments);
        let settled = commit(&mut writer, vec![sealed(0, 100), sealed(1, 100)], |_| {});
        keeper.join().unwrap();
        assert_eq!(settled, [(0, Delivery::None(IN_DOUBT)), (1, Delivery::None(IN_DOUBT))], "{device}");
        assert_eq!(segments.abandoned().len(), 2, "{device}");
        assert_eq!(segments.stream.marks.durable_below(), 0, "{device}");
    }
}

#[test]
fn what_was_written_once_is_in_doubt_even_if_there_is_no_further_segment() {
    if !rings() {
        return;
    }
    let mut segments = Segments::new();
    segments.offer(Path::new("/dev/null"));
    segments.close(Room::DiskFull);
    let settled = commit(&mut writer(&segments), vec![sealed(0, 100)], |_| {});
    assert_eq!(settled, [(0, Delivery::None(IN_DOUBT))], "a restart may find it in the segment that failed");
}

#[test]
fn without_room_nothing_is_written_and_clients_are_told_so() {
    if !rings() {
        return;
    }
    for (room, kind) in [
        (Room::LimitReached, FaultKind::StorageFull),
        (Room::DiskFull, FaultKind::StorageFull),
        (Room::DiskFailed, FaultKind::StorageFailed),
    ] {
        let (mut segments, good) = (Segments::new(), real_file());
        segments.offer(good.path());
        segments.close(room);
        // The first fits, the second does not, and there is no other segment.
        let settled = commit(&mut writer(&segments), vec![sealed(0, 1500), sealed(1, 1500)], |_| {});
        let fault = Fault::new(kind, Whose::Operator, Retry::Client, Fate::NotStored);
        assert_eq!(settled, [(0, Delivery::All), (1, Delivery::None(fault))]);
        assert_eq!(segments.abandoned(), []);
    }
}

#[test]
fn a_segment_is_left_only_when_all_of_it_is_durable() {
    if !rings() {
        return;
    }
    let (mut segments, first, second) = (Segments::new(), real_file(), real_file());
    segments.offer(first.path());
    let keeper = offer_later(&segments.stream.feed, second.path());
    let marks = segments.stream.marks.clone();
    let group = vec![sealed(0, 700), sealed(1, 700), sealed(2, 700)];
    let mut seen = Vec::new();
    let settled = commit(&mut writer(&segments), group, |slot| seen.push((slot, marks.durable_below())));
    keeper.join().unwrap();
    assert!(settled.iter().all(|(_, delivery)| *delivery == Delivery::All), "{settled:?}");
    assert_eq!(seen, [(0, 2), (1, 2), (2, (1 << 24) + 1)]);
}
