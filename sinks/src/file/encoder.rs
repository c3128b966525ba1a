//! Turns one group of submissions into the bytes of a file: newline-delimited JSON as it lies in the arenas, or
//! one complete gzip member (RFC 1952) of it, so that a file can be read, and recovered, at every group's end.
//!
//! Nothing is allocated for a record or a group: the gzip state and its output block live as long as the sink.

use std::io::{self, IoSlice};

use flate2::{Compress, FlushCompress, Status};

use super::disk::Disk;
use super::{Compression, writer::OpenFile};
use crate::{Records, Submission};

/// Output of the compressor that is collected before it is written.
const GZIP_BLOCK_BYTES: usize = 128 * 1024;
/// A window of 2^15 bytes, the largest that gzip knows.
const GZIP_WINDOW_BITS: u8 = 15;
/// Slices handed to one write call; Linux takes up to 1,024.
const SLICES: usize = 64;

/// Writes groups. One for the life of a sink.
pub(super) enum Encoder {
    /// Plain newline-delimited JSON.
    Plain,
    /// One gzip member a group.
    Gzip(Box<Gzip>),
}

impl Encoder {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain,
            Compression::Gzip { level } => Self::Gzip(Box::new(Gzip {
                state: Compress::new_gzip(flate2::Compression::new(level.into()), GZIP_WINDOW_BITS),
                block: vec![0; GZIP_BLOCK_BYTES].into_boxed_slice(),
                filled: 0,
            })),
        }
    }

    /// Appends the submitted records of `group` to `file`, a line each. On an error any part may be written.
    pub(super) fn append<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &mut OpenFile<D::File>,
        group: &[Submission],
    ) -> io::Result<()> {
        match self {
            Self::Plain => append_plain(disk, file, group),
            Self::Gzip(gzip) => gzip.append(disk, file, group),
        }
    }
}

/// Calls `chunk` with the bytes of the submitted records, each followed by a newline, in as few pieces as the
/// batch allows: one when all of a batch without keys is submitted.
fn each_chunk<'a>(
    submission: &'a Submission,
    mut chunk: impl FnMut(&'a [u8]) -> io::Result<()>,
) -> io::Result<()> {
    match submission.batch.as_ndjson() {
        Some([]) => Ok(()),
        Some(lines) if submission.records == Records::All => chunk(lines),
        _ => submission.indices().try_for_each(|index| {
            let value = submission.batch.record(index).value;
            if !value.is_empty() {
                chunk(value)?;
            }
            chunk(b"\n")
        }),
    }
}

fn append_plain<D: Disk>(disk: &mut D, file: &mut OpenFile<D::File>, group: &[Submission]) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut used = 0;
    for submission in group {
        each_chunk(submission, |chunk| {
            if used == SLICES {
                file.append(disk, &mut slices)?;
                used = 0;
            }
            slices[used] = IoSlice::new(chunk);
            used += 1;
            Ok(())
        })?;
    }
    file.append(disk, &mut slices[..used])
}

/// A compressor and its output block, both used again for every member.
pub(super) struct Gzip {
    state: Compress,
    block: Box<[u8]>,
    filled: usize,
}

impl Gzip {
    fn append<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &mut OpenFile<D::File>,
        group: &[Submission],
    ) -> io::Result<()> {
        // An earlier member may have been given up half way.
        self.state.reset();
        self.filled = 0;
        for submission in group {
            each_chunk(submission, |chunk| {
                let mut rest = chunk;
                while !rest.is_empty() {
                    let (taken, _) = self.step(disk, file, rest, FlushCompress::None)?;
                    rest = &rest[taken..];
                }
                Ok(())
            })?;
        }
        while self.step(disk, file, &[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        self.write_block(disk, file)
    }

    /// Compresses some of `input` into the block, and writes the block when it is full.
    fn step<D: Disk>(
        &mut self,
        disk: &mut D,
        file: &mut OpenFile<D::File>,
        input: &[u8],
        flush: FlushCompress,
    ) -> io::Result<(usize, Status)> {
        let (taken_before, made_before) = (self.state.total_in(), self.state.total_out());
        let status = self.state.compress(input, &mut self.block[self.filled..], flush)?;
        let (taken, made) = (self.state.total_in() - taken_before, self.state.total_out() - made_before);
        let (taken, made) = (clamp(taken, input.len()), clamp(made, self.block.len() - self.filled));
        self.filled += made;
        if self.filled == self.block.len() {
            self.write_block(disk, file)?;
        } else if taken == 0 && made == 0 && status != Status::StreamEnd {
            return Err(io::Error::other("the compressor stands still"));
        }
        Ok((taken, status))
    }

    fn write_block<D: Disk>(&mut self, disk: &mut D, file: &mut OpenFile<D::File>) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        file.append(disk, &mut [IoSlice::new(&self.block[..filled])])
    }
}

/// A difference of counters as a length; it is at most `max` because that much was offered.
fn clamp(bytes: u64, max: usize) -> usize {
    usize::try_from(bytes).unwrap_or(max).min(max)
}
