//! Sending: what one run of load is, and running it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::request::{Outcome, RequestId, Shape};
use crate::result::LoadResult;
use crate::schedule::Schedule;
use crate::target::Target;
use crate::workload::{WorkloadError, WorkloadSpec};

/// Which of monoio's drivers the generator runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// `io_uring` where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// `io_uring` or an error.
    IoUring,
    /// epoll.
    Epoll,
}

/// Who decides when the next request goes out.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// The plan does: requests leave when they are due, whatever happens to the earlier ones.
    Open(Schedule),
    /// The target does: every connection sends as soon as its last answer is there. Hides stalls; an explicit choice.
    Closed(Duration),
}

/// One run of load.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Where it goes.
    pub target: Target,
    /// What is sent.
    pub workload: WorkloadSpec,
    /// When.
    pub pace: Pace,
    /// Connections over all threads; at least one a thread.
    pub connections: u32,
    /// Generator threads; at least one.
    pub threads: u8,
    /// CPUs to pin them to, one each, in turn; empty = not pinned.
    pub cpus: Vec<usize>,
    /// A connection is closed after this many requests and made anew; 0 = never.
    pub requests_per_connection: u64,
    /// Requests under way at once on one connection; 1 = no pipelining.
    pub pipelining: u32,
    /// How long an answer may take before the request counts as timed out.
    pub timeout: Duration,
    /// The driver.
    pub driver: Driver,
    /// The run's number, part of every id; draw it with [`new_run`].
    pub run: u32,
}

/// A number for a new run, unlikely to have been used before.
#[must_use]
pub fn new_run() -> u32 {
    fastrand::u32(..)
}

/// Hears how every request ended. One per thread, so it needs no lock.
pub trait Observer: Send {
    /// Called before the first byte of the request is sent.
    fn sending(&mut self, id: RequestId, shape: &Shape);
    /// Called once for every id that was announced by `sending`.
    fn ended(&mut self, id: RequestId, shape: &Shape, outcome: Outcome);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn sending(&mut self, _: RequestId, _: &Shape) {}
    fn ended(&mut self, _: RequestId, _: &Shape, _: Outcome) {}
}

/// What can be watched of a run while it goes on (for a progress bar), and a way to end it early.
#[derive(Debug, Default)]
pub struct Live {
    /// Answered 2xx so far.
    pub succeeded: AtomicU64,
    /// Failed so far.
    pub failed: AtomicU64,
    /// p99 of the last full second, in µs, of the thread that was slowest.
    pub p99_us: AtomicU64,
    /// Set it to end the run: nothing more is sent, answers under way are still awaited.
    pub stop: AtomicBool,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The workload.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The operating system, on the way to something.
    #[error("{doing}: {error}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Its answer.
        error: std::io::Error,
    },
}

/// Runs `plan` to its end on threads of its own. Every thread makes its observer with its worker number; they come
/// back in that order. Requests that fail are part of the result, not errors.
///
/// # Errors
/// When the run could not begin.
pub fn run<O: Observer + 'static>(
    plan: &LoadPlan,
    live: &Arc<Live>,
    observer: impl Fn(u8) -> O,
) -> Result<(LoadResult, Vec<O>), LoadError> {
    let _ = (plan, live, observer);
    Err(LoadError::System { doing: "run", error: std::io::Error::other("not written yet") })
}
