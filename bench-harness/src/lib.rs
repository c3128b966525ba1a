//! Numbers that a sceptic would accept: a load generator, an auditor and a comparer for HTTP ingestion endpoints.
//!
//! Nothing here knows the inside of any server: a target is an address, a way to read its sink back, and a command
//! that starts it. So the same run measures Millrun, an older Millrun, or any peer.
//!
//! ```text
//!   workload ──▶ request + id ──▶ load (open loop, planned times) ──▶ outcome ─┬▶ histograms ──▶ result ──▶ report
//!   (data, seed)                                                               └▶ ledger ─────▶ audit ◀── the sink, read back
//!   compare, maximum, evil: runs of load, arranged
//! ```

pub mod audit;
pub mod cli;
pub mod compare;
pub mod evil;
pub mod host;
pub mod latency;
pub mod load;

pub mod maximum;
pub mod options;
pub mod report;
pub mod request;
pub mod result;
pub mod schedule;
pub mod target;
pub mod workload;
