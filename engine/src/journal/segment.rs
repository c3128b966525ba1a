//! Reading one segment: frame after frame, over whatever is damaged to the next one that is whole.

use std::io;
use std::path::Path;

use millrun_sinks::{Batch, NotABatch};

use super::disk::{Disk, read_full};
use super::format::{
    FRAME_ALIGN_BYTES, FRAME_HEADER_BYTES, FormatError, FrameHeader, INDEX_ENTRY_BYTES, SEGMENT_HEADER_BYTES,
    SegmentHeader,
};

/// How much is read at a time while the next whole frame is looked for.
const SCAN_BYTES: usize = 256 * 1024;

/// What can't be read at all is left out in pieces of this size.
const PAGE_BYTES: usize = 4096;

/// An open segment.
#[derive(Debug)]
pub struct SegmentFile<F> {
    /// The open file.
    pub file: F,
    /// By the file's name.
    pub first_sequence: u64,
    /// Real length of the file.
    pub bytes: u64,
    /// What its header block says. Without it the frames are known by their numbers alone, which no other use of the
    /// file has had.
    pub header: Result<SegmentHeader, FormatError>,
    /// Take what can't be read for damage instead of failing.
    pub lenient: bool,
    /// Something could not be read and was taken for damage.
    pub unreadable: bool,
    scratch: Vec<u8>,
}

/// Where a walk through a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Where the next frame should begin.
    pub offset: u64,
    /// The number that it should have.
    pub expected: u64,
}

/// What a walk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole frame; the batch has its content.
    Frame(FrameHeader),
    /// Batches are missing, and a frame comes behind them.
    Hole(Hole),
    /// No whole frame comes any more.
    End(Tail),
}

/// A part of a segment that holds no whole frame, with a frame behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Its first byte.
    pub offset: u64,
    /// The first byte behind it.
    pub end: u64,
    /// The first missing number.
    pub from: u64,
    /// The number behind it.
    pub to: u64,
}

/// What is behind the last whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Its first byte.
    pub offset: u64,
    /// Where the frame that was begun there would end; `None` when there is nothing of this segment.
    pub torn_end: Option<u64>,
}

/// Everything about a segment that a walk through all of it finds out.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The header of every whole frame, ascending.
    pub frames: Vec<FrameHeader>,
    /// The number behind the last whole frame's; the segment's first when there is none.
    pub end: u64,
    /// Below this everything was durable at some time, so what is missing is damage.
    pub claimed: u64,
    /// What the frames say about the segments before.
    pub void_from: Option<u64>,
    /// What is missing between frames.
    pub holes: Vec<Hole>,
    /// First byte behind the last whole frame.
    pub tail: u64,
    /// The end of a frame that was begun at the tail.
    pub torn_end: Option<u64>,
}

impl<F: Send + Sync> SegmentFile<F> {
    /// Opens the segment whose numbers begin at `first_sequence` according to its name.
    ///
    /// # Errors
    /// Of the disk; of kind `Unsupported` when a later version of Millrun wrote it.
    pub fn open<D: Disk<File = F>>(
        disk: &mut D,
        path: &Path,
        stream: u16,
        first_sequence: u64,
        lenient: bool,
    ) -> io::Result<Self> {
        let file = disk.open(path, false)?;
        let bytes = disk.len(&file)?;
        let header = Err(FormatError::Foreign);
        let mut segment =
            Self { file, first_sequence, bytes, header, lenient, unreadable: false, scratch: Vec::new() };
        let mut block = [0; 64];
        segment.read(disk, 0, &mut block)?;
        segment.header = SegmentHeader::decode(&block).and_then(|header| {
            let ours = header.first_sequence == first_sequence && header.stream == stream;
            if ours { Ok(header) } else { Err(FormatError::Misplaced) }
        });
        match segment.header {
            Err(newer @ FormatError::Newer(_)) => Err(io::Error::new(io::ErrorKind::Unsupported, newer)),
            _ => Ok(segment),
        }
    }

