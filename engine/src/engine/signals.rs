//! What ends the engine: a signal, or a shard that ended by itself.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// Waits for SIGTERM or SIGINT; false when a shard ended first (or signals can't be had).
pub(super) fn wait(ended: &mut UnboundedReceiver<u16>) -> bool {
    on_runtime(async {
        let Some((mut terminate, mut interrupt)) = handlers() else { return false };
        tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            shard = ended.recv() => {
                tracing::error!(?shard, "a shard's thread ended");
                false
            }
        }
    })
}

/// Waits for `delay`, a further signal (an operator in a hurry), or a shard that ended.
pub(super) fn wait_or(ended: &mut UnboundedReceiver<u16>, delay: Duration) {
    on_runtime(async {
        let Some((mut terminate, mut interrupt)) = handlers() else { return false };
        tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            _ = ended.recv() => false,
            () = tokio::time::sleep(delay) => true,
        }
    });
}

/// Ends the process at `deadline`, or at a further signal, unless what it returns is dropped before.
///
/// A thread can hang where nothing can wake it: in `fsync` on a disk that went away, say. What it holds is not stored,
/// and was not answered 200.
pub(super) fn end_process_at(deadline: Instant) -> impl Drop {
    let (disarm, disarmed) = tokio::sync::oneshot::channel::<()>();
    let watch = move || {
        on_runtime(async {
            let Some((mut terminate, mut interrupt)) = handlers() else { return false };
            tokio::select! {
                _ = disarmed => return true,
                _ = terminate.recv() => tracing::error!("a further signal: the process ends at once"),
                _ = interrupt.recv() => tracing::error!("a further signal: the process ends at once"),
                () = tokio::time::sleep(deadline.saturating_duration_since(Instant::now())) => {
                    tracing::error!("server.drain_deadline_ms has passed and something still hangs: the process ends");
                }
            }
            std::process::exit(1)
        });
    };
    if let Err(error) = std::thread::Builder::new().name("drain-watch".into()).spawn(watch) {
        tracing::error!(%error, "no thread watches over the drain's deadline");
    }
    disarm
}

fn handlers() -> Option<(Signal, Signal)> {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => Some((terminate, interrupt)),
        (terminate, interrupt) => {
            tracing::error!(?terminate, ?interrupt, "no signal handler");
            None
        }
    }
}

fn on_runtime(wait: impl Future<Output = bool>) -> bool {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(wait),
        Err(error) => {
            tracing::error!(%error, "the main thread can't wait for signals");
            false
        }
    }
}
