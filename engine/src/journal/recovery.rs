//! What earlier processes left of a stream: where its numbers go on, and what of it may not be on the disk yet.
//!
//! Nothing is cut and nothing is rewritten elsewhere: a segment of an earlier process is only read from now on. One
//! thing is written: the frames at the end of the last segment that no frame behind them calls durable. A process may
//! have died, or seen its fsync fail, between their write and their fsync; reads show them from the kernel's memory, and
//! a later power loss would take them away again, after they have been delivered as part of something. So they are
//! written over themselves and fsynced before anybody reads them. (An fsync alone proves nothing: the kernel forgets a
//! failed one and counts the pages as written.)
//!
//! Every step can be repeated: a crash in the middle of a recovery is followed by another recovery.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use millrun_sinks::{Batch, Origin};

use super::disk::{Disk, Entry, write_full};
use super::format::{SEGMENT_HEADER_BYTES, SEQUENCES_PER_SEGMENT, sequences_end};
use super::layout::{self, StreamEntry};
use super::segment::{SegmentFile, Survey};

/// How much is copied at a time.
const COPY_BYTES: u64 = 256 * 1024;

/// What a stream's directory holds.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Size of each segment by its first sequence number.
    pub segments: BTreeMap<u64, u64>,
    /// Size of each spare by its number.
    pub spares: BTreeMap<u64, u64>,
    /// Names that are none of ours, and their sizes.
    pub foreign: Vec<(String, u64)>,
}

impl Listing {
    /// Bytes of all files but the cursor.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let foreign = self.foreign.iter().map(|(_, bytes)| bytes);
        self.segments.values().chain(self.spares.values()).chain(foreign).sum()
    }
}

/// What was found of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFound {
    /// Its sink.
    pub sink: String,
    /// Its number.
    pub stream: u16,
    /// Segments of earlier processes.
    pub segments: u64,
    /// Their size on the disk.
    pub segment_bytes: u64,
    /// Everything below this was delivered, as far as the cursor says.
    pub delivered_below: u64,
    /// Where its numbers go on.
    pub next_sequence: u64,
    /// Batches at the end that were made durable now.
    pub sealed_batches: u64,
    /// Batches that were begun and never finished, and so never acknowledged: normal after a crash.
    pub torn_batches: u64,
    /// Segments that lie between two that are there, and are gone: their batches are lost.
    pub missing_segments: u64,
    /// Segments whose header is damaged; their frames are read all the same.
    pub damaged_headers: u64,
    /// Names in its directory that are none of ours. They are left alone.
    pub foreign: Vec<String>,
}

/// Reads a stream's directory; one that is not there is empty.
///
/// # Errors
/// Of the disk.
pub fn list<D: Disk>(disk: &mut D, stream_dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let listed = disk.list(stream_dir, &mut |name, kind| {
        let bytes = if let Entry::File(bytes) = kind { bytes } else { 0 };
        match (layout::stream_entry(name), kind) {
            (StreamEntry::Segment(first), Entry::File(_)) => drop(listing.segments.insert(first, bytes)),
            (StreamEntry::Spare(number), Entry::File(_)) => drop(listing.spares.insert(number, bytes)),
            (StreamEntry::Cursor, Entry::File(_)) => {}
            _ => listing.foreign.push((name.to_owned(), bytes)),
        }
    });
    match listed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(listing),
    }
}

/// The first number that may be given now.
#[must_use]
pub fn next_sequence(listing: &Listing, delivered: u64, floor: u64) -> u64 {
    let behind_segments = listing.segments.keys().next_back().map_or(0, |first| sequences_end(*first));
    let least = behind_segments.max(delivered).max(floor);
    least.div_ceil(SEQUENCES_PER_SEGMENT).saturating_mul(SEQUENCES_PER_SEGMENT)
}

/// Looks at a stream's segments and makes their end durable. `lenient`: what can't be read is taken for damage.
///
/// # Errors
/// Of the disk. Then the stream's state is not known, and it has to be tried again.
pub fn recover<D: Disk>(
    disk: &mut D,
    stream_dir: &Path,
    stream: u16,
    listing: &Listing,
    lenient: bool,
    found: &mut StreamFound,
) -> io::Result<()> {
    found.segments = listing.segments.len() as u64;
    found.segment_bytes = listing.segments.values().sum();
    found.foreign = listing.foreign.iter().map(|(name, _)| name.clone()).collect();
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 0, 1);
    let mut behind = None;
    let mut sealed = false;
    for first in listing.segments.keys().rev().copied() {
        let path = layout::segment(stream_dir, first);
        let mut segment = match SegmentFile::open(disk, &path, stream, first, lenient) {
            Ok(segment) => segment,
            // It can't be read, but it is there and keeps its numbers.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                sealed = true;
                continue;
            }
            Err(error) => return Err(error),
        };
        found.damaged_headers += u64::from(segment.header.is_err());
        let void_from = if sealed {
            segment.first_header(disk)?.map(|header| header.void_from)
        } else {
            let survey = segment.survey(disk, &mut batch)?;
            found.torn_batches += u64::from(survey.torn_end.is_some());
            if !survey.frames.is_empty() {
                sealed = true;
                found.sealed_batches += seal(disk, &path, &mut segment, &survey)?;
            }
            survey.void_from
        };
        if let Some((behind_first, Some(behind_void))) = behind
            && behind_void > sequences_end(first)
            && behind_void <= behind_first
            && behind_void > found.delivered_below
        {
            found.missing_segments += 1;
        }
        behind = Some((first, void_from));
    }
    Ok(())
}

/// Makes durable what may not be. Returns how many batches that were.
fn seal<D: Disk>(
    disk: &mut D,
    path: &Path,
    segment: &mut SegmentFile<D::File>,
    survey: &Survey,
) -> io::Result<u64> {
    let kept = survey.frames.partition_point(|frame| frame.sequence < survey.claimed);
    let Some(frame) = survey.frames.get(kept) else { return Ok(0) };
    let file = disk.open(path, true)?;
    // The header was fsynced before the first frame was written. Unless a disk lied, this changes nothing.
    let mut ranges = vec![(0, SEGMENT_HEADER_BYTES), (frame.offset, survey.tail)];
    if segment.header.is_err() {
        ranges.remove(0);
    }
    let mut copy = Vec::new();
    for (mut at, end) in ranges {
        let end = end.min(segment.bytes);
        while at < end {
            copy.resize(usize::try_from((end - at).min(COPY_BYTES)).unwrap_or_default(), 0);
            segment.read(disk, at, &mut copy)?;
            write_full(disk, &file, at, &copy)?;
            at += copy.len() as u64;
        }
    }
    disk.sync(&file)?;
    Ok((survey.frames.len() - kept) as u64)
}
