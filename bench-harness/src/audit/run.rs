//! An audit from start to verdict: load with a ledger, then the sink read back until it has settled.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Ledger, Page};
use super::record::RecordForm;
use super::store::{Store, StoreError};
use super::verdict::{Inventory, Verdict};
use crate::load::{self, Live, LoadError, LoadPlan};
use crate::result::LoadResult;

/// Between two readings of a sink that has not settled.
const PAUSE: Duration = Duration::from_millis(250);

/// A run and what its answers were worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditResult {
    /// The sink that was read back.
    pub store: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The load.
    pub load: LoadResult,
}

impl AuditResult {
    /// 0 when nothing acknowledged is lost or corrupt, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.verdict.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The load could not be sent.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The sink could not be read back.
    #[error("{store} could not be read back: {error}")]
    Store {
        /// Which.
        store: String,
        /// Why.
        error: StoreError,
    },
}

/// Sends `plan` and reads `store` back, until every acknowledged request is there or nothing has changed for `settle`.
///
/// # Errors
/// When the load could not be sent, or the sink can't be read for as long as `settle`.
pub fn audit(
    plan: &LoadPlan,
    store: &mut dyn Store,
    form: RecordForm,
    settle: Duration,
    live: &Arc<Live>,
) -> Result<AuditResult, AuditError> {
    let (load, pages) = load::run(plan, live, |_| Page::default())?;
    let ledger = Ledger::new(plan.run, pages);
    let verdict = settled(&ledger, store, form, settle)?;
    Ok(AuditResult { store: store.describe(), verdict, load })
}

/// The verdict once the sink has settled.
fn settled(
    ledger: &Ledger,
    store: &mut dyn Store,
    form: RecordForm,
    settle: Duration,
) -> Result<Verdict, AuditError> {
    let (mut fewest, mut changed) = (u64::MAX, Instant::now());
    loop {
        let mut inventory = Inventory::new(ledger, form);
        let read = store.read(&mut |record| inventory.take(record));
        let waited = changed.elapsed() >= settle;
        match read {
            Ok(readout) => {
                let missing = inventory.missing();
                if missing == 0 || (missing >= fewest && waited) {
                    return Ok(inventory.verdict(readout.damaged));
                }
                if missing < fewest {
                    (fewest, changed) = (missing, Instant::now());
                }
            }
            Err(error) if waited => return Err(AuditError::Store { store: store.describe(), error }),
            Err(_) => {}
        }
        thread::sleep(PAUSE);
    }
}
