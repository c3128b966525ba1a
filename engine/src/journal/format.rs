//! The bytes of the journal, format version 1: what a segment, a frame, a cursor and a note look like on the disk.
//!
//! Pure: bytes in, values out. All numbers are little-endian, all checksums CRC32C (RFC 3720, appendix B.4).
//!
//! ```text
//!  segment  ┌ header block, 4096 bytes ┬ frame ┬ frame ┬ … ┬ nothing, or what an earlier use of the file left ┐
//!           0                          4096    every frame begins at a multiple of 64
//!
//!  frame    ┌ header, 64 bytes ┬ index: (key_len u32, value_len u32) a record ┬ arena of the batch ┬ to 64 ┐
//!                              └─────────────── payload, covered by payload_crc ┘
//! ```
//!
//! A frame says itself where it belongs: segment, sequence number and offset are under its checksum. So a frame that
//! lies where it was not written, or that an earlier use of the file left, is never taken for a live one.

use std::ops::Range;

/// The format that is written. Readers refuse a higher one, and leave its files alone.
pub const VERSION: u16 = 1;

/// The header block of a segment; the first frame begins behind it. A whole page, so that a torn write of a frame
/// can't reach it.
pub const SEGMENT_HEADER_BYTES: u64 = 4096;

/// The header of a frame.
pub const FRAME_HEADER_BYTES: usize = 64;

/// Frames begin at multiples of this, so that the next one can be found behind a damaged one.
pub const FRAME_ALIGN_BYTES: u64 = 64;

/// Bytes of the index for each record.
pub const INDEX_ENTRY_BYTES: usize = 8;

/// Sequence numbers that belong to one segment. The numbers of a segment begin at a multiple of this and the rest of
/// them is skipped, so a segment can be made and named before anybody knows how many batches the one before will hold,
/// and a file's name alone tells which numbers were ever used in it.
pub const SEQUENCES_PER_SEGMENT: u64 = 1 << 24;

/// Largest segment: more of the smallest frames (128 bytes) would not find numbers.
pub const SEGMENT_BYTES_MAX: u64 = 128 * SEQUENCES_PER_SEGMENT;

/// Size of the cursor file: two slots, each in a page of its own.
pub const CURSOR_BYTES: u64 = 2 * CURSOR_SLOT_STRIDE;

/// From one slot of the cursor file to the other.
pub const CURSOR_SLOT_STRIDE: u64 = 4096;

/// Largest note of a consumer, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"MILLRUNJ");
const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"MRJF");
const CURSOR_MAGIC: u32 = u32::from_le_bytes(*b"MRJC");
const NOTE_MAGIC: u32 = u32::from_le_bytes(*b"MRJN");

/// Where the checksum of a 64-byte header is: behind everything that it covers.
const HEADER_CRC: Range<usize> = 60..64;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No such thing has ever been here, or its first bytes are gone.
    #[error("it does not begin like one")]
    Foreign,
    /// A checksum does not match.
    #[error("its checksum does not match")]
    Damaged,
    /// Its checksum matches and its numbers can't be: it belongs elsewhere.
    #[error("it belongs elsewhere")]
    Misplaced,
    /// A later version of Millrun wrote it.
    #[error("it has format version {0}, and this program knows {VERSION}")]
    Newer(u16),
}

/// The header block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The stream that it belongs to.
    pub stream: u16,
    /// Unlike any other, also of earlier uses of the same file.
    pub id: u64,
    /// The lowest sequence number that it may hold: a multiple of [`SEQUENCES_PER_SEGMENT`], and the file's name.
    pub first_sequence: u64,
    /// Size of the file.
    pub bytes: u64,
}

