//! A shard's work on the journal in blocking calls: place, write, fdatasync, and what to do when one of them fails.
//! For tools, tests, and a shard whose driver has no asynchronous files. A shard on `io_uring` does the same steps with
//! an [`Appender`] of its own.

use std::io;

use millrun_sinks::Batch;

use super::disk::{Disk, write_full};
use super::open::ShardStream;
use super::stream::{ReadySegment, Room};
use super::{Appender, NeedsSegment};

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no segment now. Nothing was written.
    #[error("the journal has no room: {0:?}")]
    NoRoom(Room),
    /// A write or fsync failed. Every batch that is not durable is in doubt: append it again, or refuse it.
    #[error("the journal's disk failed: {0}")]
    Failed(#[source] io::Error),
}

/// See the module's description.
#[derive(Debug)]
pub struct Writer<D: Disk> {
    disk: D,
    stream: ShardStream<D::File>,
    pub(super) appender: Appender,
    current: Option<ReadySegment<D::File>>,
    /// The last batch that was written.
    written: Option<u64>,
}

impl<D: Disk> Writer<D> {
    /// A writer of `stream`: the only one.
    pub fn new(disk: D, stream: ShardStream<D::File>, batch_records_max: usize) -> Self {
        let appender = Appender::new(stream.marks.clone(), 1, batch_records_max);
        Self { disk, stream, appender, current: None, written: None }
    }

    /// Writes a batch and returns its number. It is durable after the next [`Writer::sync`].
    ///
    /// # Errors
    /// [`AppendError`]
    pub fn append(&mut self, batch: &Batch) -> Result<u64, AppendError> {
        let placement = if let Ok(placement) = self.appender.place(batch) {
            placement
        } else {
            self.next_segment()?;
            self.appender.place(batch).map_err(|NeedsSegment| {
                AppendError::Failed(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "the batch is larger than the journal was opened for",
                ))
            })?
        };
        let Some(current) = &self.current else { unreachable!("a placement has a segment") };
        let arena_offset = placement.arena_offset();
        let written = write_full(&mut self.disk, &current.file, placement.offset, &placement.head)
            .and_then(|()| write_full(&mut self.disk, &current.file, arena_offset, batch.arena_used()));
        self.appender.give_back(placement.head);
        self.check(written)?;
        self.written = Some(placement.sequence);
        Ok(placement.sequence)
    }

    /// Makes everything that was written durable. Returns the number below which everything is.
    ///
    /// # Errors
    /// [`AppendError::Failed`]
    pub fn sync(&mut self) -> Result<u64, AppendError> {
        if let (Some(current), true, Some(written)) = (&self.current, self.appender.in_flight(), self.written)
        {
            let synced = self.disk.sync(&current.file);
            self.check(synced)?;
            self.appender.durable(written);
        }
        Ok(self.appender.durable_below())
    }

    fn next_segment(&mut self) -> Result<(), AppendError> {
        self.sync()?;
        let ready = self.stream.feed.take().ok_or_else(|| AppendError::NoRoom(self.stream.feed.room()))?;
        let Ok(()) = self.appender.begin(ready.segment) else { unreachable!("synced above") };
        self.current = Some(ready);
        Ok(())
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), AppendError> {
        let Err(error) = result else { return Ok(()) };
        self.current = None;
        self.written = None;
        if let Some(abandoned) = self.appender.failed() {
            self.stream.feed.abandon(abandoned);
        }
        Err(AppendError::Failed(error))
    }

    /// The first number of the current segment, if there is one.
    #[must_use]
    pub fn segment(&self) -> Option<u64> {
        self.appender.segment()
    }

    /// Everything below this number is durable.
    #[must_use]
    pub fn durable_below(&self) -> u64 {
        self.appender.durable_below()
    }
}
