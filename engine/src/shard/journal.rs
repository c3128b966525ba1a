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

use std::fs::File as StdFile;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use millrun_sinks::{Batch, Delivery, Fate, Fault, FaultKind, Retry, Whose};
use monoio::buf::IoBuf;
use monoio::fs::File;

use super::state::Shard;
use crate::handoff::{Returned, Sealed};
use crate::journal::{Appender, Room, ShardStream};

/// A segment that is not there yet is made by the keeper in about this time.
const SEGMENT_PAUSE: Duration = Duration::from_millis(1);
/// And waited for at most this long, in pauses.
const SEGMENT_PAUSES_MAX: u32 = 200;

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
    let batches = usize::from(shard.settings.batch.slots());
    let mut writer = Writer {
        appender: Appender::new(stream.marks.clone(), batches, shard.settings.batch.records_max),
        stream,
        file: None,
    };
    let mut group = Vec::with_capacity(batches);
    loop {
        std::future::poll_fn(|cx| shard.journal_bell(sink).poll(cx.waker())).await;
        loop {
            group.extend(std::iter::from_fn(|| shard.lanes[sink].queue.pop()));
            if group.is_empty() {
                break;
            }
            writer
                .commit(&mut group, &mut |batch, delivery| {
                    #[allow(clippy::cast_possible_truncation, reason = "sinks are few")]
                    shard.take_home(Returned { lane: sink as u16, batch, delivery });
                })
                .await;
            shard.ring_sealer();
        }
    }
}

struct Writer {
    appender: Appender,
    stream: ShardStream<StdFile>,
    file: Option<File>,
}

/// Written and not fsynced.
struct Written {
    sealed: Sealed,
    sequence: u64,
}

impl Writer {
    /// Makes a group durable, batch by batch in order, and says of each what became of it.
    async fn commit(&mut self, group: &mut Vec<Sealed>, settle: &mut impl FnMut(Batch, Delivery)) {
        let mut written: Vec<Written> = Vec::with_capacity(group.len());
        let mut tries_left = 2;
        let mut rest = std::mem::take(group);
        while tries_left > 0 {
            let failed = self.write_all(&mut rest, &mut written, settle).await.is_err()
                || self.fsync(&mut written, settle).await.is_err();
            if !failed {
                // No segment was to be had for what is left.
                let fault = no_room(self.stream.feed.room());
                rest.drain(..).for_each(|sealed| settle(sealed.batch, Delivery::None(fault)));
                break;
            }
            tries_left -= 1;
            self.file = None;
            if let Some(abandoned) = self.appender.failed() {
                self.stream.feed.abandon(abandoned);
            }
            // What was written is written again, in front of what was not yet.
            let again: Vec<_> =
                written.drain(..).map(|written| written.sealed).chain(rest.drain(..)).collect();
            rest = again;
        }
        rest.drain(..).for_each(|sealed| settle(sealed.batch, Delivery::None(IN_DOUBT)));
        *group = rest;
    }

    /// Writes batches until `rest` is empty or there is no segment for the next one.
    async fn write_all(
        &mut self,
        rest: &mut Vec<Sealed>,
        written: &mut Vec<Written>,
        settle: &mut impl FnMut(Batch, Delivery),
    ) -> std::io::Result<()> {
        let mut queue = std::mem::take(rest).into_iter();
        let mut result = Ok(());
        for sealed in queue.by_ref() {
            match self.write_one(sealed, written, settle).await {
                Ok(None) => {}
                Ok(Some(no_segment)) => {
                    rest.push(no_segment);
                    break;
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        rest.extend(queue);
        result
    }

    /// Writes one batch; gives it back when there is no segment for it.
    async fn write_one(
        &mut self,
        sealed: Sealed,
        written: &mut Vec<Written>,
        settle: &mut impl FnMut(Batch, Delivery),
    ) -> std::io::Result<Option<Sealed>> {
        let placement = if let Ok(placement) = self.appender.place(&sealed.batch) {
            placement
        } else {
            if let Err(error) = self.fsync(written, settle).await {
                written.push(Written { sealed, sequence: u64::MAX });
                return Err(error);
            }
            if !self.next_segment().await {
                return Ok(Some(sealed));
            }
            let Ok(placement) = self.appender.place(&sealed.batch) else { return Ok(Some(sealed)) };
            placement
        };
        let Some(file) = &self.file else { return Ok(Some(sealed)) };
        let (sequence, offset, arena_offset) =
            (placement.sequence, placement.offset, placement.arena_offset());
        let Sealed { batch, sealed_at, deadline, patient } = sealed;
        let head = file.write_all_at(placement.head, offset);
        let arena = file.write_all_at(Arena(batch), arena_offset);
        let ((head_result, head), (arena_result, Arena(batch))) = both(head, arena).await;
        self.appender.give_back(head);
        written.push(Written { sealed: Sealed { batch, sealed_at, deadline, patient }, sequence });
        head_result.and(arena_result).map(|()| None)
    }

    /// Makes durable what was written, and settles it.
    async fn fsync(
        &mut self,
        written: &mut Vec<Written>,
        settle: &mut impl FnMut(Batch, Delivery),
    ) -> std::io::Result<()> {
        let (Some(last), Some(file)) = (written.last(), &self.file) else { return Ok(()) };
        file.sync_data().await?;
        let below = self.appender.durable(last.sequence);
        for Written { sealed, sequence } in written.drain(..) {
            debug_assert!(sequence < below);
            settle(sealed.batch, Delivery::All);
        }
        Ok(())
    }

    /// Goes on in the next segment, which the keeper has made or is about to make.
    async fn next_segment(&mut self) -> bool {
        for _ in 0..SEGMENT_PAUSES_MAX {
            if let Some(ready) = self.stream.feed.take() {
                self.file = File::from_std(ready.file).ok();
                return self.file.is_some() && self.appender.begin(ready.segment).is_ok();
            }
            if self.stream.feed.room() != Room::Available {
                return false;
            }
            monoio::time::sleep(SEGMENT_PAUSE).await;
        }
        false
    }
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
