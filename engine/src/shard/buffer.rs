//! Read buffers, and the memory that they may take together.
//!
//! Every connection owns a small buffer ([`crate::limits::CONNECTION_BUFFER_BYTES`]). A head or a body that
//! outgrows it moves to a larger one from the shard's [`BufferPool`], whose sizes are powers of two, whose bytes
//! are bounded, and which keeps what it once allocated: after warm-up it allocates nothing.

use std::cell::RefCell;
use std::rc::Rc;

/// Bytes read from a socket, in a fixed block.
///
/// ```text
///   0 ───────── filled ───────────── len
///   │ read bytes  │ the kernel writes here │
/// ```
/// The default is an empty buffer without a block: what stands in while the driver owns the real one.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    /// Fully initialised (zeroed at first), so that every index is safe to read.
    block: Box<[u8]>,
    /// At most `block.len()`.
    filled: usize,
    /// Where a pooled block goes when the buffer is dropped.
    pool: Option<Rc<BufferPool>>,
}

impl ReadBuffer {
    /// A buffer of its own, outside of any pool.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { block: vec![0; bytes].into_boxed_slice(), filled: 0, pool: None }
    }

    /// What has been read.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.block[..self.filled]
    }

    /// What has been read, for decoding in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.block[..self.filled]
    }

    /// Size of the block.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.block.len()
    }

    /// True when nothing more can be read into it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.filled == self.block.len()
    }

    /// True when the block belongs to a pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.pool.is_some()
    }

    /// Keeps only the bytes from `start` on, moved to the front.
    pub fn discard_front(&mut self, start: usize) {
        self.block.copy_within(start..self.filled, 0);
        self.filled -= start;
    }

    /// Forgets the bytes between `kept` and `next`: what follows them moves down to `kept`.
    pub fn close_gap(&mut self, kept: usize, next: usize) {
        self.block.copy_within(next..self.filled, kept);
        self.filled -= next - kept;
    }

    /// Copies what has been read into `larger`, which takes its place; returns the old one.
    ///
    /// # Panics
    /// If `larger` is too small.
    #[must_use]
    pub fn move_into(&mut self, mut larger: Self) -> Self {
        larger.block[..self.filled].copy_from_slice(self.filled());
        larger.filled = self.filled;
        std::mem::replace(self, larger)
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.take_back(std::mem::take(&mut self.block));
        }
    }
}

// SAFETY: `write_ptr..write_ptr + bytes_total` is the unfilled part of `block`: one boxed slice that is exclusively
// ours, whose address does not change when the `ReadBuffer` moves, and which lives as long as the `ReadBuffer` (the
// driver owns it for the length of the operation). `set_init` is called with at most `bytes_total`.
unsafe impl monoio::buf::IoBufMut for ReadBuffer {
    fn write_ptr(&mut self) -> *mut u8 {
        self.block[self.filled..].as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.block.len() - self.filled
    }

    unsafe fn set_init(&mut self, read: usize) {
        debug_assert!(read <= self.block.len() - self.filled);
        self.filled += read;
    }
}

/// Size classes: 8 KiB << 0..=`CLASS_MAX`.
const CLASS_MIN_BYTES: usize = 8 * 1024;
const CLASSES: usize = 20;

/// Larger buffers of one shard: bounded, kept, one thread.
#[derive(Debug)]
pub struct BufferPool {
    bytes_max: usize,
    inner: RefCell<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Bytes of all blocks that exist, free and in use.
    bytes: usize,
    free: [Vec<Box<[u8]>>; CLASSES],
}

