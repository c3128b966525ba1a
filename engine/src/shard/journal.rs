//! A shard's way into a journal through its own ring: one write and one fdatasync a group of batches.
//!
//! ```text
//!   sealed ─▶ queue ─┬─ place ─ write head + arena ─┐
//!                    ├─ place ─ write head + arena ─┤
//!                    └─ …                           ┴─ fdatasync ─ durable ─▶ their requests are answered
//!        meanwhile sealed batches gather in the queue: the next group
//! ```
//!
//! A batch is answered when the fdatasync that covers it has succeeded, and never because of one that failed: after an
//! error the segment is left for good and the group is written again elsewhere, once. What can't be written is
//! answered 503.

use std::collections::VecDeque;
use std::fs::File as StdFile;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Delivery, Fate, Fault, FaultKind, Retry, Whose};
use monoio::buf::IoBuf;
use monoio::fs::File;

use super::state::Shard;
use crate::handoff::{Returned, Sealed};
use crate::journal::{Appender, Room, ShardStream};
use crate::observe::Allowance;

/// A segment that is not there yet is made by the keeper in about this time.
const SEGMENT_PAUSE: Duration = Duration::from_millis(1);
/// And waited for at most this long, in pauses.
const SEGMENT_PAUSES_MAX: u32 = 200;

/// Segments in which a group is tried.
pub(crate) const TRIES: u32 = 2;

/// No segment is to be had: nothing was written.
pub(crate) fn no_room(room: Room) -> Fault {
    let kind = match room {
        Room::LimitReached | Room::DiskFull => FaultKind::StorageFull,
        Room::Available | Room::DiskFailed => FaultKind::StorageFailed,
    };
    Fault::new(kind, Whose::Operator, Retry::Client, Fate::NotStored)
}

/// Written, or half written, and not fsynced: a restart may find it.
pub(crate) const IN_DOUBT: Fault =
    Fault::new(FaultKind::StorageFailed, Whose::Operator, Retry::Client, Fate::Unknown);

/// Writes what comes into the journal `sink` (an index among the shard's destinations) until the runtime ends.
pub(super) async fn write(shard: Rc<Shard>, sink: usize, stream: ShardStream<StdFile>) {
    let batch = &shard.settings.batch;
    let mut writer = Writer::new(stream, usize::from(batch.slots()), batch.records_max);
    loop {
        std::future::poll_fn(|cx| shard.journal_bell(sink).poll(cx.waker())).await;
        loop {
            writer.waiting.extend(std::iter::from_fn(|| shard.lanes[sink].queue.pop()));
            if writer.waiting.is_empty() {
                break;
            }
            writer
                .commit(&mut |batch, delivery| {
                    #[allow(clippy::cast_possible_truncation, reason = "sinks are few")]
                    shard.take_home(Returned { lane: sink as u16, batch, delivery });
                })
                .await;
            shard.ring_sealer();
        }
    }
}

/// One stream's writer. It allocates nothing once it has seen its largest group.
struct Writer {
    appender: Appender,
    stream: ShardStream<StdFile>,
    file: Option<File>,
    /// Not written yet, in order.
    waiting: VecDeque<Sealed>,
    /// Written and not fsynced, in order.
    written: Vec<Written>,
    lines: Allowance,
}

/// Written and not fsynced.
struct Written {
    sealed: Sealed,
    sequence: u64,
}

impl Writer {
    fn new(stream: ShardStream<StdFile>, batches: usize, records_max: usize) -> Self {
        Self {
            appender: Appender::new(stream.marks.clone(), batches, records_max),
            stream,
            file: None,
            waiting: VecDeque::with_capacity(batches),
            written: Vec::with_capacity(batches),
            lines: Allowance::new(1, 5),
        }
    }

    /// Makes everything that waits durable, batch by batch in order, and says of each what became of it.
    async fn commit(&mut self, settle: &mut impl FnMut(Batch, Delivery)) {
        let mut failed = false;
        for _ in 0..TRIES {
            let written = match self.write_waiting(settle).await {
                Ok(()) => self.fsync(settle).await,
                error => error,
            };
            let Err(error) = written else { break };
            failed = true;
            self.leave_segment(&error).await;
        }
        // What still waits has no segment, or failed too often. After a failure nobody knows what a restart will find.
        let fault = if failed { IN_DOUBT } else { no_room(self.stream.feed.room()) };
        self.waiting.drain(..).for_each(|sealed| settle(sealed.batch, Delivery::None(fault)));
    }

