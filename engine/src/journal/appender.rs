//! Where the next batch of a stream goes. Pure: it knows no file and no clock; the shard writes what it is told, where
//! it is told.
//!
//! ```text
//!              begin(segment)
//!                   │            ┌────────────── place: offset, head ── written and fsynced ── durable(sequence) ─┐
//!                   ▼            ▼                                                                             │
//!   segment ┌ header ┬ durable ┬ in flight ┬ free ┐ ── full ──▶ NeedsSegment ── when nothing is in flight ──▶ begin
//!                    ▲         ▲           ▲
//!       first_sequence   durable_below   next
//!                              └── failed(): this and what follows is void; its batches are placed again
//! ```
//!
//! # Why a failed segment does no harm
//!
//! After a failed write or fsync nobody knows what the disk holds. The kernel may have dropped the pages and count them
//! as written, so the next fsync of that file proves nothing. Therefore:
//!
//! 1. Only what [`Appender::durable`] was told is acknowledged, always a prefix, and always before the failure. So
//!    everything in the failed segment from `durable_below` on is unacknowledged, whatever the disk made of it.
//! 2. The numbers from there to the next segment's first are never used again, and every frame of the next segment says
//!    so (`void_from`). A reader, in this process or after a restart, that sees one valid frame of the next segment
//!    skips that range of the failed one. The batches in question are in the next segment under new numbers.
//! 3. If no frame of the next segment reached the disk, then none was acknowledged either. A restart then may deliver
//!    what it finds in the failed segment: batches whose clients were told nothing or 503, delivery unknown. That is
//!    delivery at least once, as after any crash.
//! 4. [`Appender::begin`] refuses while anything is in flight, so a segment is left only when all of it is durable, or
//!    when it failed. One failure therefore voids one segment's tail and never a part of two.

use std::sync::Arc;

use millrun_sinks::Batch;

use super::format::{FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, SEQUENCES_PER_SEGMENT};
use super::format::{align, frame_bytes};
use super::stream::{Abandoned, Segment, StreamMarks};

/// What to write for one batch, and where: `head` at `offset`, and the batch's arena
/// ([`Batch::arena_used`]) right behind it, in one write or in two.
#[derive(Debug)]
#[must_use = "a batch that was placed has to be written, or the segment is failed"]
pub struct Placement {
    /// Its sequence number: what [`Appender::durable`] is told.
    pub sequence: u64,
    /// Where in the segment's file the head goes.
    pub offset: u64,
    /// Header and index. Give it back by [`Appender::give_back`].
    pub head: Vec<u8>,
    /// First sequence number of the segment: which file.
    pub segment: u64,
}

impl Placement {
    /// Where in the file the arena goes.
    #[must_use]
    pub fn arena_offset(&self) -> u64 {
        self.offset + self.head.len() as u64
    }
}

/// The current segment has no room for the batch, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch needs a new segment")]
pub struct NeedsSegment;

/// Batches of the current segment are not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batches are in flight: fsync them before the segment is left")]
pub struct InFlight;

/// See the module's description.
#[derive(Debug)]
pub struct Appender {
    marks: Arc<StreamMarks>,
    segment: Option<Segment>,
    /// Number of the next batch.
    next: u64,
    /// Where the next batch goes.
    offset: u64,
    durable_below: u64,
    void_from: u64,
    heads: Vec<Vec<u8>>,
}

impl Appender {
    /// An appender without a segment. `batches` are in flight at most, of `records_max` records each: so much memory it
    /// takes now, and none later.
    #[must_use]
    pub fn new(marks: Arc<StreamMarks>, batches: usize, records_max: usize) -> Self {
        let head = || Vec::with_capacity(Self::head_bytes_max(records_max));
        Self {
            marks,
            segment: None,
            next: 0,
            offset: 0,
            durable_below: 0,
            void_from: 0,
            heads: (0..batches).map(|_| head()).collect(),
        }
    }

    /// Memory of each batch in flight: what a memory sum has to count.
    #[must_use]
    pub fn head_bytes_max(records_max: usize) -> usize {
        FRAME_HEADER_BYTES + records_max * super::format::INDEX_ENTRY_BYTES
    }

