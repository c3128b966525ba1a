//! How much memory a tree holds while something goes on.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::tree::{Memory, Tree};

/// Between two samples. Each walks the page tables of the whole tree, so not too often.
const PERIOD: Duration = Duration::from_secs(1);

/// Runs `work`, and takes samples of `tree` before, every second, and after: the largest of each kind. What lasts less
/// than a second is seen only by `peak_rss_bytes`, which the kernel keeps.
pub(super) fn watched<T>(tree: Tree, work: impl FnOnce() -> T) -> (T, Memory) {
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let sampler = scope.spawn(move || {
            let mut most = Memory::default();
            loop {
                // When /proc can't be read once, the other samples are as good.
                most = largest(most, tree.memory().unwrap_or_default());
                if is_done.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return largest(most, tree.memory().unwrap_or_default());
                }
            }
        });
        let result = work();
        drop(done);
        (result, sampler.join().unwrap_or_default())
    })
}

fn largest(a: Memory, b: Memory) -> Memory {
    Memory {
        peak_rss_bytes: a.peak_rss_bytes.max(b.peak_rss_bytes),
        rss_bytes: a.rss_bytes.max(b.rss_bytes),
        pss_bytes: a.pss_bytes.max(b.pss_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_each_kind_is_kept() {
        let (a, b) = (
            Memory { peak_rss_bytes: 3, rss_bytes: 1, pss_bytes: 9 },
            Memory { peak_rss_bytes: 2, rss_bytes: 5, pss_bytes: 0 },
        );
        assert_eq!(largest(a, b), Memory { peak_rss_bytes: 3, rss_bytes: 5, pss_bytes: 9 });
    }

    #[test]
    fn work_is_watched_from_beginning_to_end() {
        let me = Tree::new(std::process::id().cast_signed());
        let (result, memory) = watched(me, || 7);
        assert_eq!(result, 7);
        assert!(memory.rss_bytes > 0 && memory.peak_rss_bytes > 0, "{memory:?}");
    }
}
