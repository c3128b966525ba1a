//! What the three who work on one stream share: the shard that writes it, the keeper that makes and removes its
//! segments, and the reader that delivers from it. Atomics and bounded queues; nobody waits for anybody.
//!
//! ```text
//!             SegmentFeed                             StreamMarks
//!  keeper ── ready segments ──▶ shard ── durable_below ──▶ reader
//!     ▲  ◀── abandoned ones ───┘                             │
//!     └──────────────────── delivered_below ─────────────────┘
//! ```

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use crossbeam_queue::ArrayQueue;
use millrun_sinks::Wake;

/// Wakes the keeper's thread, once there is one.
#[derive(Clone, Debug, Default)]
pub struct KeeperWake(Arc<OnceLock<Thread>>);

impl KeeperWake {
    /// Says which thread is the keeper's. Only the first call counts.
    pub fn attach(&self, keeper: Thread) {
        let _ = self.0.set(keeper);
    }

    /// Lets the keeper look at everything soon. Cheap when it is awake.
    pub fn wake(&self) {
        if let Some(keeper) = self.0.get() {
            keeper.unpark();
        }
    }
}

/// Wakes whoever delivers from a sink's journal, if it sleeps: a writer that has a consumer awake pays for nothing.
///
/// ```text
///  writer    1 publish durable_below    2 asleep?  ── yes ─▶ wake
///  consumer  3 asleep = true            4 read durable_below, nothing: sleep
/// ```
/// In any order either 4 sees what 1 published, or 2 sees what 3 said: all four are sequentially consistent.
#[derive(Clone, Debug, Default)]
pub struct ConsumerBell(Arc<Sleeper>);

#[derive(Debug, Default)]
struct Sleeper {
    asleep: AtomicBool,
    wake: OnceLock<Wake>,
}

impl ConsumerBell {
    /// Says how the consumer is woken. Only the first call counts.
    pub fn attach(&self, wake: Wake) {
        let _ = self.0.wake.set(wake);
    }

    /// The consumer is about to look whether there is something to deliver, and sleeps if there is not.
    pub fn falls_asleep(&self) {
        self.0.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The consumer goes on by itself.
    pub fn stays_awake(&self) {
        self.0.asleep.store(false, Ordering::SeqCst);
    }

    /// Something became durable.
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.0.asleep.load(Ordering::SeqCst)
            && self.0.asleep.swap(false, Ordering::SeqCst)
            && let Some(wake) = self.0.wake.get()
        {
            wake.wake();
        }
    }
}

/// How far a stream is written and delivered, in sequence numbers.
#[derive(Debug, Default)]
pub struct StreamMarks {
    durable_below: AtomicU64,
    delivered_below: AtomicU64,
    resumed_at: AtomicU64,
    recovered: AtomicBool,
    bell: ConsumerBell,
}

impl StreamMarks {
    /// Those of a stream whose consumer is woken by `bell`.
    #[must_use]
    pub fn new(bell: ConsumerBell) -> Self {
        Self { bell, ..Self::default() }
    }

    /// Wakes the consumer of all streams of this stream's sink.
    #[must_use]
    pub fn bell(&self) -> &ConsumerBell {
        &self.bell
    }

    /// What earlier processes left is known: it is all durable and below `next`, and delivered below `delivered`.
    pub fn recovered(&self, next: u64, delivered: u64) {
        self.durable_below.store(next, Ordering::Relaxed);
        self.delivered_below.store(delivered, Ordering::Relaxed);
        self.resumed_at.store(next, Ordering::Relaxed);
        self.recovered.store(true, Ordering::Release);
    }

    /// False until the stream's state is known: nothing can be read or written before.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// All batches below this number are fsynced; may be read by anybody.
    #[must_use]
    pub fn durable_below(&self) -> u64 {
        self.durable_below.load(Ordering::Acquire)
    }

    /// All batches below this number are delivered.
    #[must_use]
    pub fn delivered_below(&self) -> u64 {
        self.delivered_below.load(Ordering::Acquire)
    }

    /// Numbers below this are of earlier processes.
    #[must_use]
    pub fn resumed_at(&self) -> u64 {
        self.resumed_at.load(Ordering::Acquire)
    }

