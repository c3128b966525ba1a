//! Decided batches on their way back to the shard that owns them.

use std::io::Write;
use std::os::unix::net::UnixStream;

use crossbeam_queue::ArrayQueue;
use millrun_sinks::{Batch, Delivery};

use super::Doorbell;

/// A batch with the outcome of every record in it.
#[derive(Debug)]
#[must_use = "a returned batch decides answers that clients wait for"]
pub struct Returned {
    /// Which lane it comes from.
    pub lane: u16,
    /// The batch, to be recycled.
    pub batch: Batch,
    /// What became of its records.
    pub delivery: Delivery,
}

/// A bounded queue back to one shard, and the bell that wakes it. Shared by all lanes.
#[derive(Debug)]
pub struct ReturnRing {
    queue: ArrayQueue<Returned>,
    bell: Doorbell,
    /// The ringing end of a socket pair; the shard reads the other end through its driver.
    wire: UnixStream,
}

impl ReturnRing {
    /// A ring for `batches` (all that the shard owns, over all lanes), and the end of the wire that its shard reads.
    ///
    /// # Errors
    /// When the kernel gives no socket pair (too many open files).
    pub fn new(batches: usize) -> std::io::Result<(Self, UnixStream)> {
        let (wire, shard_end) = UnixStream::pair()?;
        wire.set_nonblocking(true)?;
        shard_end.set_nonblocking(true)?;
        Ok((Self { queue: ArrayQueue::new(batches.max(1)), bell: Doorbell::new(), wire }, shard_end))
    }

    /// Puts a batch down without waking the shard: see [`ReturnRing::ring`].
    ///
    /// # Panics
    /// When more batches come back than exist.
    pub fn push(&self, returned: Returned) {
        assert!(self.queue.push(returned).is_ok(), "the ring is as long as there are batches");
    }

    /// Wakes the shard, once for everything that was put down.
    pub fn ring(&self) {
        if self.bell.ring() {
            // The wire is empty when the bell was silent, so one byte always fits. A broken wire means that the
            // shard's thread is gone, and with it everybody who could have been told.
            if let Err(error) = (&self.wire).write(&[1]) {
                tracing::error!(%error, "a shard can't be woken");
            }
        }
    }

    /// The shard is awake: call it before [`ReturnRing::pop`].
    pub fn answer(&self) {
        self.bell.answer();
    }

    /// The oldest returned batch, if any.
    #[must_use]
    pub fn pop(&self) -> Option<Returned> {
        self.queue.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrun_sinks::Origin;
    use std::io::Read;

    #[test]
    fn many_returns_send_one_byte() {
        let (ring, mut shard_end) = ReturnRing::new(2).unwrap();
        for slot in 0..2 {
            let batch = Batch::new(Origin { shard: 0, slot }, 16, 1);
            ring.push(Returned { lane: 0, batch, delivery: Delivery::All });
            ring.ring();
        }
        let mut bytes = [0; 8];
        assert_eq!(shard_end.read(&mut bytes).unwrap(), 1);
        ring.answer();
        assert_eq!(ring.pop().unwrap().batch.origin().slot, 0);
        assert_eq!(ring.pop().unwrap().batch.origin().slot, 1);
        assert!(ring.pop().is_none());
        assert_eq!(shard_end.read(&mut bytes).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
