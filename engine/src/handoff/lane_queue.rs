//! Sealed batches on their way to a lane's thread.

use std::thread::Thread;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use millrun_sinks::Batch;

/// A batch that takes no more records.
#[derive(Debug)]
#[must_use = "a sealed batch holds records that clients wait for"]
pub struct Sealed {
    /// The records.
    pub batch: Batch,
    /// When it was sealed.
    pub sealed_at: Instant,
    /// When its requests are answered whatever happens.
    pub deadline: Instant,
    /// Some record of it was answered 200 before it was stored: it is given up only with the process.
    pub patient: bool,
}

/// A bounded queue into one lane. Shared by all shards; the lane's thread is the only consumer.
#[derive(Debug)]
pub struct LaneQueue {
    queue: ArrayQueue<Sealed>,
    /// Set by the lane's thread before any shard starts.
    sleeper: std::sync::OnceLock<Thread>,
}

impl LaneQueue {
    /// A queue for `batches`: as many as all shards together own for this lane.
    #[must_use]
    pub fn new(batches: usize) -> Self {
        Self { queue: ArrayQueue::new(batches.max(1)), sleeper: std::sync::OnceLock::new() }
    }

    /// Says which thread sleeps on this queue. Only the first call counts.
    pub fn attach(&self, sleeper: Thread) {
        let _ = self.sleeper.set(sleeper);
    }

    /// Hands a batch over. Costs a system call only when the lane's thread is asleep.
    ///
    /// # Panics
    /// When more batches are pushed than exist: a batch would have been made from nothing.
    pub fn push(&self, sealed: Sealed) {
        assert!(self.queue.push(sealed).is_ok(), "the queue is as long as there are batches");
        self.wake();
    }

    /// Wakes the lane's thread.
    pub fn wake(&self) {
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.unpark();
        }
    }

    /// The oldest batch, if any.
    #[must_use]
    pub fn pop(&self) -> Option<Sealed> {
        self.queue.pop()
    }

    /// Batches that wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
