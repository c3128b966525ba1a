//! How many bytes the journal may have on the disk: one number for all of its sinks and streams, a hard limit.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that are in use, and their limit. Whoever makes a file takes its size first.
#[derive(Debug)]
pub struct Budget {
    bytes_max: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, used_bytes: AtomicU64::new(0) }
    }

    /// Takes `bytes`, or nothing and returns false when they would exceed the limit.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|after| *after <= self.bytes_max || bytes == 0);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Counts bytes that are there whatever the limit says: what an earlier process left under a higher one.
    pub fn force(&self, bytes: u64) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was taken.
    pub fn give(&self, bytes: u64) {
        let before = self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more was given back than taken");
    }

    /// Bytes in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The limit.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_hard() {
        let budget = Budget::new(100);
        assert!(budget.take(60));
        assert!(!budget.take(41));
        assert!(budget.take(40));
        assert_eq!(budget.used_bytes(), 100);
        budget.give(60);
        budget.force(200);
        assert!(!budget.take(1), "an earlier process left more than is allowed now");
        assert!(budget.take(0) && !budget.take(u64::MAX));
    }
}
