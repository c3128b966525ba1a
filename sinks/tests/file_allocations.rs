//! A warm file sink allocates nothing to store a batch, however many records it has.
//!
//! A test of its own, because it replaces the process's allocator by one that counts.
#![cfg(feature = "file")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use millrun_sinks::file::{Compression, Options, open};
use millrun_sinks::{Batch, Delivery, Origin, Records, Settled, Sink, Submission, Wake};

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // The thread's storage may be gone while it ends; nothing is counted then.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps GlobalAlloc's contract, which is that of `System` too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`; `place` came from `System`.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as in `dealloc`.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn filled(slot: u16, keyed: bool) -> Batch {
    let mut batch = Batch::new(Origin { shard: 0, slot }, 64 * 1024, 512);
    for number in 0..512 {
        let line = format!("k{{\"n\":{number},\"slot\":{slot}}}");
        let start = usize::from(!keyed);
        let bytes = line.len() - start;
        let appended = batch.append_with(|free| {
            free[..bytes].copy_from_slice(&line.as_bytes()[start..]);
            Some((1 - start, line.len() - 1))
        });
        assert!(appended.is_ok());
    }
    batch
}

#[test]
fn a_warm_file_sink_allocates_nothing() {
    for compression in [Compression::None, Compression::Gzip { level: 3 }] {
        for keyed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let options = Options {
                dir: dir.path().to_path_buf(),
                compression,
                rotate_bytes: u64::MAX,
                rotate_age: Duration::from_mins(50),
                record_bytes_max: 1 << 20,
            };
            // A clock that stands still: no hour ends during the test.
            let mut sink = open(&options, || SystemTime::UNIX_EPOCH, Wake::new(|| ())).unwrap();
            let mut batches: Vec<_> = (0..4).map(|slot| filled(slot, keyed)).collect();
            let mut settled: Vec<Settled> = Vec::with_capacity(batches.len());
            let mut allocations = 0;
            for round in 0..6 {
                let before = ALLOCATIONS.get();
                let now = Instant::now();
                for batch in batches.drain(..) {
                    sink.submit(Submission { batch, records: Records::All, deadline: now }, now);
                }
                sink.poll(now, &mut settled);
                if round > 1 {
                    allocations += ALLOCATIONS.get() - before;
                }
                for Settled { batch, delivery } in settled.drain(..) {
                    assert_eq!(delivery, Delivery::All);
                    batches.push(batch);
                }
            }
            assert_eq!(allocations, 0, "{compression:?}, keyed: {keyed}");
        }
    }
}
