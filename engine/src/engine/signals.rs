//! What ends the engine: a signal, or a shard that ended by itself.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// SIGTERM, SIGINT and SIGHUP, from when it is made: one that comes before anybody waits is not lost, and does not end
/// the process as it would without.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Why [`Signals::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// SIGTERM or SIGINT.
    End,
    /// SIGHUP: read the configuration again.
    ReadAgain,
    /// A shard ended.
    ShardEnded,
}

impl Signals {
    /// # Errors
    /// The kernel's, where the process may have no more descriptors, say.
    pub(super) fn listen() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = signal(SignalKind::hangup())?;
        drop(inside);
        Ok(Self { runtime, terminate, interrupt, hangup })
    }

    /// Waits for a signal, or a shard that ended.
    pub(super) fn wait(&mut self, ended: &mut UnboundedReceiver<u16>) -> Woken {
        let Self { runtime, terminate, interrupt, hangup } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Woken::End,
                _ = interrupt.recv() => Woken::End,
                _ = hangup.recv() => Woken::ReadAgain,
                shard = ended.recv() => {
                    tracing::error!(?shard, "a shard's thread ended");
                    Woken::ShardEnded
                }
            }
        })
    }

    /// Waits for `delay`, a further signal (an operator in a hurry), or a shard that ended.
    pub(super) fn wait_or(&mut self, ended: &mut UnboundedReceiver<u16>, delay: Duration) {
        let Self { runtime, terminate, interrupt, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = ended.recv() => {}
                () = tokio::time::sleep(delay) => {}
            }
        });
    }

    /// Ends the process at `deadline`, or at a further signal, unless what it returns is dropped before.
    ///
    /// A thread can hang where nothing can wake it: in `fsync` on a disk that went away, say. What it holds is not
    /// stored, and was not answered 200.
    pub(super) fn end_process_at(self, deadline: Instant) -> impl Drop {
        let (disarm, disarmed) = tokio::sync::oneshot::channel::<()>();
        let Self { runtime, mut terminate, mut interrupt, .. } = self;
        let watch = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = disarmed => return,
                    _ = terminate.recv() => tracing::error!("a further signal: the process ends at once"),
                    _ = interrupt.recv() => tracing::error!("a further signal: the process ends at once"),
                    () = tokio::time::sleep(deadline.saturating_duration_since(Instant::now())) => {
                        tracing::error!("the time for the drain has passed and something still hangs: the process ends");
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
}
