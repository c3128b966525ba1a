//! Reading one stream: from segment to segment, up to what is durable.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrun_sinks::Batch;

use super::{Depot, quarantine};
use crate::journal::disk::Disk;
use crate::journal::format::{SEQUENCES_PER_SEGMENT, sequences_end};
use crate::journal::keeper::Kept;
use crate::journal::layout;
use crate::journal::recovery;
use crate::journal::segment::{Hole, SegmentFile, Step, Walk};
use crate::journal::stream::StreamMarks;

/// Failed reads in a row after which what can't be read is taken for damage.
const PATIENCE: u32 = 8;

/// The segment that is read.
#[derive(Debug)]
struct Open<F> {
    file: SegmentFile<F>,
    walk: Walk,
    /// Number and offset of every frame that the walk came by.
    seen: Vec<(u64, u64)>,
    /// Nothing at or behind this number counts, once it is known: the segment was left there.
    end: Option<u64>,
    /// What is missing below this number is damage, and what is missing above was never acknowledged.
    claimed: u64,
}

/// See the module's description.
#[derive(Debug)]
pub struct StreamReader<F> {
    number: u16,
    dir: PathBuf,
    marks: Arc<StreamMarks>,
    kept: Kept,
    open: Option<Open<F>>,
    /// First numbers of the segments, as they were listed last.
    listed: Vec<u64>,
    /// Ranges of numbers that no batch has, by their beginning; they don't touch.
    empty: BTreeMap<u64, u64>,
    /// Damage below this number was reported, by segment.
    reported: BTreeMap<u64, u64>,
    failures: u32,
}

