//! Opening a journal: the lock, what earlier processes left, and the parts for those who work with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::budget::Budget;
use super::disk::{Disk, Entry, LockError, ensure_dir};
use super::figures::KeeperFigures;
use super::format::{
    FRAME_HEADER_BYTES, INDEX_ENTRY_BYTES, NOTE_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES,
};
use super::keeper::{Keeper, Kept, Shop, StreamKeeper};
use super::layout;
use super::reader::Reader;
use super::recovery::{self, StreamFound};
use super::stream::{ConsumerBell, KeeperWake, SegmentFeed, StreamMarks};

/// What each sink's note may take, the old and the new one together.
const NOTES_BYTES: u64 = 2 * (NOTE_BYTES_MAX as u64 + 16);
/// Bytes of the lock file, generously.
const LOCK_BYTES: u64 = 4096;

/// Settings of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its directory; made if it is missing.
    pub dir: PathBuf,
    /// Hard limit of everything in it, in bytes: at least [`Options::bytes_min`].
    pub bytes_max: u64,
    /// Size of a segment; see [`Options::segment_size`].
    pub segment_bytes: u64,
    /// Delivered segments that each stream keeps to use again.
    pub spares_max: usize,
    /// The largest arena of any batch, in bytes.
    pub batch_bytes_max: usize,
    /// The most records of any batch.
    pub batch_records_max: usize,
    /// The sinks that are journaled.
    pub sinks: Vec<SinkPlan>,
}

/// One sink's part of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPlan {
    /// Its name in the configuration, and of its directory.
    pub name: String,
    /// Shards that write it.
    pub shards: u16,
}

impl Options {
    /// Size of new segments: `segment_bytes`, or as much as the largest batch needs, in whole pages.
    #[must_use]
    pub fn segment_size(&self) -> u64 {
        let index_bytes = self.batch_records_max as u64 * INDEX_ENTRY_BYTES as u64;
        let batch = FRAME_HEADER_BYTES as u64 + index_bytes + self.batch_bytes_max as u64;
        let least = SEGMENT_HEADER_BYTES + batch;
        self.segment_bytes.min(SEGMENT_BYTES_MAX).max(least).next_multiple_of(4096)
    }

    /// The least `bytes_max` that can work: two segments for each stream, one in use and one ready.
    #[must_use]
    pub fn bytes_min(&self) -> u64 {
        let stream = 2 * self.segment_size() + StreamKeeper::<()>::CURSOR_BYTES;
        let sinks = self.sinks.iter().map(|sink| NOTES_BYTES + u64::from(sink.shards) * stream);
        LOCK_BYTES + sinks.sum::<u64>()
    }
}

/// A journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another engine works on the directory.
    #[error("{} is in use by {}: give each engine a journal.dir of its own, or stop the other one",
        dir.display(), match pid { Some(pid) => format!("the process {pid}"), None => "another process".to_owned() })]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other process, where it can be told.
        pid: Option<u32>,
    },
    /// The limit leaves no room to work in.
    #[error(
        "journal.bytes_max = {bytes_max}: at least {bytes_min} is needed, two segments for each shard and sink"
    )]
    TooSmall {
        /// The limit.
        bytes_max: u64,
        /// What would do.
        bytes_min: u64,
    },
    /// A sink's name can't be a directory's.
    #[error("sink.{0}: the name can't be that of a directory of the journal")]
    BadName(String),
    /// The directory can't be made or read.
    #[error("{}: {source}; journal.dir needs a local directory that can be written", path.display())]
    Disk {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What was found when a journal was opened. A stream that could not be read yet is in [`Keeper::unrecovered`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Each stream that there is.
    pub streams: Vec<StreamFound>,
    /// Directories of sinks that are not configured, with their bytes: nobody delivers what they hold.
    pub orphans: Vec<(String, u64)>,
    /// Names in the journal's directory that are none of ours.
    pub foreign: Vec<String>,
    /// Bytes in use.
    pub used_bytes: u64,
}

/// An open journal, in parts.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    /// For a thread of its own: [`super::keeper::thread::start`].
    pub keeper: Keeper<D>,
    /// By sink, in the order of [`Options::sinks`].
    pub sinks: Vec<SinkJournal<D>>,
    /// For the log.
    pub found: Found,
}

/// One sink's part of an open journal.
#[derive(Debug)]
pub struct SinkJournal<D: Disk> {
    /// For the shards, by their number.
    pub streams: Vec<ShardStream<D::File>>,
    /// For whoever delivers.
    pub reader: Reader<D>,
}

/// One shard's part of a sink's journal.
#[derive(Debug)]
pub struct ShardStream<F> {
    /// For [`super::Appender::new`].
    pub marks: Arc<StreamMarks>,
    /// Where its segments come from.
    pub feed: Arc<SegmentFeed<F>>,
}

impl<F> Clone for ShardStream<F> {
    fn clone(&self) -> Self {
        Self { marks: self.marks.clone(), feed: self.feed.clone() }
    }
}

