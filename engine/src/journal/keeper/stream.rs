//! The keeper's work on one stream.

mod supply;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Shop, room_of};
use crate::journal::cursor::CursorFile;
use crate::journal::disk::{Disk, ensure_dir};
use crate::journal::format::{CURSOR_BYTES, sequences_end};
use crate::journal::layout;
use crate::journal::recovery::{self, StreamFound};
use crate::journal::stream::{ReadySegment, Room, SegmentFeed, StreamMarks};

/// Attempts to read a stream's state after which what can't be read is taken for damage.
const PATIENCE: u32 = 8;

/// Segments that are to be kept when they are delivered: damage in them could not be copied. Filled by the reader.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<BTreeSet<u64>>>);

impl Kept {
    pub(in crate::journal) fn keep(&self, first_sequence: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(first_sequence);
    }

    fn has(&self, first_sequence: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&first_sequence)
    }
}

/// A segment on the disk.
#[derive(Clone, Copy, Debug)]
struct OnDisk {
    bytes: u64,
    /// A write or fsync of it failed: the file is never used again.
    distrusted: bool,
    /// Nothing in it was ever acknowledged, nor will be.
    void: bool,
}

impl OnDisk {
    fn new(bytes: u64) -> Self {
        Self { bytes, distrusted: false, void: false }
    }
}

/// How far the next segment is.
#[derive(Debug)]
enum Making<F> {
    /// Its header is durable, its name is not its own yet.
    Headed(ReadySegment<F>, u64),
    /// It has its name, which may not be durable.
    Named(ReadySegment<F>),
}

/// See the module's description.
#[derive(Debug)]
pub struct StreamKeeper<F> {
    stream: u16,
    /// The directories above, outermost first, and the stream's own.
    dirs: Vec<PathBuf>,
    dirs_made: bool,
    marks: Arc<StreamMarks>,
    /// `None`: nobody writes this stream any more.
    feed: Option<Arc<SegmentFeed<F>>>,
    kept: Kept,
    cursor: CursorFile<F>,
    recovered: bool,
    attempts: u32,
    found: StreamFound,
    trouble: Option<io::Error>,
    segments: BTreeMap<u64, OnDisk>,
    spares: BTreeMap<u64, OnDisk>,
    making: Option<Making<F>>,
    /// First number of the next segment.
    next: u64,
    /// A name changed, and the directory was not fsynced since.
    dir_dirty: bool,
    /// Bytes of removed files that may come back until the directory is fsynced.
    freed_bytes: u64,
}

impl<F: Send + Sync> StreamKeeper<F> {
    /// The keeper of `stream` in `sink_dir`, whose parent is the journal's directory.
    pub fn new(
        sink_dir: &Path,
        found: StreamFound,
        marks: Arc<StreamMarks>,
        feed: Option<Arc<SegmentFeed<F>>>,
        kept: Kept,
    ) -> Self {
        let stream = found.stream;
        let dir = sink_dir.join(layout::stream_name(stream));
        Self {
            stream,
            cursor: CursorFile::new(&dir, stream),
            dirs: vec![sink_dir.to_path_buf(), dir],
            dirs_made: false,
            marks,
            feed,
            kept,
            recovered: false,
            attempts: 0,
            found,
            trouble: None,
            segments: BTreeMap::new(),
            spares: BTreeMap::new(),
            making: None,
            next: 0,
            dir_dirty: false,
            freed_bytes: 0,
        }
    }

    pub(super) fn found(&self) -> Option<&StreamFound> {
        self.recovered.then_some(&self.found)
    }

    pub(super) fn trouble(&self) -> Option<(&StreamFound, &io::Error)> {
        self.trouble.as_ref().filter(|_| !self.recovered).map(|error| (&self.found, error))
    }

    fn dir(&self) -> &Path {
        &self.dirs[1]
    }

    /// Recovers the stream if that is still to be done, then retires what is delivered.
    pub(super) fn tend<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> bool {
        if !self.recovered {
            match self.recover(shop) {
                Ok(()) => self.trouble = None,
                Err(error) => {
                    self.attempts += 1;
                    shop.figures.disk_failures.add(1);
                    self.set_room(room_of(&error));
                    self.trouble = Some(error);
                    return false;
                }
            }
        }
        self.heed_abandoned(shop);
        let retired = self.retire(shop);
        if let Err(error) = &retired {
            shop.figures.disk_failures.add(1);
            self.set_room(room_of(error));
        }
        // The mark of a stream that nobody wrote yet says nothing.
        let delivered = self.marks.delivered_below();
        if delivered > self.cursor.last().delivered && self.dirs_made_or_old() {
            // Lost, it only costs repetitions.
            let stored = self.cursor.store(&mut shop.disk, delivered, self.next, false);
            shop.figures.disk_failures.add(u64::from(stored.is_err()));
        }
        retired.is_ok()
    }

    fn dirs_made_or_old(&self) -> bool {
        self.dirs_made || !self.segments.is_empty()
    }

    fn recover<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> io::Result<()> {
        let dir = self.dirs[1].clone();
        let listing = recovery::list(&mut shop.disk, &dir)?;
        let cursor = self.cursor.load(&mut shop.disk)?;
        self.found = StreamFound {
            sink: std::mem::take(&mut self.found.sink),
            stream: self.stream,
            delivered_below: cursor.delivered,
            ..StreamFound::default()
        };
        let lenient = self.attempts >= PATIENCE;
        recovery::recover(&mut shop.disk, &dir, self.stream, &listing, lenient, &mut self.found)?;
        self.next = recovery::next_sequence(&listing, cursor.delivered, cursor.floor);
        self.found.next_sequence = self.next;
        shop.budget.force(listing.bytes());
        let on_disk = |(first, bytes): (&u64, &u64)| (*first, OnDisk::new(*bytes));
        self.segments = listing.segments.iter().map(on_disk).collect();
        self.spares = listing.spares.iter().map(on_disk).collect();
        // A process may have died between a rename and the fsync behind it.
        self.dir_dirty = !self.segments.is_empty() || !self.spares.is_empty();
        self.recovered = true;
        self.marks.recovered(self.next, cursor.delivered);
        Ok(())
    }