impl<F: Send + Sync> StreamReader<F> {
    pub(super) fn new(number: u16, dir: PathBuf, marks: Arc<StreamMarks>, kept: Kept) -> Self {
        Self {
            number,
            dir,
            marks,
            kept,
            open: None,
            listed: Vec::new(),
            empty: BTreeMap::new(),
            reported: BTreeMap::new(),
            failures: 0,
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Where it reads, for messages.
    pub(super) fn place(&self) -> PathBuf {
        let first = self.open.as_ref().map(|open| open.file.first_sequence);
        first.map_or_else(|| self.dir.clone(), |first| layout::segment(&self.dir, first))
    }

    pub(super) fn delivered(&self) -> u64 {
        self.marks.delivered_below()
    }

    /// Books a delivery; true when the keeper may have something to retire.
    pub(super) fn deliver(&mut self, below: u64) -> bool {
        let before = self.marks.delivered_below();
        let mut below = below.min(self.marks.durable_below());
        // No batch has these numbers, so they are delivered too: else no segment would ever be wholly delivered.
        if let Some((_, end)) = self.empty.range(..=below).next_back() {
            below = below.max(*end);
        }
        if below <= before {
            return false;
        }
        self.marks.publish_delivered(below);
        self.empty = self.empty.split_off(&below);
        self.reported = self.reported.split_off(&below.saturating_sub(SEQUENCES_PER_SEGMENT));
        before / SEQUENCES_PER_SEGMENT != below / SEQUENCES_PER_SEGMENT
    }

    /// No batch has a number in `from..to`.
    fn note_empty(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        while let Some((&start, &end)) = self.empty.range(..=to).next_back() {
            if end < from {
                break;
            }
            self.empty.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        self.empty.insert(from, to);
        self.deliver(self.delivered());
    }

    /// Reads the first batch with a number of at least `from`.
    pub(super) fn read<D: Disk<File = F>>(
        &mut self,
        depot: &mut Depot<D>,
        from: u64,
        batch: &mut Batch,
    ) -> io::Result<Option<u64>> {
        if !self.marks.is_recovered() {
            return Ok(None);
        }
        let limit = self.marks.durable_below();
        let result = self.read_below(depot, from.max(self.delivered()), limit, batch);
        match &result {
            Ok(_) => self.failures = 0,
            Err(_) => self.failures = self.failures.saturating_add(1),
        }
        let lenient = self.failures >= PATIENCE;
        if let Some(open) = &mut self.open {
            open.file.lenient = lenient;
        }
        result
    }

    fn read_below<D: Disk<File = F>>(
        &mut self,
        depot: &mut Depot<D>,
        from: u64,
        limit: u64,
        batch: &mut Batch,
    ) -> io::Result<Option<u64>> {
        let mut at = from;
        while at < limit {
            let Some(first) = self.segment_at(depot, at)? else {
                self.note_empty(at, limit);
                break;
            };
            if first > at {
                self.note_empty(at, first.min(limit));
                at = first;
                continue;
            }
            if !self.open_segment(depot, first)? {
                // It went away since it was listed: everything in it is delivered or void.
                self.listed.clear();
                continue;
            }
            if let Some(sequence) = self.read_segment(depot, at, limit, batch)? {
                self.note_empty(at, sequence);
                return Ok(Some(sequence));
            }
            let end = sequences_end(first).min(limit);
            self.note_empty(at, end);
            at = end;
        }
        Ok(None)
    }

    /// The segment that `at` belongs to, or the first one behind it.
    fn segment_at<D: Disk<File = F>>(&mut self, depot: &mut Depot<D>, at: u64) -> io::Result<Option<u64>> {
        let own = at - at % SEQUENCES_PER_SEGMENT;
        if self.listed.binary_search(&own).is_err() {
            let listing = recovery::list(&mut depot.disk, &self.dir)?;
            self.listed = listing.segments.into_keys().collect();
        }
        Ok(self.listed.get(self.listed.partition_point(|first| *first < own)).copied())
    }

    /// Opens a segment unless it is open; false when it is not there.
    fn open_segment<D: Disk<File = F>>(&mut self, depot: &mut Depot<D>, first: u64) -> io::Result<bool> {
        if self.open.as_ref().is_some_and(|open| open.file.first_sequence == first) {
            return Ok(true);
        }
        self.open = None;
        let path = layout::segment(&self.dir, first);
        let lenient = self.failures >= PATIENCE;
        let file = match SegmentFile::open(&mut depot.disk, &path, self.number, first, lenient) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let walk = file.start();
        self.open = Some(Open { file, walk, seen: Vec::new(), end: None, claimed: first });
        Ok(true)
    }

    /// Finds out where the open segment was left, if it was, and what is known to have been in it.
    fn find_end<D: Disk<File = F>>(
        &mut self,
        depot: &mut Depot<D>,
        limit: u64,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let first = open.file.first_sequence;
        if open.end.is_some() {
            return Ok(());
        }
        if limit <= sequences_end(first) && first >= self.marks.resumed_at() {
            // It is being written: everything that is published is in it.
            open.claimed = limit;
            return Ok(());
        }
        let void_from = self.void_behind(depot, first, limit)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some(void_from) = void_from.filter(|void_from| *void_from < sequences_end(first)) {
            (open.end, open.claimed) = (Some(void_from), void_from);
            return Ok(());
        }
        // The last one of an earlier process, or one of ours with only damage behind it.
        let survey = open.file.survey(&mut depot.disk, batch)?;
        let ours = first >= self.marks.resumed_at();
        depot.figures.batches_torn.add(u64::from(survey.torn_end.is_some() && !ours));
        (open.end, open.claimed) = (Some(survey.end), if ours { survey.end } else { survey.claimed });
        Ok(())
    }

    /// What the first frame behind the segment `first` says about the segments before it.
    fn void_behind<D: Disk<File = F>>(
        &self,
        depot: &mut Depot<D>,
        first: u64,
        limit: u64,
    ) -> io::Result<Option<u64>> {
        let lenient = self.failures >= PATIENCE;
        // The list may be older than the frames.
        let listing = recovery::list(&mut depot.disk, &self.dir)?;
        for behind in listing.segments.into_keys().filter(|behind| (first + 1..limit).contains(behind)) {
            let path = layout::segment(&self.dir, behind);
            let opened = SegmentFile::open(&mut depot.disk, &path, self.number, behind, lenient);
            let mut file = match opened {
                Ok(file) => file,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(header) = file.first_header(&mut depot.disk)? {
                return Ok(Some(header.void_from));
            }
        }
        Ok(None)
    }

    /// The first batch of the open segment with a number in `from..limit`.
    fn read_segment<D: Disk<File = F>>(
        &mut self,
        depot: &mut Depot<D>,
        from: u64,
        limit: u64,
        batch: &mut Batch,
    ) -> io::Result<Option<u64>> {
        self.find_end(depot, limit, batch)?;
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            let limit = open.end.unwrap_or(limit).min(limit);
            if from < open.walk.expected {
                let place = open.seen.partition_point(|(sequence, _)| *sequence < from);
                if let Some((sequence, offset)) = open.seen.get(place).copied() {
                    open.walk = Walk { offset, expected: sequence };
                }
            }
            if open.walk.expected >= limit {
                return Ok(None);
            }
            match open.file.step(&mut depot.disk, &mut open.walk, batch)? {
                Step::Frame(header) => {
                    if open.seen.last().is_none_or(|(last, _)| *last < header.sequence) {
                        open.seen.push((header.sequence, header.offset));
                    }
                    if header.sequence >= limit {
                        return Ok(None);
                    }
                    if header.sequence >= from {
                        return Ok(Some(header.sequence));
                    }
                }
                Step::Hole(hole) => self.report(depot, Hole { to: hole.to.min(limit), ..hole }),
                Step::End(tail) => {
                    let end = tail.torn_end.unwrap_or(open.file.bytes);
                    let hole = Hole { offset: tail.offset, end, from: open.walk.expected, to: limit };
                    // What is written from now on is looked for from here.
                    self.report(depot, hole);
                    return Ok(None);
                }
            }
        }
    }

    /// Sets aside and counts what a hole lacks, once.
    fn report<D: Disk<File = F>>(&mut self, depot: &mut Depot<D>, hole: Hole) {
        let Some(open) = &mut self.open else { return };
        let first = open.file.first_sequence;
        let reported = self.reported.entry(first).or_insert(first);
        let from = hole.from.max(*reported);
        if from >= hole.to {
            return;
        }
        *reported = hole.to;
        let damaged = open.claimed.min(hole.to).saturating_sub(from);
        depot.figures.batches_torn.add(hole.to - from - damaged);
        if damaged == 0 {
            return;
        }
        depot.figures.batches_damaged.add(damaged);
        let path = layout::segment(&self.dir, first);
        let unreadable = open.file.unreadable;
        match quarantine::copy(depot, self.number, &mut open.file, hole) {
            Ok(bytes) => depot.figures.quarantined_bytes.add(bytes),
            Err(error) => {
                depot.figures.quarantine_failures.add(1);
                self.kept.keep(first);
                tracing::warn!(path = %path.display(), %error, "damage could not be copied: the segment is kept");
            }
        }
        if unreadable {
            // The copy has zeros where the disk gave nothing; another day it may.
            self.kept.keep(first);
        }
        log_damage(&path, from, hole, damaged);
    }
}

fn log_damage(path: &Path, from: u64, hole: Hole, damaged: u64) {
    tracing::error!(
        path = %path.display(),
        offset = hole.offset,
        sequence = from,
        batches = damaged,
        "acknowledged batches are damaged: their bytes are set aside in the quarantine, the rest goes on"
    );
}
