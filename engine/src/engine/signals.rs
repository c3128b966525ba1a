//! What ends the engine: a signal, or a shard that ended by itself.

use std::time::Duration;

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
