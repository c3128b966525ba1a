//! An audit from plan to verdict: send, write down, read back until it is settled, judge.

use std::process::ExitCode;
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
    pub fn exit_code(&self) -> ExitCode {
        if self.verdict.passed() && self.verdict.proves_something() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
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

/// Runs `plan`, then reads `store` in the `form` of its records until everything acked is there, or until no further
/// request has turned up for as long as `settle`: what is missing then is lost.
///
/// A target that is killed and comes back, or doesn't, is judged like any other: what it acked must be there. Once
/// all of that is there the audit is over, so copies that a target adds later are not seen.
///
/// # Errors
/// When the store is not there before the run, when the run can't begin, or when the store can't be read for as long as `settle`.
pub fn audit(
    plan: &LoadPlan,
    store: &mut dyn Store,
    form: RecordForm,
    settle: Duration,
    live: &Arc<Live>,
) -> Result<AuditResult, AuditError> {
    store.begin()?;
    let expected = expected(plan);
    let (load, parts) = load::run(plan, live, |worker| WorkerLedger::new(worker, expected))?;
    let ledger = Ledger::merge(plan.run, parts);
    let seen = settled(&ledger, store, form, settle)?;
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

/// Reads until all that was acked is there, or no request has turned up for as long as `settle`.
fn settled(
    ledger: &Ledger,
    store: &mut dyn Store,
    form: RecordForm,
    settle: Duration,
) -> Result<Sightings, StoreError> {
    let acked = ledger.iter().filter(|(_, entry)| entry.acked() && entry.leaves_a_record()).count() as u64;
    let mut seen = Sightings::default();
    let mut changed_at = Instant::now();
    loop {
        let before = Instant::now();
        let present = seen.present();
        let read = look(ledger, store, form, &mut seen);
        if read.is_ok() && seen.acked_present() == acked {
            return Ok(seen);
        }
        if seen.present() > present {
            changed_at = Instant::now();
        } else if changed_at.elapsed() >= settle {
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::load::Observer as _;
    use crate::request::{Outcome, RequestId, Shape, Stored, digest};

    /// Every read gives the numbers of its step, and fails after them if the step says so.
    struct Scripted {
        scope: Scope,
        steps: VecDeque<(Vec<u64>, bool)>,
    }

    fn body(number: u64) -> String {
        format!("[{}]", RequestId { run: 7, worker: 0, number })
    }

    impl Store for Scripted {
        fn describe(&self) -> String {
            "script".into()
        }

        fn scope(&self) -> Scope {
            self.scope
        }

        fn begin(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
            // The last step goes on for ever, without its records where only what was added is given.
            let (numbers, fails) = self.steps[0].clone();
            if self.steps.len() > 1 {
                self.steps.pop_front();
            } else if self.scope == Scope::Added {
                self.steps[0].0.clear();
            }
            for number in numbers {
                each(Item::Record { bytes: body(number).as_bytes(), place: &number });
            }
            if fails { Err(StoreError::NoDirectory("gone".into())) } else { Ok(()) }
        }
    }

    /// What is judged of four acked requests when the store goes through these steps.
    fn verdict(scope: Scope, steps: &[(&[u64], bool)]) -> Result<Verdict, StoreError> {
        let mut part = WorkerLedger::new(0, 4);
        for number in 0..4 {
            let shape = Shape { kind: 0, events: 1, stored: Stored::Body(digest(body(number).as_bytes())) };
            part.ended(RequestId { run: 7, worker: 0, number }, &shape, Outcome::Answered(200));
        }
        let ledger = Ledger::merge(7, vec![part]);
        let steps = steps.iter().map(|(numbers, fails)| (numbers.to_vec(), *fails)).collect();
        let mut store = Scripted { scope, steps };
        settled(&ledger, &mut store, RecordForm::Raw, Duration::from_millis(400))
            .map(|seen| Verdict::of(&ledger, &seen))
    }

    #[test]
    fn what_every_read_gives_again_is_no_duplicate() {
        let verdict =
            verdict(Scope::Everything, &[(&[0], false), (&[0, 1], false), (&[0, 1, 2, 3], false)]).unwrap();
        assert_eq!((verdict.stored, verdict.lost.count, verdict.duplicated.count), (4, 0, 0));
    }

    #[test]
    fn what_was_added_is_kept_and_twice_is_twice() {
        let verdict =
            verdict(Scope::Added, &[(&[0], false), (&[], false), (&[1, 2], true), (&[2, 3], false)]).unwrap();
        assert_eq!((verdict.stored, verdict.lost.count, verdict.duplicated.count), (4, 0, 1));
    }

    #[test]
    fn a_read_that_fails_half_way_is_made_again() {
        let verdict = verdict(Scope::Everything, &[(&[0, 1, 2], true), (&[0, 1, 2, 3], false)]).unwrap();
        assert_eq!((verdict.stored, verdict.duplicated.count), (4, 0));
    }

    #[test]
    fn reads_that_fail_now_and_then_do_not_put_off_the_end() {
        let mut steps: Vec<(&[u64], bool)> = [(&[0_u64, 1][..], false), (&[][..], true)].repeat(30);
        steps.push((&[0, 1, 2, 3], false));
        // It ends on a read of either kind, long before the last.
        assert!(verdict(Scope::Everything, &steps).map_or(true, |verdict| verdict.lost.count == 2));
    }

    #[test]
    fn no_verdict_comes_from_a_store_that_can_not_be_read() {
        assert!(verdict(Scope::Everything, &[(&[0, 1, 2, 3], true)]).is_err());
        assert!(verdict(Scope::Added, &[(&[0], false), (&[], true)]).is_err());
    }

    #[test]
    fn what_does_not_come_is_lost_in_the_end() {
        let verdict = verdict(Scope::Everything, &[(&[], false), (&[0], false), (&[0, 3], false)]).unwrap();
        assert_eq!((verdict.stored, verdict.lost.count), (2, 2));
    }
}