    /// Goes on in `segment`, which came from the stream's [`super::SegmentFeed`].
    ///
    /// # Errors
    /// [`InFlight`]: nothing changed.
    pub fn begin(&mut self, segment: Segment) -> Result<(), InFlight> {
        if self.in_flight() {
            return Err(InFlight);
        }
        // At the first segment the mark says where earlier processes ended.
        self.durable_below = self.durable_below.max(self.marks.durable_below());
        debug_assert!(segment.first_sequence >= self.durable_below, "numbers are never used again");
        self.void_from = self.durable_below;
        self.next = segment.first_sequence;
        self.offset = SEGMENT_HEADER_BYTES;
        self.segment = Some(segment);
        Ok(())
    }

    /// True when something was placed that is neither durable nor failed.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.segment.is_some_and(|segment| self.next > self.durable_below.max(segment.first_sequence))
    }

    /// Gives `batch` its number and place.
    ///
    /// # Errors
    /// [`NeedsSegment`]: fsync what is in flight, then [`Appender::begin`] another and place it again. Every segment of
    /// the keeper has room for the largest batch that it was told of.
    pub fn place(&mut self, batch: &Batch) -> Result<Placement, NeedsSegment> {
        let segment = self.segment.ok_or(NeedsSegment)?;
        let arena = batch.arena_used();
        let end = self.offset.saturating_add(frame_bytes(batch.len(), arena.len()));
        if end > segment.bytes || self.next - segment.first_sequence >= SEQUENCES_PER_SEGMENT {
            return Err(NeedsSegment);
        }
        let mut head = self.heads.pop().unwrap_or_default();
        head.clear();
        head.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        for (key_len, value_len) in batch.lengths() {
            head.extend_from_slice(&key_len.to_le_bytes());
            head.extend_from_slice(&value_len.to_le_bytes());
        }
        let index_crc = crc32c::crc32c(&head[FRAME_HEADER_BYTES..]);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a batch addresses its records and its arena by u32"
        )]
        let header = FrameHeader {
            segment_id: segment.id,
            sequence: self.next,
            offset: self.offset,
            durable_below: self.durable_below,
            void_from: self.void_from,
            records: batch.len() as u32,
            arena_bytes: arena.len() as u32,
            payload_crc: crc32c::crc32c_append(index_crc, arena),
        };
        head[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
        let placement =
            Placement { sequence: self.next, offset: self.offset, head, segment: segment.first_sequence };
        self.next += 1;
        self.offset = align(end);
        Ok(placement)
    }

    /// Takes a placement's head back, for the next one.
    pub fn give_back(&mut self, head: Vec<u8>) {
        if self.heads.len() < self.heads.capacity() {
            self.heads.push(head);
        }
    }

    /// The batch `sequence` and every one placed before it are written, and an fdatasync that began after the last of
    /// those writes had ended has succeeded. Readers see them from now on, and they may be acknowledged. Returns the
    /// number below which everything is durable.
    ///
    /// A number of a segment that has failed meanwhile changes nothing.
    pub fn durable(&mut self, sequence: u64) -> u64 {
        let current = |segment: Segment| (segment.first_sequence..self.next).contains(&sequence);
        if self.segment.is_some_and(current) && sequence >= self.durable_below {
            self.durable_below = sequence + 1;
            self.marks.publish_durable(self.durable_below);
        }
        self.durable_below
    }

    /// A write or an fsync failed: the segment is left for good. What is not durable has to be placed again (it gets
    /// new numbers) or refused. Tell the keeper by [`super::SegmentFeed::abandon`].
    pub fn failed(&mut self) -> Option<Abandoned> {
        let segment = self.segment.take()?;
        let empty = self.durable_below <= segment.first_sequence;
        Some(Abandoned { first_sequence: segment.first_sequence, empty })
    }

    /// The first number of the current segment, if there is one.
    #[must_use]
    pub fn segment(&self) -> Option<u64> {
        self.segment.map(|segment| segment.first_sequence)
    }

    /// The number that the next batch would get in the current segment.
    #[cfg(test)]
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Everything below this number is durable.
    #[must_use]
    pub fn durable_below(&self) -> u64 {
        self.durable_below
    }
}

#[cfg(test)]
#[path = "appender/tests.rs"]
mod tests;
