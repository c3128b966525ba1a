//! Making the next segment, ahead of time.

use std::io;

use super::{Making, OnDisk, Shop, StreamKeeper, room_of};
use crate::journal::disk::{Disk, ensure_dir, write_full};
use crate::journal::format::{SEGMENT_HEADER_BYTES, SegmentHeader, sequences_end};
use crate::journal::layout;
use crate::journal::stream::{ReadySegment, Room, Segment};

impl<F: Send + Sync> StreamKeeper<F> {
    /// Makes the next segment if the writer has none. `Some`: why there is none.
    pub(in crate::journal::keeper) fn supply<D: Disk<File = F>>(
        &mut self,
        shop: &mut Shop<D>,
    ) -> Option<Room> {
        let feed = self.feed.clone()?;
        if !self.recovered {
            return None;
        }
        if !feed.wants_segment() {
            // Whatever failed before, there is one.
            feed.set_room(Room::Available);
            return None;
        }
        match self.make(shop) {
            Ok(Some(ready)) => {
                // There is room for it: only this thread fills the feed.
                let _ = feed.offer(ready);
                None
            }
            Ok(None) => {
                self.set_room(Room::LimitReached);
                Some(Room::LimitReached)
            }
            Err(error) => {
                shop.figures.disk_failures.add(1);
                let room = room_of(&error);
                self.set_room(room);
                Some(room)
            }
        }
    }

    /// A segment whose header and name are durable; `None` when the budget does not allow one.
    fn make<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> io::Result<Option<ReadySegment<F>>> {
        if !self.dirs_made {
            for dir in &self.dirs {
                ensure_dir(&mut shop.disk, dir)?;
            }
            self.cursor.store(&mut shop.disk, self.marks.delivered_below(), self.next, true)?;
            self.dirs_made = true;
        }
        // What was renamed to a spare must not come back under its old name once it has a new header.
        self.sync_dir(shop)?;
        let making = match self.making.take() {
            Some(making) => making,
            None => match self.head(shop)? {
                Some((ready, spare)) => Making::Headed(ready, spare),
                None => return Ok(None),
            },
        };
        let ready = match making {
            Making::Named(ready) => ready,
            Making::Headed(ready, spare) => {
                let first = ready.segment.first_sequence;
                let (from, to) = (layout::spare(self.dir(), spare), layout::segment(self.dir(), first));
                if let Err(error) = shop.disk.rename(&from, &to) {
                    self.making = Some(Making::Headed(ready, spare));
                    return Err(error);
                }
                self.spares.remove(&spare);
                self.segments.insert(first, OnDisk::new(ready.segment.bytes));
                self.next = sequences_end(first);
                self.dir_dirty = true;
                ready
            }
        };
        if let Err(error) = self.sync_dir(shop) {
            self.making = Some(Making::Named(ready));
            return Err(error);
        }
        Ok(Some(ready))
    }

    /// A spare with the next segment's header, durable, and its number.
    fn head<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>) -> io::Result<Option<(ReadySegment<F>, u64)>> {
        let bytes = shop.segment_bytes;
        for spare in self.spares.values_mut() {
            spare.distrusted |= spare.bytes != bytes;
        }
        while self.spares.values().any(|spare| spare.distrusted) {
            if !self.drop_spare(shop) {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
        }
        let (number, file, new) = match self.spares.keys().next().copied() {
            Some(number) => (number, shop.disk.open(&layout::spare(self.dir(), number), true)?, false),
            None => match self.create(shop, bytes)? {
                Some(file) => (self.next, file, true),
                None => return Ok(None),
            },
        };
        let segment = Segment { id: shop.random.u64(1..), first_sequence: self.next, bytes };
        let header = SegmentHeader { stream: self.stream, id: segment.id, first_sequence: self.next, bytes };
        #[allow(clippy::cast_possible_truncation, reason = "a constant of 4096")]
        let mut block = [0; SEGMENT_HEADER_BYTES as usize];
        block[..64].copy_from_slice(&header.encode());
        let written = write_full(&mut shop.disk, &file, 0, &block).and_then(|()| shop.disk.sync(&file));
        if let Err(error) = written {
            drop(file);
            self.distrust_spare(shop, number);
            return Err(error);
        }
        let made = if new { &shop.figures.segments_made } else { &shop.figures.segments_reused };
        made.add(1);
        Ok(Some((ReadySegment { segment, file }, number)))
    }

    /// A new spare with the number of the next segment. Called when there is no spare.
    fn create<D: Disk<File = F>>(&mut self, shop: &mut Shop<D>, bytes: u64) -> io::Result<Option<F>> {
        if !shop.budget.take(bytes) {
            return Ok(None);
        }
        let path = layout::spare(self.dir(), self.next);
        let file = match shop.disk.create(&path) {
            Ok(file) => file,
            Err(error) => {
                shop.budget.give(bytes);
                return Err(error);
            }
        };
        // From here on it is there, whatever becomes of it; if it can't be removed, then later.
        self.spares.insert(self.next, OnDisk::new(bytes));
        match shop.disk.allocate(&file, bytes) {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                drop(file);
                self.distrust_spare(shop, self.next);
                Err(error)
            }
        }
    }
}