/// Opens a journal, recovers what earlier processes left, and makes the first segments. `seed` should be known to
/// nobody else: segments get their ids from it.
///
/// # Errors
/// [`OpenError`]. A stream that can't be read and a full disk are none: they are tried again by the keeper.
pub fn open<D: Disk>(mut disk: D, options: &Options, seed: u64) -> Result<Journal<D>, OpenError> {
    let bytes_min = options.bytes_min();
    if options.bytes_max < bytes_min {
        return Err(OpenError::TooSmall { bytes_max: options.bytes_max, bytes_min });
    }
    if let Some(sink) = options.sinks.iter().find(|sink| !is_name(&sink.name)) {
        return Err(OpenError::BadName(sink.name.clone()));
    }
    let dir = &options.dir;
    let failed = |source| OpenError::Disk { path: dir.clone(), source };
    make_dirs(&mut disk, dir).map_err(failed)?;
    let lock = disk.lock(&dir.join(layout::LOCK)).map_err(|error| match error {
        LockError::Held(pid) => OpenError::InUse { dir: dir.clone(), pid },
        LockError::Io(source) => failed(source),
    })?;
    let budget = Arc::new(Budget::new(options.bytes_max));
    budget.force(LOCK_BYTES);
    let mut found = Found::default();
    let wake = KeeperWake::default();
    let mut streams = Vec::new();
    let mut sinks = Vec::new();
    for plan in &options.sinks {
        let sink_dir = dir.join(&plan.name);
        budget.force(NOTES_BYTES);
        let mut reader = Reader::new(disk.clone(), &sink_dir, budget.clone(), wake.clone());
        let (mut shards, bell) = (Vec::new(), ConsumerBell::default());
        let old = old_streams(&mut disk, &sink_dir)
            .map_err(|source| OpenError::Disk { path: sink_dir.clone(), source })?;
        let gone = old.into_iter().filter(|stream| *stream >= plan.shards);
        for stream in (0..plan.shards).chain(gone) {
            budget.force(StreamKeeper::<()>::CURSOR_BYTES);
            let marks = Arc::new(StreamMarks::new(bell.clone()));
            let kept = Kept::default();
            let feed = (stream < plan.shards).then(|| Arc::new(SegmentFeed::new(wake.clone())));
            reader.add(stream, marks.clone(), kept.clone());
            if let Some(feed) = feed.clone() {
                shards.push(ShardStream { marks: marks.clone(), feed });
            }
            let found = StreamFound { sink: plan.name.clone(), stream, ..StreamFound::default() };
            streams.push(StreamKeeper::new(&sink_dir, found, marks, feed, kept));
        }
        sinks.push(SinkJournal { streams: shards, reader });
    }
    count(&mut disk, options, &budget, &mut found).map_err(failed)?;
    let shop = Shop {
        disk,
        budget: budget.clone(),
        figures: Arc::new(KeeperFigures::default()),
        segment_bytes: options.segment_size(),
        spares_max: options.spares_max,
        random: fastrand::Rng::with_seed(seed),
    };
    let mut keeper = Keeper { shop, streams, wake, dir: dir.clone(), _lock: lock };
    keeper.turn();
    found.streams = keeper.found().cloned().collect();
    found.used_bytes = budget.used_bytes();
    Ok(Journal { keeper, sinks, found })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !matches!(name, "." | ".." | layout::LOCK) && !name.contains(['/', '\0'])
}

/// Makes the directory and those above it that are missing, and the names of all of them durable: one that is there may
/// have been made by a process that died before its fsync.
fn make_dirs<D: Disk>(disk: &mut D, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    if !parent.as_os_str().is_empty() {
        make_dirs(disk, parent)?;
    }
    match ensure_dir(disk, dir) {
        // Somebody else's directory above ours: it was there before us.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            disk.list(dir, &mut |_, _| {}).map_err(|_| error)
        }
        result => result,
    }
}

fn old_streams<D: Disk>(disk: &mut D, sink_dir: &Path) -> io::Result<Vec<u16>> {
    let mut streams = Vec::new();
    let listed = disk.list(sink_dir, &mut |name, kind| {
        if kind == Entry::Directory {
            streams.extend(layout::stream_number(name));
        }
    });
    streams.sort_unstable();
    match listed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(streams),
    }
}

/// Counts what is there: it is in use whatever the limit says. Notes and cursors have their bytes already.
fn count<D: Disk>(disk: &mut D, options: &Options, budget: &Budget, found: &mut Found) -> io::Result<()> {
    let (mut dirs, mut bytes) = (Vec::new(), 0);
    disk.list(&options.dir, &mut |name, kind| match kind {
        Entry::Directory => dirs.push(name.to_owned()),
        _ if name == layout::LOCK => {}
        kind => {
            bytes += file_bytes(kind);
            found.foreign.push(name.to_owned());
        }
    })?;
    for name in dirs {
        let ours = options.sinks.iter().any(|sink| sink.name == name);
        let used = count_sink(disk, &options.dir.join(&name), ours)?;
        bytes += used;
        if !ours {
            found.orphans.push((name, used));
        }
    }
    budget.force(bytes);
    Ok(())
}

/// Bytes of a sink's directory; without its streams if they are `ours`: each counts its own when it is recovered.
fn count_sink<D: Disk>(disk: &mut D, sink_dir: &Path, ours: bool) -> io::Result<u64> {
    let (mut dirs, mut bytes) = (Vec::new(), 0);
    disk.list(sink_dir, &mut |name, kind| match kind {
        Entry::Directory => dirs.push(name.to_owned()),
        _ if matches!(name, layout::NOTE | layout::NOTE_NEW) => {}
        kind => bytes += file_bytes(kind),
    })?;
    for name in dirs {
        let stream = layout::stream_number(&name).is_some();
        if stream && ours {
            continue;
        }
        if stream {
            bytes += recovery::list(disk, &sink_dir.join(&name))?.bytes();
        } else {
            disk.list(&sink_dir.join(&name), &mut |_, kind| bytes += file_bytes(kind))?;
        }
    }
    Ok(bytes)
}

fn file_bytes(kind: Entry) -> u64 {
    if let Entry::File(bytes) = kind { bytes } else { 0 }
}