impl SegmentHeader {
    /// The first bytes of the header block; the rest of it is zeros.
    #[must_use]
    pub fn encode(&self) -> [u8; 64] {
        let mut block = [0; 64];
        block[0..8].copy_from_slice(&SEGMENT_MAGIC.to_le_bytes());
        block[8..10].copy_from_slice(&VERSION.to_le_bytes());
        block[10..12].copy_from_slice(&self.stream.to_le_bytes());
        block[16..24].copy_from_slice(&self.id.to_le_bytes());
        block[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        block[32..40].copy_from_slice(&self.bytes.to_le_bytes());
        sign(&mut block);
        block
    }

    /// Reads a header block.
    ///
    /// # Errors
    /// [`FormatError`]; never [`FormatError::Misplaced`], since a header does not know its file's name.
    pub fn decode(block: &[u8; 64]) -> Result<Self, FormatError> {
        if u64_at(block, 0) != SEGMENT_MAGIC {
            return Err(FormatError::Foreign);
        }
        check(block, u16_at(block, 8))?;
        Ok(Self {
            stream: u16_at(block, 10),
            id: u64_at(block, 16),
            first_sequence: u64_at(block, 24),
            bytes: u64_at(block, 32),
        })
    }
}

/// The header of a frame: one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// [`SegmentHeader::id`] of the segment that it was written to.
    pub segment_id: u64,
    /// Its number in the stream.
    pub sequence: u64,
    /// Where in the file it was written.
    pub offset: u64,
    /// Every acknowledged batch below this was durable when this one was placed: what is missing below is damage, and
    /// what is missing from here on may just not have been written when the machine stopped.
    pub durable_below: u64,
    /// No number from here to the first of this segment was or will be acknowledged: what an earlier segment holds
    /// there was written again, or refused.
    pub void_from: u64,
    /// Number of records.
    pub records: u32,
    /// Bytes of the arena.
    pub arena_bytes: u32,
    /// CRC32C of index and arena.
    pub payload_crc: u32,
}

impl FrameHeader {
    /// The header as it is written.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut block = [0; FRAME_HEADER_BYTES];
        block[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        block[4..6].copy_from_slice(&VERSION.to_le_bytes());
        block[8..16].copy_from_slice(&self.segment_id.to_le_bytes());
        block[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        block[24..32].copy_from_slice(&self.offset.to_le_bytes());
        block[32..40].copy_from_slice(&self.durable_below.to_le_bytes());
        block[40..48].copy_from_slice(&self.void_from.to_le_bytes());
        block[48..52].copy_from_slice(&self.records.to_le_bytes());
        block[52..56].copy_from_slice(&self.arena_bytes.to_le_bytes());
        block[56..60].copy_from_slice(&self.payload_crc.to_le_bytes());
        sign(&mut block);
        block
    }

    /// Reads a frame's header that was found at `offset` of a segment whose numbers begin at `first_sequence`. With
    /// `segment_id`, only a frame of that use of the file is accepted.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(
        block: &[u8; FRAME_HEADER_BYTES],
        offset: u64,
        first_sequence: u64,
        segment_id: Option<u64>,
    ) -> Result<Self, FormatError> {
        if u32_at(block, 0) != FRAME_MAGIC {
            return Err(FormatError::Foreign);
        }
        check(block, u16_at(block, 4))?;
        let header = Self {
            segment_id: u64_at(block, 8),
            sequence: u64_at(block, 16),
            offset: u64_at(block, 24),
            durable_below: u64_at(block, 32),
            void_from: u64_at(block, 40),
            records: u32_at(block, 48),
            arena_bytes: u32_at(block, 52),
            payload_crc: u32_at(block, 56),
        };
        let numbers = first_sequence..first_sequence.saturating_add(SEQUENCES_PER_SEGMENT);
        let at_home = header.offset == offset
            && numbers.contains(&header.sequence)
            && segment_id.is_none_or(|id| id == header.segment_id);
        if at_home { Ok(header) } else { Err(FormatError::Misplaced) }
    }

    /// Bytes of the index.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.records as usize * INDEX_ENTRY_BYTES
    }

    /// Bytes of the frame without the padding behind it.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.records as usize, self.arena_bytes as usize)
    }

    /// Where the next frame begins.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        align(self.offset.saturating_add(self.frame_bytes()))
    }
}