    /// Only by the stream's writer.
    pub(super) fn publish_durable(&self, below: u64) {
        self.durable_below.fetch_max(below, Ordering::Release);
        self.bell.ring();
    }

    /// Only by the stream's reader.
    pub(super) fn publish_delivered(&self, below: u64) {
        self.delivered_below.fetch_max(below, Ordering::Release);
    }
}

/// A segment as its writer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Unlike that of any other use of the file.
    pub id: u64,
    /// Its first sequence number, and its file's name.
    pub first_sequence: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// A segment that is ready to be written: header and name are durable.
#[derive(Debug)]
pub struct ReadySegment<F> {
    /// Give it to [`super::Appender::begin`].
    pub segment: Segment,
    /// The open file, for reading and writing. Its offset is of no meaning: write at the offsets of the placements.
    pub file: F,
}

/// A segment that is never written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the keeper has to know: give it to SegmentFeed::abandon"]
pub struct Abandoned {
    /// Its first sequence number.
    pub first_sequence: u64,
    /// Nothing in it was ever acknowledged.
    pub empty: bool,
}

/// Why there may be no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Room {
    /// There is one, or will be in a moment.
    Available,
    /// `journal.bytes_max` is in use: something must be delivered first.
    LimitReached,
    /// The file system is full (ENOSPC, EDQUOT).
    DiskFull,
    /// The disk fails or is read-only; the keeper tries again and again.
    DiskFailed,
}

const ROOMS: [Room; 4] = [Room::Available, Room::LimitReached, Room::DiskFull, Room::DiskFailed];

/// The way of segments between a stream's keeper and its writer.
#[derive(Debug)]
pub struct SegmentFeed<F> {
    ready: ArrayQueue<ReadySegment<F>>,
    abandoned: ArrayQueue<Abandoned>,
    room: AtomicU8,
    wake: KeeperWake,
}

impl<F> SegmentFeed<F> {
    /// An empty feed.
    #[must_use]
    pub fn new(wake: KeeperWake) -> Self {
        Self {
            ready: ArrayQueue::new(1),
            abandoned: ArrayQueue::new(64),
            room: AtomicU8::new(Room::Available as u8),
            wake,
        }
    }

    /// The next segment, or `None`: ask again; [`SegmentFeed::room`] says why. Wakes the keeper either way.
    #[must_use]
    pub fn take(&self) -> Option<ReadySegment<F>> {
        let ready = self.ready.pop();
        self.wake.wake();
        ready
    }

    /// Why there was none.
    #[must_use]
    pub fn room(&self) -> Room {
        ROOMS[usize::from(self.room.load(Ordering::Relaxed))]
    }

    /// Tells the keeper that a segment is not to be trusted with anything again.
    pub fn abandon(&self, abandoned: Abandoned) {
        // One that is pushed out is only kept longer, and used again later.
        let _ = self.abandoned.force_push(abandoned);
        self.wake.wake();
    }

    /// True when the keeper has to make a segment.
    pub(super) fn wants_segment(&self) -> bool {
        self.ready.is_empty()
    }

    pub(crate) fn offer(&self, ready: ReadySegment<F>) -> Result<(), ReadySegment<F>> {
        self.set_room(Room::Available);
        self.ready.push(ready)
    }

    pub(crate) fn next_abandoned(&self) -> Option<Abandoned> {
        self.abandoned.pop()
    }

    pub(crate) fn set_room(&self, room: Room) {
        self.room.store(room as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_consumer_is_woken_once_and_only_from_its_sleep() {
        let (bell, woken) = (ConsumerBell::default(), Arc::new(AtomicUsize::new(0)));
        let marks = StreamMarks::new(bell.clone());
        bell.falls_asleep();
        marks.publish_durable(1);
        let count = woken.clone();
        bell.attach(Wake::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        for (asleep, expected) in [(false, 0), (true, 1), (false, 1), (true, 2)] {
            if asleep {
                bell.falls_asleep();
            }
            marks.publish_durable(2);
            marks.publish_durable(3);
            assert_eq!(woken.load(Ordering::Relaxed), expected);
        }
        bell.falls_asleep();
        bell.stays_awake();
        marks.publish_durable(4);
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }
}
