//! The comparison: every request that was sent against everything that was stored. Pure.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::record::{Reading, RecordForm};
use crate::request::{Outcome, RequestId, Stored};

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// So many ids of each bad class are listed.
const LISTED_MAX: usize = 20;

/// What was stored of one request.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// As often as it was sent.
    intact: u32,
    /// With other bytes than were sent.
    changed: u32,
}

/// Stored records, taken down one after the other.
#[derive(Debug)]
pub struct Inventory<'a> {
    ledger: &'a Ledger,
    form: RecordForm,
    seen: HashMap<RequestId, Seen>,
    foreign: u64,
    unreadable: u64,
    phantom: Class,
}

impl<'a> Inventory<'a> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(ledger: &'a Ledger, form: RecordForm) -> Self {
        Self { ledger, form, seen: HashMap::new(), foreign: 0, unreadable: 0, phantom: Class::default() }
    }

    /// Takes down one record.
    pub fn take(&mut self, record: &[u8]) {
        let sighting = match self.form.read(record) {
            Reading::Seen(sighting) if sighting.id.run == self.ledger.run() => sighting,
            Reading::Seen(_) | Reading::Foreign => {
                self.foreign += 1;
                return;
            }
            Reading::Unreadable => {
                self.unreadable += 1;
                return;
            }
        };
        let intact = match self.ledger.get(sighting.id).map(|entry| entry.stored) {
            Some(Stored::Body(digest)) => digest == sighting.body,
            Some(Stored::Target(digest)) => digest == sighting.target,
            // Nothing should have been stored of it, or it was never sent.
            Some(Stored::Nothing) | None => return self.phantom.add(sighting.id),
        };
        let seen = self.seen.entry(sighting.id).or_default();
        if intact {
            seen.intact += 1;
        } else {
            seen.changed += 1;
        }
    }

    /// How many acknowledged requests have not been seen.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let wanted = self.ledger.iter().filter(|(_, entry)| {
            entry.stored != Stored::Nothing && entry.outcome.is_some_and(Outcome::acked)
        });
        wanted.filter(|(id, _)| !self.seen.contains_key(id)).count() as u64
    }

    /// The comparison; `damaged` pieces of the sink could not be read at all.
    #[must_use]
    pub fn verdict(self, damaged: u64) -> Verdict {
        let mut verdict = Verdict {
            version: VERSION,
            foreign: self.foreign,
            damaged: damaged + self.unreadable,
            phantom: self.phantom,
            ..Verdict::default()
        };
        for (id, entry) in self.ledger.iter() {
            if entry.stored == Stored::Nothing {
                verdict.not_recorded += 1;
            } else {
                verdict.judge(id, entry.outcome, self.seen.get(&id).copied().unwrap_or_default());
            }
        }
        verdict
    }
}

/// A class of requests: how many, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// The first ids, 20 at most.
    pub first: Vec<String>,
}

impl Class {
    fn add(&mut self, id: RequestId) {
        self.count += 1;
        if self.first.len() < LISTED_MAX {
            self.first.push(id.to_string());
        }
    }
}

/// What a run's answers were worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// 1.
    pub version: u32,
    /// Requests sent that success should have left in the sink.
    pub sent: u64,
    /// Requests sent of which nothing is stored (preflights).
    pub not_recorded: u64,
    /// Answered 2xx.
    pub acked: u64,
    /// Requests of which at least one intact copy is stored.
    pub stored: u64,
    /// Acknowledged, and no copy is there: the worst there is.
    pub lost: Class,
    /// Stored, but not as it was sent, whatever was answered.
    pub corrupt: Class,
    /// Stored more than once.
    pub duplicated: Class,
    /// Copies beyond the first, over all requests.
    pub surplus_copies: u64,
    /// Answered with a refusal, or never sent, and stored all the same.
    pub stored_though_refused: Class,
    /// Not answered, and stored: honest.
    pub unanswered_stored: u64,
    /// Not answered, and not stored: honest.
    pub unanswered_missing: u64,
    /// Stored under an id of this run that was never sent, or of a request that records nothing.
    pub phantom: Class,
    /// Records of other runs, or of nobody known.
    pub foreign: u64,
    /// Records or pieces of the sink that can't be read.
    pub damaged: u64,
}

impl Verdict {
    fn judge(&mut self, id: RequestId, outcome: Option<Outcome>, seen: Seen) {
        let acked = outcome.is_some_and(Outcome::acked);
        let is_there = seen.intact + seen.changed > 0;
        self.sent += 1;
        self.acked += u64::from(acked);
        self.stored += u64::from(seen.intact > 0);
        if seen.changed > 0 {
            self.corrupt.add(id);
        }
        if seen.intact + seen.changed > 1 {
            self.duplicated.add(id);
            self.surplus_copies += u64::from(seen.intact + seen.changed - 1);
        }
        if acked && !is_there {
            self.lost.add(id);
        } else if outcome.is_some_and(Outcome::refused) && is_there {
            self.stored_though_refused.add(id);
        } else if !acked && !outcome.is_some_and(Outcome::refused) {
            if is_there {
                self.unanswered_stored += 1;
            } else {
                self.unanswered_missing += 1;
            }
        }
    }

    /// True when nothing that was acknowledged is lost, and nothing is corrupt.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost.count == 0 && self.corrupt.count == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: [(&str, u64, &str); 10] = [
            ("sent", self.sent, "that success should have left in the sink"),
            ("acked", self.acked, "answered 2xx"),
            ("stored", self.stored, "intact, at least once"),
            ("lost", self.lost.count, "acked, and not there"),
            ("corrupt", self.corrupt.count, "stored, but not as sent"),
            ("duplicated", self.duplicated.count, "stored more than once"),
            ("stored though refused", self.stored_though_refused.count, "answered with an error, and there"),
            (
                "unanswered",
                self.unanswered_stored + self.unanswered_missing,
                "no answer: stored or not, either is honest",
            ),
            ("phantom", self.phantom.count, "an id of this run that should not be there"),
            (
                "foreign or unreadable",
                self.foreign + self.damaged,
                "records that are not of this run, damage",
            ),
        ];
        for (name, count, meaning) in rows {
            writeln!(f, "  {name:22} {count:>12}  {meaning}")?;
        }
        let classes = [("lost", &self.lost), ("corrupt", &self.corrupt), ("phantom", &self.phantom)];
        for (name, class) in classes.into_iter().filter(|(_, class)| class.count > 0) {
            let mut list = String::new();
            for id in class.first.iter().take(5) {
                write!(list, " {id}")?;
            }
            writeln!(f, "  first {name}:{list}")?;
        }
        let verdict =
            if self.passed() { "PASSED: nothing acknowledged is lost or corrupt" } else { "FAILED" };
        writeln!(f, "  {verdict}")
    }
}

#[cfg(test)]
mod tests;