    /// Where a walk begins.
    #[must_use]
    pub fn start(&self) -> Walk {
        Walk { offset: SEGMENT_HEADER_BYTES, expected: self.first_sequence }
    }

    /// Reads the next frame into `batch`, or says what is there instead.
    ///
    /// # Errors
    /// Of the disk; the walk is where it was.
    pub fn step<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        walk: &mut Walk,
        batch: &mut Batch,
    ) -> io::Result<Step> {
        let mut behind = walk.offset + FRAME_ALIGN_BYTES;
        let mut torn_end = None;
        match self.header_at(disk, walk.offset)? {
            Ok(header) if header.sequence == walk.expected => {
                // The header is whole, so its length can be trusted.
                behind = header.next_offset();
                if self.payload(disk, &header, batch)?.is_ok() {
                    *walk = Walk { offset: behind, expected: header.sequence + 1 };
                    return Ok(Step::Frame(header));
                }
                torn_end = Some(behind);
            }
            // Its numbers ascend, but some are missing in front of it.
            Ok(header) if header.sequence > walk.expected => behind = walk.offset,
            Ok(_) => {}
            Err(begun) => torn_end = begun.then_some(behind),
        }
        let found = self.next_whole_header(disk, behind, walk.expected)?;
        let Some(header) = found else { return Ok(Step::End(Tail { offset: walk.offset, torn_end })) };
        let hole = Hole { offset: walk.offset, end: header.offset, from: walk.expected, to: header.sequence };
        *walk = Walk { offset: header.offset, expected: header.sequence };
        Ok(Step::Hole(hole))
    }

    /// The first whole header of a frame in the segment, wherever it is.
    ///
    /// # Errors
    /// Of the disk.
    pub fn first_header<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<Option<FrameHeader>> {
        self.next_whole_header(disk, SEGMENT_HEADER_BYTES, self.first_sequence)
    }

    /// Walks through all of the segment.
    ///
    /// # Errors
    /// Of the disk.
    pub fn survey<D: Disk<File = F>>(&mut self, disk: &mut D, batch: &mut Batch) -> io::Result<Survey> {
        let first = self.first_sequence;
        let mut walk = self.start();
        let mut survey = Survey { end: first, claimed: first, ..Survey::default() };
        loop {
            match self.step(disk, &mut walk, batch)? {
                Step::Frame(header) => {
                    survey.frames.push(header);
                    survey.end = header.sequence + 1;
                    survey.claimed = survey.claimed.max(header.durable_below);
                    survey.void_from = Some(header.void_from);
                }
                Step::Hole(hole) => survey.holes.push(hole),
                Step::End(tail) => {
                    (survey.tail, survey.torn_end) = (tail.offset, tail.torn_end);
                    return Ok(survey);
                }
            }
        }
    }

    /// The header at `offset`; `Err(true)` when one was begun there that is not whole.
    fn header_at<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        offset: u64,
    ) -> io::Result<Result<FrameHeader, bool>> {
        let mut block = [0; FRAME_HEADER_BYTES];
        self.read(disk, offset, &mut block)?;
        Ok(self.whole(&block, offset).ok_or_else(|| {
            // Of an earlier use of the file, or nothing at all: then nothing was begun.
            let id = self.header.ok().map(|header| header.id.to_le_bytes());
            id.is_some_and(|id| block[8..16] == id)
        }))
    }

    fn whole(&self, block: &[u8; FRAME_HEADER_BYTES], offset: u64) -> Option<FrameHeader> {
        let id = self.header.ok().map(|header| header.id);
        let header = FrameHeader::decode(block, offset, self.first_sequence, id).ok()?;
        (offset.saturating_add(header.frame_bytes()) <= self.bytes).then_some(header)
    }

    /// Reads and checks a payload.
    fn payload<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        header: &FrameHeader,
        batch: &mut Batch,
    ) -> io::Result<Result<(), NotABatch>> {
        let mut index = std::mem::take(&mut self.scratch);
        index.resize(header.index_bytes(), 0);
        let at = header.offset + FRAME_HEADER_BYTES as u64;
        let read = self.read(disk, at, &mut index);
        let result = read.map_err(Unfilled::Io).and_then(|()| {
            let lengths = index.chunks_exact(INDEX_ENTRY_BYTES).map(|entry| {
                let at = |from: usize| {
                    u32::from_le_bytes([entry[from], entry[from + 1], entry[from + 2], entry[from + 3]])
                };
                (at(0), at(4))
            });
            let fill = |arena: &mut [u8]| {
                self.read(disk, at + index.len() as u64, arena).map_err(Unfilled::Io)?;
                let crc = crc32c::crc32c_append(crc32c::crc32c(&index), arena);
                if crc == header.payload_crc { Ok(()) } else { Err(Unfilled::Damaged) }
            };
            batch.rebuild(header.arena_bytes, fill, lengths)
        });
        self.scratch = index;
        match result {
            Ok(()) => Ok(Ok(())),
            Err(Unfilled::Damaged) => Ok(Err(NotABatch)),
            Err(Unfilled::Io(error)) => Err(error),
        }
    }

    /// The first whole header at or behind `from` with a number of at least `expected`.
    fn next_whole_header<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        from: u64,
        expected: u64,
    ) -> io::Result<Option<FrameHeader>> {
        let mut block = [0; FRAME_HEADER_BYTES];
        let mut chunk = Vec::new();
        let mut at = from;
        while at + FRAME_HEADER_BYTES as u64 <= self.bytes {
            // Most often the next frame is right there.
            let len = if chunk.is_empty() { PAGE_BYTES } else { SCAN_BYTES };
            let len = usize::try_from(self.bytes - at).unwrap_or(len).min(len);
            chunk.resize(len, 0);
            self.read(disk, at, &mut chunk)?;
            for (place, bytes) in chunk.chunks_exact(FRAME_HEADER_BYTES).enumerate() {
                block.copy_from_slice(bytes);
                let offset = at + place as u64 * FRAME_ALIGN_BYTES;
                if let Some(header) = self.whole(&block, offset)
                    && header.sequence >= expected
                {
                    return Ok(Some(header));
                }
            }
            at += chunk.len() as u64 / FRAME_ALIGN_BYTES * FRAME_ALIGN_BYTES;
        }
        Ok(None)
    }

    /// Reads all of `into`; what is behind the end of the file is zeros.
    ///
    /// # Errors
    /// Of the disk. Not if lenient: then what can't be read is zeros too.
    pub fn read<D: Disk<File = F>>(&mut self, disk: &mut D, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match read_full(disk, &self.file, offset, into) {
            Ok(bytes) => into[bytes..].fill(0),
            Err(error) if !self.lenient => return Err(error),
            Err(_) => {
                // By the file's pages: what lies behind the broken one is read.
                let mut done = 0;
                while done < into.len() {
                    let at = offset + done as u64;
                    #[allow(clippy::cast_possible_truncation, reason = "less than a page")]
                    let in_page = (at % PAGE_BYTES as u64) as usize;
                    let end = (done + PAGE_BYTES - in_page).min(into.len());
                    let page = &mut into[done..end];
                    let bytes = read_full(disk, &self.file, at, page).unwrap_or_else(|_| {
                        self.unreadable = true;
                        0
                    });
                    page[bytes..].fill(0);
                    done = end;
                }
            }
        }
        Ok(())
    }
}

/// Why a batch was not filled.
enum Unfilled {
    Damaged,
    Io(io::Error),
}

impl From<NotABatch> for Unfilled {
    fn from(_: NotABatch) -> Self {
        Self::Damaged
    }
}