    /// Writes what waits, until nothing does or there is no segment for the next batch.
    async fn write_waiting(&mut self, settle: &mut impl FnMut(Batch, Delivery)) -> std::io::Result<()> {
        while let Some(next) = self.waiting.front() {
            let placement = if let Ok(placement) = self.appender.place(&next.batch) {
                placement
            } else {
                self.fsync(settle).await?;
                if !self.next_segment().await {
                    return Ok(());
                }
                let Some(Ok(placement)) = self.waiting.front().map(|next| self.appender.place(&next.batch))
                else {
                    return Ok(());
                };
                placement
            };
            let (Some(sealed), Some(file)) = (self.waiting.pop_front(), &self.file) else {
                unreachable!("a batch was placed in an open segment")
            };
            let (sequence, offset, arena_offset) =
                (placement.sequence, placement.offset, placement.arena_offset());
            let Sealed { batch, sealed_at, deadline, patient } = sealed;
            let head = file.write_all_at(placement.head, offset);
            let arena = file.write_all_at(Arena(batch), arena_offset);
            let ((head_result, head), (arena_result, Arena(batch))) = both(head, arena).await;
            self.appender.give_back(head);
            self.written.push(Written { sealed: Sealed { batch, sealed_at, deadline, patient }, sequence });
            head_result.and(arena_result)?;
        }
        Ok(())
    }

    /// Makes durable what was written, and settles it.
    async fn fsync(&mut self, settle: &mut impl FnMut(Batch, Delivery)) -> std::io::Result<()> {
        let (Some(last), Some(file)) = (self.written.last(), &self.file) else { return Ok(()) };
        file.sync_data().await?;
        let below = self.appender.durable(last.sequence);
        for Written { sealed, sequence } in self.written.drain(..) {
            debug_assert!(sequence < below);
            settle(sealed.batch, Delivery::All);
        }
        Ok(())
    }

    /// Goes on in the next segment, which the keeper has made or is about to make.
    async fn next_segment(&mut self) -> bool {
        for _ in 0..SEGMENT_PAUSES_MAX {
            if let Some(ready) = self.stream.feed.take() {
                let Ok(file) = File::from_std(ready.file) else { return false };
                self.close().await;
                let Ok(()) = self.appender.begin(ready.segment) else {
                    unreachable!("the segment before is durable or failed")
                };
                self.file = Some(file);
                return true;
            }
            if self.stream.feed.room() != Room::Available {
                return false;
            }
            monoio::time::sleep(SEGMENT_PAUSE).await;
        }
        false
    }

    /// A write or fsync failed: nothing in the segment that is not durable is trusted. What was written waits again, in
    /// front of what was not yet.
    async fn leave_segment(&mut self, error: &std::io::Error) {
        if let Some(suppressed) = self.lines.admit(Instant::now()) {
            log_failure(error, self.appender.segment(), suppressed);
        }
        if let Some(abandoned) = self.appender.failed() {
            self.stream.feed.abandon(abandoned);
        }
        for written in self.written.drain(..).rev() {
            self.waiting.push_front(written.sealed);
        }
        self.close().await;
    }

    /// Closes the file and waits for it. The driver cancels a close that nobody waits for, and on a file system that
    /// closes in the background (overlay, NFS, FUSE) the descriptor and the segment's bytes stay taken then.
    async fn close(&mut self) {
        if let Some(file) = self.file.take() {
            // Everything in it is durable or void: an error has nothing to tell.
            let _ = file.close().await;
        }
    }
}

/// Says which segment was left, and why.
pub(crate) fn log_failure(error: &std::io::Error, segment: Option<u64>, suppressed: u64) {
    let segment = segment.map_or_else(|| "none".to_owned(), |first| format!("{first:016x}"));
    tracing::error!(
        %error,
        segment,
        suppressed,
        "the journal's disk failed: the segment is left, its batches are written again in another or answered 503"
    );
}

/// A batch's arena, as the ring writes it.
struct Arena(Batch);

// SAFETY: an arena is on the heap and never moves or shrinks while its batch is owned here: the pointer stays the same
// and `bytes_init` bytes behind it stay initialised, however the batch itself is moved.
unsafe impl IoBuf for Arena {
    fn read_ptr(&self) -> *const u8 {
        self.0.arena_used().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.arena_used().len()
    }
}

/// Runs both to their ends, so that they are submitted together.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (None, None);
    std::future::poll_fn(|cx| {
        if a_done.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            a_done = Some(output);
        }
        if b_done.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            b_done = Some(output);
        }
        if a_done.is_some() && b_done.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    match (a_done, b_done) {
        (Some(a), Some(b)) => (a, b),
        _ => unreachable!("both are done"),
    }
}

#[cfg(test)]
mod tests;
