//! Reading a sink's journal: [`Source`] over all of its streams, those that are written now and those that earlier
//! processes left.
//!
//! A batch is returned only when it is durable, whole and not void. What is damaged is set aside with its bytes
//! ([`quarantine`]), counted, and passed over: its numbers are missing, nothing else is.

mod quarantine;
mod stream;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrun_sinks::{Batch, Source, SourceError, StreamId};

use self::stream::StreamReader;
use super::budget::Budget;
use super::disk::{Disk, read_full, write_full};
use super::figures::ReaderFigures;
use super::format::{NOTE_BYTES_MAX, decode_note, encode_note};
use super::keeper::Kept;
use super::layout;
use super::stream::{KeeperWake, StreamMarks};

/// One sink's journal, for its one consumer.
#[derive(Debug)]
pub struct Reader<D: Disk> {
    depot: Depot<D>,
    streams: Vec<StreamReader<D::File>>,
    wake: KeeperWake,
}

/// What all streams of a reader share.
#[derive(Debug)]
pub(super) struct Depot<D> {
    pub(super) disk: D,
    pub(super) sink_dir: PathBuf,
    pub(super) budget: Arc<Budget>,
    pub(super) figures: Arc<ReaderFigures>,
}

impl<D: Disk> Reader<D> {
    /// A reader without streams.
    pub(super) fn new(disk: D, sink_dir: &Path, budget: Arc<Budget>, wake: KeeperWake) -> Self {
        let figures = Arc::default();
        let depot = Depot { disk, sink_dir: sink_dir.to_path_buf(), budget, figures };
        Self { depot, streams: Vec::new(), wake }
    }

    /// Adds a stream.
    pub(super) fn add(&mut self, stream: u16, marks: Arc<StreamMarks>, kept: Kept) {
        let dir = self.depot.sink_dir.join(layout::stream_name(stream));
        self.streams.push(StreamReader::new(stream, dir, marks, kept));
        self.streams.sort_by_key(StreamReader::number);
    }

    /// Counters, for whoever publishes them.
    #[must_use]
    pub fn figures(&self) -> Arc<ReaderFigures> {
        self.depot.figures.clone()
    }

    fn find(&self, stream: StreamId) -> Option<usize> {
        self.streams.binary_search_by_key(&stream.0, StreamReader::number).ok()
    }
}

impl<D: Disk> Source for Reader<D> {
    fn streams(&mut self) -> Vec<StreamId> {
        self.streams.iter().map(|stream| StreamId(stream.number())).collect()
    }

    fn read(&mut self, stream: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError> {
        batch.clear();
        let Some(place) = self.find(stream) else { return Ok(None) };
        let stream = &mut self.streams[place];
        match stream.read(&mut self.depot, from, batch) {
            Ok(Some(sequence)) => {
                self.depot.figures.batches_read.add(1);
                self.depot.figures.bytes_read.add(batch.used_bytes() as u64);
                Ok(Some(sequence))
            }
            Ok(None) => {
                batch.clear();
                Ok(None)
            }
            Err(source) => {
                batch.clear();
                self.depot.figures.read_failures.add(1);
                Err(SourceError { what: format!("reading {}", stream.place().display()), source })
            }
        }
    }

    fn delivered_below(&mut self, stream: StreamId, sequence: u64) {
        if let Some(place) = self.find(stream)
            && self.streams[place].deliver(sequence)
        {
            self.wake.wake();
        }
    }

    fn delivered(&self, stream: StreamId) -> u64 {
        self.find(stream).map_or(0, |place| self.streams[place].delivered())
    }

    fn write_note(&mut self, note: &[u8]) -> Result<(), SourceError> {
        let Depot { disk, sink_dir, .. } = &mut self.depot;
        write_note(disk, sink_dir, note).map_err(|source| SourceError {
            what: format!("writing {}", sink_dir.join(layout::NOTE).display()),
            source,
        })
    }

    fn read_note(&mut self) -> Result<Vec<u8>, SourceError> {
        let path = self.depot.sink_dir.join(layout::NOTE);
        let bytes = read_note_file(&mut self.depot.disk, &path)
            .map_err(|source| SourceError { what: format!("reading {}", path.display()), source })?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        Ok(match decode_note(&bytes) {
            Ok(note) => note.to_vec(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the note is lost; it is as if there were none");
                Vec::new()
            }
        })
    }
}

fn read_note_file<D: Disk>(disk: &mut D, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = disk.len(&file)?.min(2 * NOTE_BYTES_MAX as u64);
    let mut note = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let read = read_full(disk, &file, 0, &mut note)?;
    note.truncate(read);
    Ok(Some(note))
}

/// Writes a new file, fsyncs it and gives it the note's name: at each moment one whole note has that name.
fn write_note<D: Disk>(disk: &mut D, sink_dir: &Path, note: &[u8]) -> io::Result<()> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a note has at most 64 KiB"));
    }
    let (new, path) = (sink_dir.join(layout::NOTE_NEW), sink_dir.join(layout::NOTE));
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = match disk.create(&new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            super::disk::ensure_dir(disk, sink_dir)?;
            disk.create(&new)?
        }
        created => created?,
    };
    write_full(disk, &file, 0, &encode_note(note))?;
    disk.sync(&file)?;
    disk.rename(&new, &path)?;
    disk.sync_dir(sink_dir)
}
