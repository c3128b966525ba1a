//! Everything that a journal's directory holds, every frame checked.

use std::io;
use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Origin};
use serde::Serialize;

use crate::journal::cursor;
use crate::journal::disk::{Disk, Entry};
use crate::journal::format::sequences_end;
use crate::journal::layout;
use crate::journal::recovery;
use crate::journal::segment::{SegmentFile, Survey};

/// A journal.
#[derive(Debug, Serialize)]
pub struct Inventory {
    /// By name.
    pub sinks: Vec<SinkView>,
    /// Everything that is wrong.
    pub damage: Vec<Damage>,
}

/// One sink.
#[derive(Debug, Serialize)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// By number.
    pub streams: Vec<StreamView>,
    /// Files with bytes of earlier damage.
    pub quarantined_files: u64,
    /// Their size.
    pub quarantined_bytes: u64,
}

/// One stream.
#[derive(Debug, Default, Serialize)]
pub struct StreamView {
    /// Its number.
    pub stream: u16,
    /// Everything below is delivered, as far as the cursor says.
    pub delivered_below: u64,
    /// By their first number.
    pub segments: Vec<SegmentView>,
    /// Empty files that will be used again, and their size.
    pub spares: u64,
    /// Size of the spares.
    pub spare_bytes: u64,
}

/// One segment.
#[derive(Debug, Default, Serialize)]
pub struct SegmentView {
    /// Its path.
    pub path: PathBuf,
    /// The first number that it may hold.
    pub first_sequence: u64,
    /// Numbers at or behind this don't count.
    pub end_sequence: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Batches in it.
    pub batches: u64,
    /// Records in it.
    pub records: u64,
    /// Bytes of the batches.
    pub batch_bytes: u64,
    /// Batches that are not delivered.
    pub undelivered_batches: u64,
    /// Records that are not delivered.
    pub undelivered_records: u64,
    /// Batches that were begun and not finished, or written and never acknowledged and partly lost: normal.
    pub torn_batches: u64,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// Where.
    pub path: PathBuf,
    /// From which byte on, where that can be told.
    pub offset: Option<u64>,
    /// What.
    pub what: String,
}

impl StreamView {
    /// Batches, records, bytes, and the first two of what is not delivered.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64, u64, u64) {
        self.segments.iter().fold((0, 0, 0, 0, 0), |sum, segment| {
            (
                sum.0 + segment.batches,
                sum.1 + segment.records,
                sum.2 + segment.batch_bytes,
                sum.3 + segment.undelivered_batches,
                sum.4 + segment.undelivered_records,
            )
        })
    }
}

/// Reads everything below `dir`.
///
/// # Errors
/// When a directory can't be listed. A file that can't be read is damage.
pub fn take<D: Disk>(disk: &mut D, dir: &Path) -> io::Result<Inventory> {
    let mut inventory = Inventory { sinks: Vec::new(), damage: Vec::new() };
    for name in directories(disk, dir)? {
        let sink_dir = dir.join(&name);
        let mut sink = SinkView { name, streams: Vec::new(), quarantined_files: 0, quarantined_bytes: 0 };
        for name in directories(disk, &sink_dir)? {
            if let Some(stream) = layout::stream_number(&name) {
                let stream_dir = sink_dir.join(&name);
                sink.streams.push(stream_view(disk, &stream_dir, stream, &mut inventory.damage)?);
            } else if name == layout::QUARANTINE {
                disk.list(&sink_dir.join(&name), &mut |_, kind| {
                    if let Entry::File(bytes) = kind {
                        sink.quarantined_files += 1;
                        sink.quarantined_bytes += bytes;
                    }
                })?;
            }
        }
        inventory.sinks.push(sink);
    }
    Ok(inventory)
}

fn directories<D: Disk>(disk: &mut D, dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    disk.list(dir, &mut |name, kind| {
        if kind == Entry::Directory {
            names.push(name.to_owned());
        }
    })?;
    names.sort();
    Ok(names)
}

