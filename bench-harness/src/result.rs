//! A run's result: versioned, complete, and with everything needed to doubt it.
//!
//! The JSON form is published as a schema (`bench-harness schema`, and `schema/result-v1.json`); a field is never
//! given another meaning without a new version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::latency::Distribution;
use crate::schedule::Schedule;

/// The version this code writes.
pub const VERSION: u32 = 1;

/// One run of load against one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadResult {
    /// The version of this form: 1.
    pub version: u32,
    /// `bench-harness` and its version.
    pub tool: String,
    /// The exact command line.
    pub command: Vec<String>,
    /// When sending began: RFC 3339, UTC.
    pub started_at: String,
    /// The machine it ran on.
    pub host: Host,
    /// What was asked for.
    pub plan: Plan,
    /// Sums over the whole run.
    pub totals: Totals,
    /// From the planned send time to the last byte of the answer. In a closed loop there is no plan: equal to `uncorrected`.
    pub latency: Distribution,
    /// From the actual send to the last byte of the answer: what coordinated omission would report.
    pub uncorrected: Distribution,
    /// By kind of request.
    pub kinds: Vec<KindResult>,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// How the generator itself fared.
    pub generator: Generator,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The target's URL.
    pub target: String,
    /// The workload's name or file.
    pub workload: String,
    /// Its seed.
    pub seed: u64,
    /// The run's number, part of every request's id.
    pub run: u32,
    /// The planned rates; none in a closed loop.
    pub schedule: Option<Schedule>,
    /// Planned length of the run, in seconds.
    pub seconds: f64,
    /// Connections over all threads.
    pub connections: u32,
    /// Generator threads.
    pub threads: u32,
    /// A connection is closed and made anew after this many requests; 0 = never.
    pub requests_per_connection: u64,
    /// Requests that may be under way on a connection at once.
    pub pipelining: u32,
    /// An answer that takes longer counts as `timed_out`, in ms.
    pub timeout_ms: u64,
    /// `io_uring` or `epoll`.
    pub driver: String,
}

/// Sums over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Requests that the plan had due within the run; in a closed loop, those sent.
    pub planned: u64,
    /// Requests of which at least one byte was sent.
    pub sent: u64,
    /// Answered 2xx.
    pub succeeded: u64,
    /// Everything else that was sent, and what could not be sent.
    pub failed: u64,
    /// Due, but never sent, as no connection came free before the end. They are counted in `latency` as having waited until the end.
    pub unsent: u64,
    /// Events in the requests that succeeded.
    pub events: u64,
    /// By outcome: a status, `reset`, `timed_out`, `garbled`, `not_sent`.
    pub outcomes: Vec<OutcomeCount>,
    /// Connections that were made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
    /// Bytes of requests written.
    pub bytes_sent: u64,
    /// Bytes of answers read.
    pub bytes_received: u64,
    /// From the first planned send to the last answer, in seconds.
    pub elapsed_s: f64,
    /// `succeeded / elapsed_s`.
    pub succeeded_per_s: f64,
}

/// How often an outcome was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCount {
    /// A status, `reset`, `timed_out`, `garbled`, `not_sent`.
    pub outcome: String,
    /// How often.
    pub count: u64,
}

/// One kind of request of the workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindResult {
    /// Its name.
    pub kind: String,
    /// Requests sent.
    pub sent: u64,
    /// Answered 2xx.
    pub succeeded: u64,
    /// From the planned send time.
    pub latency: Distribution,
}

/// One second of the run: requests by planned send time, answers by their arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Counted from the start, 0 first.
    pub second: u32,
    /// Requests due in it.
    pub planned: u64,
    /// Answers 2xx that arrived in it.
    pub succeeded: u64,
    /// Failures that were noticed in it.
    pub failed: u64,
    /// Median latency of the answers that arrived in it, in µs.
    pub p50_us: u64,
    /// 99 % of them.
    pub p99_us: u64,
    /// The slowest of them.
    pub max_us: u64,
}

/// How the generator itself fared: whether its numbers are the target's or its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// CPU time of its busiest thread as a share of the run, 0 to 1.
    pub busiest_thread_share: f64,
    /// CPU time of all its threads, in seconds.
    pub cpu_s: f64,
    /// Requests sent more than 1 ms after they were due although a connection was free: the generator's own lateness.
    pub late_sends: u64,
    /// How late those with a free connection were sent, in µs.
    pub lateness: Distribution,
    /// Set when the generator was the bottleneck: why, and what to do. The numbers are then not the target's.
    pub bottleneck: Option<String>,
}