impl BufferPool {
    /// A pool that never holds more than `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Rc<Self> {
        let inner = Inner { bytes: 0, free: std::array::from_fn(|_| Vec::new()) };
        Rc::new(Self { bytes_max, inner: RefCell::new(inner) })
    }

    /// Bytes of the block that [`BufferPool::take`] gives for `bytes`.
    #[must_use]
    pub fn block_bytes(bytes: usize) -> usize {
        bytes.next_power_of_two().max(CLASS_MIN_BYTES)
    }

    /// A buffer of at least `bytes`, or `None` when the pool's memory is in use.
    pub fn take(self: &Rc<Self>, bytes: usize) -> Option<ReadBuffer> {
        let block_bytes = Self::block_bytes(bytes);
        let class = Self::class(block_bytes)?;
        let mut inner = self.inner.borrow_mut();
        let block = if let Some(block) = inner.free[class].pop() {
            block
        } else {
            inner.make_room(block_bytes, self.bytes_max)?;
            inner.bytes += block_bytes;
            vec![0; block_bytes].into_boxed_slice()
        };
        Some(ReadBuffer { block, filled: 0, pool: Some(self.clone()) })
    }

    fn class(block_bytes: usize) -> Option<usize> {
        let class = (block_bytes / CLASS_MIN_BYTES).trailing_zeros() as usize;
        (class < CLASSES).then_some(class)
    }

    fn take_back(&self, block: Box<[u8]>) {
        let class = Self::class(block.len()).expect("the block came from here");
        self.inner.borrow_mut().free[class].push(block);
    }

    /// Bytes that exist now, free and in use.
    pub fn bytes(&self) -> usize {
        self.inner.borrow().bytes
    }
}

impl Inner {
    /// Lets go of free blocks of other sizes until `block_bytes` more stay within the bound.
    fn make_room(&mut self, block_bytes: usize, bytes_max: usize) -> Option<()> {
        for class in (0..CLASSES).rev() {
            while self.bytes + block_bytes > bytes_max {
                let Some(block) = self.free[class].pop() else { break };
                self.bytes -= block.len();
            }
        }
        (self.bytes + block_bytes <= bytes_max).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoio::buf::IoBufMut;

    fn read(buffer: &mut ReadBuffer, bytes: &[u8]) {
        assert!(bytes.len() <= buffer.bytes_total());
        // SAFETY: what the kernel does: bytes_total bytes behind write_ptr are ours to write.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.write_ptr(), bytes.len());
            buffer.set_init(bytes.len());
        }
    }

    #[test]
    fn bytes_are_appended_and_discarded() {
        let mut buffer = ReadBuffer::new(8);
        read(&mut buffer, b"abc");
        read(&mut buffer, b"defgh");
        assert!(buffer.is_full());
        buffer.close_gap(2, 5);
        assert_eq!(buffer.filled(), b"abfgh");
        buffer.discard_front(4);
        assert_eq!(buffer.filled(), b"h");
        assert_eq!(buffer.bytes_total(), 7);
    }

    #[test]
    fn the_pool_is_bounded_and_reuses_its_blocks() {
        let pool = BufferPool::new(48 * 1024);
        let small = pool.take(5000).unwrap();
        assert_eq!(small.capacity(), 8192);
        let large = pool.take(32 * 1024).unwrap();
        assert!(pool.take(16 * 1024).is_none(), "40 of 48 KiB are in use");
        drop(large);
        let address = {
            let again = pool.take(20_000).unwrap();
            again.block.as_ptr()
        };
        assert_eq!(pool.take(32 * 1024).unwrap().block.as_ptr(), address);
        assert_eq!(pool.bytes(), 40 * 1024);
        let other = pool.take(16 * 1024).unwrap();
        assert_eq!(pool.bytes(), 24 * 1024, "the free 32 KiB gave way");
        assert!(pool.take(64 * 1024).is_none());
        drop((small, other));
    }

    #[test]
    fn growing_keeps_what_was_read_and_gives_the_old_block_back() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = ReadBuffer::new(4);
        read(&mut buffer, b"head");
        let old = buffer.move_into(pool.take(10_000).unwrap());
        assert_eq!(old.capacity(), 4);
        assert_eq!(buffer.filled(), b"head");
        assert!(buffer.is_pooled());
        drop(buffer.move_into(pool.take(20_000).unwrap()));
        assert_eq!(buffer.filled(), b"head");
        assert_eq!(pool.inner.borrow().free[1].len(), 1, "16 KiB are free again");
    }
}
