//! What the target used while something went on: memory and CPU of its process tree.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::tree::Tree;

/// Between two samples of memory.
const PERIOD: Duration = Duration::from_millis(100);

/// What the target used before, during and after the attack.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Before.
    pub before: Usage,
    /// During; `None` when the process ended.
    pub during: Option<Usage>,
    /// After; `None` when the process ended.
    pub after: Option<Usage>,
}

/// What a process tree used in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// The most that was resident, of samples every 100 ms.
    pub rss_peak_bytes: u64,
    /// What was resident at its end.
    pub rss_end_bytes: u64,
    /// CPU seconds per second.
    pub cpu_share: f64,
}

/// Does `work`, and says what the tree used meanwhile.
pub(super) fn watched<T>(tree: Tree, work: impl FnOnce() -> T) -> (T, io::Result<Usage>) {
    let (start, cpu_before) = (Instant::now(), tree.cpu());
    let (result, rss_peak_bytes) = thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let sampler = scope.spawn(move || {
            let mut most = 0;
            loop {
                // The end of the process is noticed below.
                most = most.max(tree.resident_bytes().unwrap_or(0));
                if is_done.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return most;
                }
            }
        });
        let result = work();
        drop(done);
        (result, sampler.join().unwrap_or(0))
    });
    let usage = || -> io::Result<Usage> {
        let cpu = tree.cpu()?.saturating_sub(cpu_before?);
        let rss_end_bytes = tree.resident_bytes()?;
        Ok(Usage {
            rss_peak_bytes: rss_peak_bytes.max(rss_end_bytes),
            rss_end_bytes,
            cpu_share: cpu.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9),
        })
    };
    (result, usage())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_grows_is_seen_to() {
        let me = Tree::new(std::process::id().cast_signed());
        let (block, usage) = watched(me, || {
            let block = vec![1_u8; 64 << 20];
            thread::sleep(3 * PERIOD);
            block
        });
        let usage = usage.unwrap();
        assert!(usage.rss_end_bytes >= block.len() as u64, "{usage:?}");
        assert!(usage.rss_peak_bytes >= usage.rss_end_bytes && usage.cpu_share > 0.0, "{usage:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Above the largest process number there can be.
        let ((), usage) = watched(Tree::new(0x7fff_fff0), || ());
        assert!(usage.is_err());
    }
}
