//! The cells that metrics are made of: one thread writes, any thread reads, nobody waits.
//!
//! ```text
//!   shard or lane thread ── load, add, store (Relaxed) ──▶ AtomicU64 ──▶ load (Relaxed) ── admin thread
//!        the only writer                                                     any reader
//! ```
//!
//! With a single writer a plain load and store can't lose an addition, so no locked read-modify-write is needed
//! (on x86-64 that is one ordinary `add` to memory's worth of work instead of a bus lock). That is why writing is
//! private to this module: only the recorders do it, and a recorder can't be shared between threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that only grows. Wraps after 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Must be called by the one thread that owns the cell.
    #[inline]
    pub(super) fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The count as of some moment during the call.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value. Must be called by the one thread that owns the cell.
    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The value as of some moment during the call.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_reader_sees_a_growing_count_and_loses_nothing() {
        const ADDITIONS: u64 = 200_000;
        let counter = Counter::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| {
                let mut last = 0;
                while !done.load(Relaxed) {
                    let now = counter.get();
                    assert!(now >= last, "a count never goes back");
                    last = now;
                    std::thread::yield_now();
                }
            });
            for _ in 0..ADDITIONS {
                counter.add(3);
            }
            done.store(true, Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(counter.get(), 3 * ADDITIONS);
    }

    #[test]
    fn a_gauge_is_what_was_set_last() {
        let gauge = Gauge::default();
        gauge.set(7);
        gauge.set(2);
        assert_eq!(gauge.get(), 2);
    }
}
