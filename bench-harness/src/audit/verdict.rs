//! The verdict: what the ledger says against what was seen in the store. Pure.
//!
//! Every request that should leave a record is in exactly one place of this table:
//!
//! ```text
//!                 there (whole or changed)      not there
//!   acked         fine                          LOST
//!   refused       stored though refused         fine
//!   no answer     either is honest              either is honest
//! ```
//!
//! Beside that, a request there more than once is duplicated, and one with a record that is not what was sent is
//! corrupt. Hence `sent = acked + refused + unanswered` and
//! `stored = (acked - lost) + stored_though_refused + unknown_stored`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Entry, Ledger};
use super::sightings::{Shown, Sighting, Sightings};
use crate::request::RequestId;

/// The version this code writes.
pub const VERSION: u32 = 1;

/// What became of the requests of a run. Counts are of requests that should leave a record, unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// [`VERSION`].
    pub version: u32,
    /// The run's number, as it is written in ids.
    pub run: String,
    /// Requests sent.
    pub sent: u64,
    /// Answered 2xx.
    pub acked: u64,
    /// Answered with another status, or never received by the target.
    pub refused: u64,
    /// Sent, with no answer to go by: reset, timed out, not HTTP, or still under way at the end.
    pub unanswered: u64,
    /// Found in the store, whole or changed.
    pub stored: u64,
    /// Acked, and not in the store.
    pub lost: Class,
    /// Events in the lost requests.
    pub lost_events: u64,
    /// In the store more than once.
    pub duplicated: Class,
    /// Records of the duplicated requests beyond the first of each.
    pub extra_copies: u64,
    /// In the store with a record that is not what was sent, or that names the request and can't be understood.
    pub corrupt: Class,
    /// Those of the corrupt that were acked.
    pub corrupt_acked: u64,
    /// Refused, and in the store.
    pub stored_though_refused: Class,
    /// No answer, and in the store. Honest.
    pub unknown_stored: u64,
    /// No answer, and not in the store. Honest.
    pub unknown_missing: u64,
    /// Requests sent that should leave no record (preflights), whatever they were answered.
    pub leaving_nothing: u64,
    /// Those of them in the store all the same.
    pub stored_needlessly: Class,
    /// Records with an id of this run that was never sent.
    pub phantom: Class,
    /// Records that were understood and are not of this run.
    pub foreign: u64,
    /// Records that can't be understood and name no request of this run: by their places. What was acked and stood
    /// in one of them is lost.
    pub unreadable: Class,
    /// Complete files that can't be read to their end: by their places. What was acked and stood there is lost.
    pub damaged: Class,
    /// Torn ends of files still being written. Honest.
    pub torn: u64,
    /// Files still being written that were left out.
    pub unread: u64,
    /// Records read from the store, of whatever kind.
    pub records: u64,
}

/// How many, and the first 20 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// Ids (or places) of the first 20.
    pub first: Vec<String>,
}

impl From<Shown> for Class {
    fn from(shown: Shown) -> Self {
        Self { count: shown.count, first: shown.first }
    }
}

#[derive(Default)]
struct Classes {
    lost: Shown,
    duplicated: Shown,
    corrupt: Shown,
    stored_though_refused: Shown,
    stored_needlessly: Shown,
}

impl Verdict {
    /// Judges what was `seen` of the requests in `ledger`.
    #[must_use]
    pub fn of(ledger: &Ledger, seen: &Sightings) -> Self {
        let mut verdict = Self {
            version: VERSION,
            run: format!("{:08x}", ledger.run()),
            phantom: seen.phantom.clone().into(),
            foreign: seen.foreign,
            unreadable: seen.unreadable.clone().into(),
            damaged: seen.damaged.clone().into(),
            torn: seen.torn,
            unread: seen.unread,
            records: seen.records,
            ..Self::default()
        };
        let mut classes = Classes::default();
        for (id, entry) in ledger.iter() {
            verdict.judge(&mut classes, id, &entry, seen.get(id));
        }
        verdict.lost = classes.lost.into();
        verdict.duplicated = classes.duplicated.into();
        verdict.corrupt = classes.corrupt.into();
        verdict.stored_though_refused = classes.stored_though_refused.into();
        verdict.stored_needlessly = classes.stored_needlessly.into();
        verdict
    }

    fn judge(&mut self, classes: &mut Classes, id: RequestId, entry: &Entry, seen: Sighting) {
        let there = seen.copies() > 0;
        if !entry.leaves_a_record() {
            self.leaving_nothing += 1;
            if there {
                classes.stored_needlessly.add(|| id.to_string());
            }
            return;
        }
        self.sent += 1;
        self.stored += u64::from(there);
        if entry.acked() {
            self.acked += 1;
            if !there {
                classes.lost.add(|| id.to_string());
                self.lost_events += u64::from(entry.events);
            }
        } else if entry.refused() {
            self.refused += 1;
            if there {
                classes.stored_though_refused.add(|| id.to_string());
            }
        } else {
            self.unanswered += 1;
            *if there { &mut self.unknown_stored } else { &mut self.unknown_missing } += 1;
        }
        if seen.copies() > 1 {
            classes.duplicated.add(|| id.to_string());
            self.extra_copies += seen.copies() - 1;
        }
        if seen.changed > 0 {
            classes.corrupt.add(|| id.to_string());
            self.corrupt_acked += u64::from(entry.acked());
        }
    }

    /// Whether nothing that was acked is lost or corrupt. So it is if nothing was acked at all: see [`Self::proves_something`].
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost.count == 0 && self.corrupt_acked == 0
    }

    /// Whether anything was acked, without which a pass means nothing.
    #[must_use]
    pub fn proves_something(&self) -> bool {
        self.acked > 0
    }
}

#[cfg(test)]
mod tests;
