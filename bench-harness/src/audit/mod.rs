//! What was answered against what was stored: nothing that was acked may be lost or changed.
//!
//! ```text
//!   load::run ─▶ WorkerLedger (one a thread) ─▶ Ledger ───────────┬─▶ Verdict ─▶ exit code, table, JSON
//!   the sink ──▶ Store::read ─▶ RecordForm::find ─▶ Sightings ────┘
//! ```
//!
//! The ledger knows what was sent, and how each request ended. A [`Store`](store::Store) is the sink read back. [`RecordForm`](record::RecordForm) says
//! how a request is recognised in a stored record. Ledger, sightings, record and verdict have neither socket nor clock.
//!
//! The ledger is kept on this side of the connection only, so a target can be killed, restarted or lie, and the
//! verdict is still about what it promised and what is there.

pub mod files;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kinesis")]
pub mod kinesis;
pub mod ledger;
pub mod record;
pub mod run;
pub mod sightings;
pub mod store;
mod table;
pub mod verdict;

#[cfg(test)]
mod tests;
