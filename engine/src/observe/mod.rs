//! Metrics, histograms and logs.
//!
//! Shards and lanes write cells that only they write ([`shard`], [`lane`]); the admin thread reads them when it is
//! asked ([`registry`], [`render`]). What each metric is called is one table ([`family`]). Nothing here can make a shard wait.

pub mod counter;
pub mod emf;
pub mod family;
pub mod interval;
pub mod lane;
pub mod latency;
pub mod log;
pub mod outcome;
pub mod phase;
pub mod pool;
pub mod process;
pub mod rate;
pub mod registry;
pub mod render;
pub mod shard;

pub use lane::{BreakerState, LaneMetrics, LaneRecorder};
pub use outcome::{CloseReason, Outcome, SealReason};
pub use phase::{Phase, PhaseCell};
pub use rate::Allowance;
pub use registry::{MemoryShare, Metrics, Shape, SinkName};
pub use shard::{ShardMetrics, ShardRecorder};
