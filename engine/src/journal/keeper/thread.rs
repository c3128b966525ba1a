//! The keeper's thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Keeper;
use crate::journal::disk::Disk;
use crate::journal::stream::KeeperWake;

/// How often the keeper looks around by itself: how far the streams are delivered, whether what failed works again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A running keeper.
#[derive(Debug)]
pub struct KeeperHandle {
    stop: Arc<AtomicBool>,
    wake: KeeperWake,
    thread: std::thread::JoinHandle<()>,
}

/// Starts the keeper's thread.
///
/// # Errors
/// When the kernel gives no thread.
pub fn start<D: Disk>(mut keeper: Keeper<D>) -> io::Result<KeeperHandle>
where
    Keeper<D>: Send,
{
    let stop = Arc::new(AtomicBool::new(false));
    let (wake, stopped) = (keeper.wake.clone(), stop.clone());
    let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
        keeper.wake.attach(std::thread::current());
        let mut worked = true;
        loop {
            // Before the turn, so that the last one sees everything that came before the stop.
            let last = stopped.load(Ordering::Acquire);
            let works = keeper.turn();
            if works != worked {
                report(&keeper, works);
                worked = works;
            }
            if last {
                keeper.close();
                return;
            }
            // A wake since the last look is a token that this takes: none is lost.
            std::thread::park_timeout(LOOK_EVERY);
        }
    })?;
    Ok(KeeperHandle { stop, wake, thread })
}

fn report<D: Disk>(keeper: &Keeper<D>, works: bool) {
    let dir = keeper.dir.display();
    if works {
        tracing::info!(%dir, "the journal has room again");
        return;
    }
    let budget = keeper.budget();
    tracing::warn!(
        %dir,
        used_bytes = budget.used_bytes(),
        bytes_max = budget.bytes_max(),
        "the journal gets no further room: its limit is reached, or the disk is full or fails; it is tried again"
    );
    for (stream, error) in keeper.unrecovered() {
        tracing::error!(%dir, sink = stream.sink, stream = stream.stream, %error, "a stream can't be read");
    }
}

impl KeeperHandle {
    /// Ends the keeper: a last turn, and the cursors written durably. Then the lock on the directory is free.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.wake.wake();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the journal's keeper panicked");
        }
    }
}
