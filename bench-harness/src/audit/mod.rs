//! What was answered against what was stored.
//!
//! ```text
//!   load ── every id, before it is sent ──▶ ledger ── how it was answered ─┐
//!                                                                          ├──▶ verdict: lost? twice? changed?
//!   the sink ── read back when the run is over ──▶ record ── id, digest ───┘
//! ```
//!
//! The ledger is written on this side of the connection only, so that a target can be killed, restarted or lie, and
//! the verdict is still about what it promised and what is there.

pub mod files;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod ledger;
pub mod record;
pub mod run;
pub mod store;
pub mod verdict;

#[cfg(test)]
mod tests;
