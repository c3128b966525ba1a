//! Sending: what one run of load is, and running it.
//!
//! One thread per worker, each with its own runtime, connections, histograms and observer; nothing is shared while
//! the run goes on but four counters that a progress bar reads. What the threads counted is added up in the end.

mod alarm;
pub(crate) mod answer;
mod assemble;
mod connection;
pub(crate) mod runtime;
mod tally;
mod worker;

#[cfg(test)]
mod tests;

pub use assemble::{LoadError, run};

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::request::{Outcome, RequestId, Shape};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::workload::WorkloadSpec;

/// Which of monoio's drivers the generator runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Driver {
    /// `io_uring` where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// `io_uring` or an error.
    #[value(name = "io_uring")]
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

impl Pace {
    /// How long requests are sent.
    #[must_use]
    pub fn length(&self) -> Duration {
        match self {
            Self::Open(schedule) => schedule.duration(),
            Self::Closed(length) => *length,
        }
    }
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