    fn heed_abandoned<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) {
        while let Some(abandoned) = self.feed.as_ref().and_then(|feed| feed.next_abandoned()) {
            shop.figures.segments_abandoned.add(1);
            let Some(segment) = self.segments.get_mut(&abandoned.first_sequence) else { continue };
            segment.distrusted = true;
            segment.void = abandoned.empty;
        }
        // Their room is of more use. The newest stays until there is a newer one, for its numbers.
        let newest = self.newest();
        let void =
            |(first, segment): (&u64, &OnDisk)| (segment.void && Some(*first) != newest).then_some(*first);
        let void: Vec<u64> = self.segments.iter().filter_map(void).collect();
        for first in void {
            let removed = self.remove(shop, first).and_then(|()| self.sync_dir(shop));
            shop.figures.disk_failures.add(u64::from(removed.is_err()));
        }
    }

    fn newest(&self) -> Option<u64> {
        self.segments.keys().next_back().copied()
    }

    /// Makes what is renamed and removed durable.
    fn sync_dir<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> io::Result<()> {
        if self.dir_dirty {
            shop.disk.sync_dir(&self.dirs[1])?;
            self.dir_dirty = false;
            shop.budget.give(std::mem::take(&mut self.freed_bytes));
        }
        Ok(())
    }

    /// Retires every segment whose batches are all delivered, oldest first.
    fn retire<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> io::Result<()> {
        let delivered = self.marks.delivered_below();
        while let Some((&first, &segment)) = self.segments.first_key_value() {
            if delivered < sequences_end(first) {
                break;
            }
            self.sync_dir(shop)?;
            if self.newest() == Some(first) {
                // No file will show any more which numbers were used.
                self.cursor.store(&mut shop.disk, delivered, self.next, true)?;
            }
            if self.kept.has(first) {
                self.set_aside(shop, first)?;
            } else if self.is_spare(shop, segment) {
                let (from, to) = (layout::segment(self.dir(), first), layout::spare(self.dir(), first));
                shop.disk.rename(&from, &to)?;
                self.segments.remove(&first);
                self.spares.insert(first, segment);
                self.dir_dirty = true;
            } else {
                self.remove(shop, first)?;
            }
            shop.figures.segments_retired.add(1);
            self.sync_dir(shop)?;
        }
        // Of a stream that nobody writes any more nothing is used again.
        while self.feed.is_none() && self.drop_spare(shop) {}
        Ok(())
    }

    fn is_spare<D>(&self, shop: &Shop<D>, segment: OnDisk) -> bool {
        self.feed.is_some()
            && !segment.distrusted
            && segment.bytes == shop.segment_bytes
            && self.spares.len() < shop.spares_max
    }

    fn remove<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>, first: u64) -> io::Result<()> {
        match shop.disk.remove(&layout::segment(self.dir(), first)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.dir_dirty = true;
        if let Some(segment) = self.segments.remove(&first) {
            self.freed_bytes += segment.bytes;
        }
        Ok(())
    }

    /// Moves a segment with damage that could not be copied to the quarantine as it is. Its bytes stay in the budget.
    fn set_aside<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>, first: u64) -> io::Result<()> {
        let quarantine = self.dirs[0].join(layout::QUARANTINE);
        ensure_dir(&mut shop.disk, &quarantine)?;
        let to = quarantine.join(format!("{}-{first:016x}.seg", layout::stream_name(self.stream)));
        shop.disk.rename(&layout::segment(self.dir(), first), &to)?;
        self.segments.remove(&first);
        self.dir_dirty = true;
        shop.disk.sync_dir(&quarantine)
    }

    /// Removes a spare, the distrusted ones first. True when its bytes are free again.
    pub(super) fn drop_spare<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> bool {
        let distrusted = self.spares.iter().find(|(_, spare)| spare.distrusted);
        let Some(number) = distrusted.or(self.spares.first_key_value()).map(|(number, _)| *number) else {
            return false;
        };
        // What has a header already is about to be a segment.
        if matches!(self.making, Some(Making::Headed(_, making)) if making == number) {
            return false;
        }
        match shop.disk.remove(&layout::spare(self.dir(), number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => false,
            _ => {
                self.freed_bytes += self.spares.remove(&number).map_or(0, |spare| spare.bytes);
                self.dir_dirty = true;
                self.sync_dir(shop).is_ok()
            }
        }
    }

    fn set_room(&self, room: Room) {
        if let Some(feed) = &self.feed {
            feed.set_room(room);
        }
    }

    /// A write or fsync of a spare failed: it goes, now or when the disk works again.
    fn distrust_spare<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>, number: u64) {
        if let Some(spare) = self.spares.get_mut(&number) {
            spare.distrusted = true;
        }
        self.drop_spare(shop);
    }

    pub(super) fn close<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) {
        if !self.recovered || !self.dirs_made_or_old() {
            return;
        }
        let stored = self.cursor.store(&mut shop.disk, self.marks.delivered_below(), self.next, true);
        shop.figures.disk_failures.add(u64::from(stored.is_err()));
    }

    /// Bytes of the cursor file: taken for each stream from the start.
    pub(in crate::journal) const CURSOR_BYTES: u64 = CURSOR_BYTES;
}
