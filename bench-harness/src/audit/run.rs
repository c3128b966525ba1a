//! An audit from plan to verdict: send, write down, read back until it is settled, judge.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Ledger, WorkerLedger};
use super::record::RecordForm;
use super::sightings::Sightings;
use super::store::{Item, Scope, Store, StoreError};
use super::verdict::Verdict;
use crate::load::{self, Live, LoadError, LoadPlan, Pace};
use crate::result::LoadResult;

/// Between two reads of the store; a read that takes longer is followed by a pause as long as itself, up to
/// [`POLL_MAX`], to leave the target its machine.
const POLL: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_secs(5);

/// The ledger's room is made before the run, for so many requests a thread at most (256 MiB).
const EXPECTED_MAX: u64 = 1 << 24;

/// How the store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// What a stored record looks like.
    pub form: RecordForm,
    /// What was acked and is not there when no further request has turned up for so long is lost.
    pub settle: Duration,
}

/// The load's result and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditResult {
    /// How the sending went.
    pub load: LoadResult,
    /// What was read back.
    pub store: String,
    /// What became of the requests.
    pub verdict: Verdict,
}

impl AuditResult {
    /// What a process should end with: 0 when all that was acked is stored as sent; 1 when not, or when nothing was
    /// acked, as that proves nothing.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!(self.verdict.passed() && self.verdict.proves_something()))
    }
}

impl fmt::Display for AuditResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstore: {}\n", self.verdict, self.store)
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The sending.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The reading back.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs `plan`, then reads `store` until everything acked is there or nothing more comes.
///
/// A target that is killed and comes back, or doesn't, is judged like any other: what it acked must be there. Once
/// all of that is there the audit is over, so copies that a target adds later are not seen.
///
/// # Errors
/// When the store is not there before the run, when the run can't begin, or when the store can't be read for as long as `settle`.
pub fn audit(
    plan: &LoadPlan,
    store: &mut dyn Store,
    options: AuditOptions,
    live: &Arc<Live>,
) -> Result<AuditResult, AuditError> {
    store.begin()?;
    let expected = expected(plan);
    let (load, parts) = load::run(plan, live, |worker| WorkerLedger::new(worker, expected))?;
    let ledger = Ledger::merge(plan.run, parts);
    let seen = settle(&ledger, store, options)?;
    Ok(AuditResult { load, store: store.describe(), verdict: Verdict::of(&ledger, &seen) })
}

/// Requests of one thread, as far as the plan knows.
fn expected(plan: &LoadPlan) -> usize {
    let requests = match &plan.pace {
        Pace::Open(schedule) => schedule.requests() / u64::from(plan.threads.max(1)) + 1,
        Pace::Closed(_) => 0,
    };
    usize::try_from(requests.min(EXPECTED_MAX)).unwrap_or(0)
}

/// Reads until all that was acked is there, or no request has turned up for as long as the options say.
fn settle(ledger: &Ledger, store: &mut dyn Store, options: AuditOptions) -> Result<Sightings, StoreError> {
    let acked = ledger.iter().filter(|(_, entry)| entry.acked() && entry.leaves_a_record()).count() as u64;
    let mut seen = Sightings::default();
    let mut changed_at = Instant::now();
    loop {
        let before = Instant::now();
        let present = seen.present();
        let read = look(ledger, store, options.form, &mut seen);
        if read.is_ok() && seen.acked_present() == acked {
            return Ok(seen);
        }
        if seen.present() > present {
            changed_at = Instant::now();
        } else if changed_at.elapsed() >= options.settle {
            return read.map(|()| seen);
        }
        thread::sleep(before.elapsed().clamp(POLL, POLL_MAX));
    }
}

/// Reads once, into `seen`.
fn look(
    ledger: &Ledger,
    store: &mut dyn Store,
    form: RecordForm,
    seen: &mut Sightings,
) -> Result<(), StoreError> {
    let anew = store.scope() == Scope::Everything;
    let mut fresh = if anew { Sightings::default() } else { std::mem::take(seen) };
    let read = store.read(&mut |item| match item {
        Item::Record { bytes, place } => {
            fresh.see(ledger, form.find(bytes, ledger.run()), || place.to_string());
        }
        Item::Torn => fresh.see_torn(),
        Item::Unread => fresh.see_unread(),
        Item::Damaged { place, why } => fresh.see_damage(format!("{place}: {why}")),
    });
    // Half of everything is less than what the last read gave; half of what was added is more.
    if read.is_ok() || !anew {
        *seen = fresh;
    }
    read
}
