//! What was answered against what was stored: nothing that was acked may be lost or changed.
//!
//! ```text
//!   load::run ─▶ WorkerLedger (one a thread) ─▶ Ledger ───────────┬─▶ Verdict ─▶ exit code, table, JSON
//!   the sink ──▶ Store::read ─▶ RecordForm::find ─▶ Sightings ────┘
//! ```
//!
//! The ledger knows what was sent, and how each request ended. A [`Store`] is the sink read back. [`RecordForm`] says
//! how a request is recognised in a stored record. [`Ledger`], [`Sightings`], [`RecordForm`] and [`Verdict`] have
//! neither socket nor clock.

mod files;
#[cfg(feature = "kafka")]
mod kafka;
mod ledger;
mod options;
mod record;
mod run;
mod sightings;
mod store;
mod table;
mod verdict;

#[cfg(test)]
mod tests;

pub use files::Files;
#[cfg(feature = "kafka")]
pub use kafka::Topic;
pub use ledger::{Entry, Ledger, WorkerLedger};
pub use options::{AuditArgs, StoreSpec};
pub use record::{Finding, RecordForm};
pub use run::{AuditError, AuditOptions, AuditResult, audit};
pub use sightings::{Sighting, Sightings};
pub use store::{Item, Scope, Store, StoreError};
pub use verdict::{Class, VERSION, Verdict};