/// Bytes of a frame of so many records in so many bytes of arena, padding not counted.
#[must_use]
pub fn frame_bytes(records: usize, arena_bytes: usize) -> u64 {
    FRAME_HEADER_BYTES as u64 + records as u64 * INDEX_ENTRY_BYTES as u64 + arena_bytes as u64
}

/// The next place at or behind `offset` where a frame may begin.
#[must_use]
pub fn align(offset: u64) -> u64 {
    offset.saturating_add(FRAME_ALIGN_BYTES - 1) / FRAME_ALIGN_BYTES * FRAME_ALIGN_BYTES
}

/// The first number behind those of the segment that begins with `first_sequence`.
#[must_use]
pub fn sequences_end(first_sequence: u64) -> u64 {
    first_sequence.saturating_add(SEQUENCES_PER_SEGMENT)
}

/// One slot of a stream's cursor file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Counts the writes; the slot with the higher one counts.
    pub generation: u64,
    /// Everything below is delivered.
    pub delivered: u64,
    /// No number below this is ever given again, even if no file is left that shows it.
    pub floor: u64,
}

impl Cursor {
    /// The slot as it is written.
    #[must_use]
    pub fn encode(&self, stream: u16) -> [u8; 64] {
        let mut block = [0; 64];
        block[0..4].copy_from_slice(&CURSOR_MAGIC.to_le_bytes());
        block[4..6].copy_from_slice(&VERSION.to_le_bytes());
        block[6..8].copy_from_slice(&stream.to_le_bytes());
        block[8..16].copy_from_slice(&self.generation.to_le_bytes());
        block[16..24].copy_from_slice(&self.delivered.to_le_bytes());
        block[24..32].copy_from_slice(&self.floor.to_le_bytes());
        sign(&mut block);
        block
    }

    /// Reads a slot.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn decode(block: &[u8; 64], stream: u16) -> Result<Self, FormatError> {
        if u32_at(block, 0) != CURSOR_MAGIC {
            return Err(FormatError::Foreign);
        }
        check(block, u16_at(block, 4))?;
        if u16_at(block, 6) != stream {
            return Err(FormatError::Misplaced);
        }
        Ok(Self { generation: u64_at(block, 8), delivered: u64_at(block, 16), floor: u64_at(block, 24) })
    }

    /// Where the slot of this generation is written: never over the newest one.
    #[must_use]
    pub fn slot_offset(&self) -> u64 {
        (self.generation % 2) * CURSOR_SLOT_STRIDE
    }
}

/// A consumer's note, in its envelope.
#[must_use]
pub fn encode_note(note: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + note.len());
    bytes.extend_from_slice(&NOTE_MAGIC.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    let len = u32::try_from(note.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&bytes), note).to_le_bytes());
    bytes.extend_from_slice(note);
    bytes
}

/// The note in an envelope.
///
/// # Errors
/// [`FormatError`]
pub fn decode_note(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let (envelope, note) = bytes.split_at_checked(16).ok_or(FormatError::Foreign)?;
    if u32_at(envelope, 0) != NOTE_MAGIC {
        return Err(FormatError::Foreign);
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&envelope[..12]), note);
    if u32_at(envelope, 8) as usize != note.len() || u32_at(envelope, 12) != crc {
        return Err(FormatError::Damaged);
    }
    match u16_at(envelope, 4) {
        VERSION => Ok(note),
        version => Err(FormatError::Newer(version)),
    }
}

fn sign(block: &mut [u8; 64]) {
    let crc = crc32c::crc32c(&block[..HEADER_CRC.start]);
    block[HEADER_CRC].copy_from_slice(&crc.to_le_bytes());
}

/// Checksum first: a version that is not covered by it may be anything.
fn check(block: &[u8; 64], version: u16) -> Result<(), FormatError> {
    if u32_at(block, HEADER_CRC.start) != crc32c::crc32c(&block[..HEADER_CRC.start]) {
        return Err(FormatError::Damaged);
    }
    if version == VERSION { Ok(()) } else { Err(FormatError::Newer(version)) }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
#[path = "format/tests.rs"]
mod tests;
