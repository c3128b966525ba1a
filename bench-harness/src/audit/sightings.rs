//! What of a run was seen in the store: 8 bytes a request, beside the ledger's. Pure.

use crate::request::{RequestId, Stored};

use super::ledger::{Entry, Ledger};
use super::record::Finding;

/// How many ids or places of a kind are remembered to be shown.
pub(super) const SHOWN: usize = 20;

/// How often one request was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Records that hold exactly what was sent.
    pub whole: u32,
    /// Records that name it, but hold something else or can't be understood.
    pub changed: u32,
}

impl Sighting {
    /// Records of it.
    #[must_use]
    pub fn copies(self) -> u64 {
        u64::from(self.whole) + u64::from(self.changed)
    }
}

/// All that was seen in one store.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// By worker, then by number.
    requests: Vec<Vec<Sighting>>,
    /// Requests seen at least once that should have left a record.
    pub(super) present: u64,
    /// Those of them that were acked.
    pub(super) acked_present: u64,
    /// Records read, of whatever kind.
    pub(super) records: u64,
    pub(super) foreign: u64,
    pub(super) torn: u64,
    pub(super) unread: u64,
    pub(super) phantom: Shown,
    pub(super) unreadable: Shown,
    pub(super) damaged: Shown,
}

/// A count, and the first few of what was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) count: u64,
    pub(super) first: Vec<String>,
}

impl Shown {
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(what());
        }
    }
}

impl Sightings {
    /// Counts one record: what was found in it, and where it is.
    pub fn see(&mut self, ledger: &Ledger, finding: Finding, place: impl FnOnce() -> String) {
        self.records += 1;
        match finding {
            Finding::Foreign => self.foreign += 1,
            Finding::Unreadable => self.unreadable.add(place),
            Finding::Broken(id) => self.see_request(ledger, id, |_| false),
            Finding::Request { id, body, target } => {
                self.see_request(ledger, id, |entry| match entry.stored {
                    Stored::Body(sent) => body == Some(sent),
                    Stored::Target(sent) => target == Some(sent),
                    Stored::Nothing => true,
                });
            }
        }
    }

    fn see_request(&mut self, ledger: &Ledger, id: RequestId, whole: impl FnOnce(&Entry) -> bool) {
        let Some(entry) = ledger.get(id) else {
            return self.phantom.add(|| id.to_string());
        };
        let sighting = self.at(id);
        let first = sighting.copies() == 0;
        let count = if whole(&entry) { &mut sighting.whole } else { &mut sighting.changed };
        *count = count.saturating_add(1);
        if first && entry.leaves_a_record() {
            self.present += 1;
            self.acked_present += u64::from(entry.acked());
        }
    }

    /// Counts the torn end of something open.
    pub fn see_torn(&mut self) {
        self.torn += 1;
    }

    /// Counts something open that was left out.
    pub fn see_unread(&mut self) {
        self.unread += 1;
    }

    /// Counts something whole that can't be read to its end.
    pub fn see_damage(&mut self, what: String) {
        self.damaged.add(|| what);
    }

    /// How often `id` was seen.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Sighting {
        let found = usize::try_from(id.number)
            .ok()
            .and_then(|number| self.requests.get(usize::from(id.worker))?.get(number));
        found.copied().unwrap_or_default()
    }

    /// Of the requests that should have left a record, how many were seen: it can only grow, up to what was sent.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.present
    }

    /// Of those, how many were acked.
    #[must_use]
    pub fn acked_present(&self) -> u64 {
        self.acked_present
    }

    /// `id` is in the ledger, so its number is no larger than a vector's index.
    fn at(&mut self, id: RequestId) -> &mut Sighting {
        let (worker, number) = (usize::from(id.worker), usize::try_from(id.number).unwrap_or(0));
        if worker >= self.requests.len() {
            self.requests.resize(worker + 1, Vec::new());
        }
        let requests = &mut self.requests[worker];
        if number >= requests.len() {
            requests.resize(number + 1, Sighting::default());
        }
        &mut requests[number]
    }
}