fn stream_view<D: Disk>(
    disk: &mut D,
    dir: &Path,
    stream: u16,
    damage: &mut Vec<Damage>,
) -> io::Result<StreamView> {
    let listing = recovery::list(disk, dir)?;
    let mut wrong = |path: &Path, offset: Option<u64>, what: String| {
        damage.push(Damage { path: path.to_path_buf(), offset, what });
    };
    let cursor_path = dir.join(layout::CURSOR);
    let delivered_below = cursor::read(disk, &cursor_path, stream).map_or_else(
        |error| {
            wrong(&cursor_path, None, format!("can't be read: {error}"));
            0
        },
        |cursor| cursor.delivered,
    );
    let mut view = StreamView {
        stream,
        delivered_below,
        spares: listing.spares.len() as u64,
        spare_bytes: listing.spares.values().sum(),
        ..StreamView::default()
    };
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 0, 1);
    // What the next segment says about where this one was left.
    let mut void_from: Option<u64> = None;
    for (first, bytes) in listing.segments.iter().rev().map(|(first, bytes)| (*first, *bytes)) {
        let path = layout::segment(dir, first);
        let opened = SegmentFile::open(disk, &path, stream, first, false);
        let surveyed = opened
            .and_then(|mut file| file.survey(disk, &mut batch).map(|survey| (survey, file.header.is_err())));
        let (survey, header_damaged) = match surveyed {
            Ok(surveyed) => surveyed,
            Err(error) => {
                wrong(&path, None, format!("can't be read: {error}"));
                void_from = None;
                continue;
            }
        };
        if header_damaged && !survey.frames.is_empty() {
            wrong(
                &path,
                Some(0),
                "the segment's header is damaged; its batches are read all the same".into(),
            );
        }
        if let Some(from) = void_from.filter(|from| *from > sequences_end(first))
            && from > delivered_below
        {
            wrong(dir, None, format!("the segment with the batch {:016x} is missing", from - 1));
        }
        let known_end = void_from.filter(|from| *from < sequences_end(first));
        let claimed = known_end.unwrap_or(survey.claimed);
        let torn = missing(&survey, claimed, known_end, &mut |offset, what| wrong(&path, Some(offset), what));
        let end = known_end.unwrap_or(survey.end.max(first));
        let mut segment =
            SegmentView { path, first_sequence: first, end_sequence: end, bytes, ..SegmentView::default() };
        segment.torn_batches = torn;
        for frame in survey.frames.iter().filter(|frame| frame.sequence < end) {
            let records = u64::from(frame.records);
            segment.batches += 1;
            segment.records += records;
            segment.batch_bytes += frame.frame_bytes();
            if frame.sequence >= delivered_below {
                segment.undelivered_batches += 1;
                segment.undelivered_records += records;
            }
        }
        void_from = survey.void_from;
        view.segments.push(segment);
    }
    view.segments.reverse();
    Ok(view)
}

/// Tells `wrong` what a segment lacks that was acknowledged, and returns how many batches it lacks that were not.
fn missing(survey: &Survey, claimed: u64, known_end: Option<u64>, wrong: &mut dyn FnMut(u64, String)) -> u64 {
    let mut torn = 0;
    for hole in &survey.holes {
        let to = known_end.map_or(hole.to, |end| hole.to.min(end));
        let lost = to.min(claimed).saturating_sub(hole.from);
        torn += to.saturating_sub(hole.from) - lost;
        if lost > 0 {
            wrong(hole.offset, format!("{lost} batches are damaged, from {:016x} on", hole.from));
        }
    }
    let lost = claimed.saturating_sub(survey.end);
    if lost > 0 {
        wrong(survey.tail, format!("{lost} batches at the end are damaged, from {:016x} on", survey.end));
    } else if survey.torn_end.is_some() && known_end.is_none() {
        torn += 1;
    }
    torn
}
