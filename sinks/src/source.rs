//! The seam between a durable log and whoever delivers from it.
//!
//! A journal is a set of streams, each an ordered run of batches with ascending sequence numbers. A consumer reads
//! batches, delivers them somewhere, and says up to where everything is delivered; what it does not say is read again
//! after a restart. So delivery is at least once, and exactly once where a repeated delivery overwrites the first.
//!
//! ```text
//!   stream 3   │ 17 │ 18 │ 19 │ 20 │ 21 │ …          sequence numbers ascend, with gaps where damage was set aside
//!              ▲ delivered below 18   ▲ read so far
//! ```

use crate::Batch;

/// A stream of a journal. Stable over restarts: a note may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u16);

/// The journal can't be read or written now.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct SourceError {
    /// The operation and the file.
    pub what: String,
    /// The system's reason.
    pub source: std::io::Error,
}

/// A durable log, as its one consumer sees it.
pub trait Source: Send {
    /// Every stream that exists now, ascending: those that are written, and those that earlier processes left.
    fn streams(&mut self) -> Vec<StreamId>;

    /// Reads the first durable batch of `stream` whose sequence number is at least `from` into `batch` (whose arena is
    /// large enough for any batch of the journal; its former content is cleared) and returns its number. `None`: there
    /// is none yet. Only what is fsynced is ever returned. Reading the same number again gives the same bytes for as
    /// long as it has not been reported delivered.
    ///
    /// # Errors
    /// [`SourceError`] when the disk fails; the consumer may try again.
    fn read(&mut self, stream: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError>;

    /// Everything of `stream` below `sequence` is delivered and may be forgotten. Not durable at once: after a crash
    /// some of it may be read again.
    fn delivered_below(&mut self, stream: StreamId, sequence: u64);

    /// The sequence number below which everything is delivered.
    fn delivered(&self, stream: StreamId) -> u64;

    /// Replaces the consumer's note (a few KiB: the plan of its next object, say) atomically and durably.
    ///
    /// # Errors
    /// [`SourceError`]; the old note is still there then.
    fn write_note(&mut self, note: &[u8]) -> Result<(), SourceError>;

    /// The note as it was last written; empty when there is none.
    ///
    /// # Errors
    /// [`SourceError`] when it can't be read. A note that is damaged is as if there were none, and is reported.
    fn read_note(&mut self) -> Result<Vec<u8>, SourceError>;
}

/// A log that is lent out.
impl<S: Source + ?Sized> Source for &mut S {
    fn streams(&mut self) -> Vec<StreamId> {
        (**self).streams()
    }

    fn read(&mut self, stream: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError> {
        (**self).read(stream, from, batch)
    }

    fn delivered_below(&mut self, stream: StreamId, sequence: u64) {
        (**self).delivered_below(stream, sequence);
    }

    fn delivered(&self, stream: StreamId) -> u64 {
        (**self).delivered(stream)
    }

    fn write_note(&mut self, note: &[u8]) -> Result<(), SourceError> {
        (**self).write_note(note)
    }

    fn read_note(&mut self) -> Result<Vec<u8>, SourceError> {
        (**self).read_note()
    }
}
