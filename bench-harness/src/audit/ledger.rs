//! What every request was answered: 16 bytes each, in the order of sending.

use crate::load::Observer;
use crate::request::{Outcome, RequestId, Shape, Stored};

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What success should leave in the sink.
    pub stored: Stored,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
}

/// The same in 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Packed {
    digest: u64,
    kind: u8,
    outcome: u8,
    status: u16,
}

const _: () = assert!(size_of::<Packed>() == 16);

impl Packed {
    const PENDING: u8 = 0;

    fn sent(stored: Stored) -> Self {
        let (kind, digest) = match stored {
            Stored::Nothing => (0, 0),
            Stored::Body(digest) => (1, digest),
            Stored::Target(digest) => (2, digest),
        };
        Self { digest, kind, outcome: Self::PENDING, status: 0 }
    }

    fn end(&mut self, outcome: Outcome) {
        (self.outcome, self.status) = match outcome {
            Outcome::Answered(status) => (1, status),
            Outcome::Reset => (2, 0),
            Outcome::TimedOut => (3, 0),
            Outcome::Garbled => (4, 0),
            Outcome::NotSent => (5, 0),
        };
    }

    fn entry(self) -> Entry {
        let stored = match self.kind {
            0 => Stored::Nothing,
            1 => Stored::Body(self.digest),
            _ => Stored::Target(self.digest),
        };
        let outcome = match self.outcome {
            Self::PENDING => None,
            1 => Some(Outcome::Answered(self.status)),
            2 => Some(Outcome::Reset),
            3 => Some(Outcome::TimedOut),
            4 => Some(Outcome::Garbled),
            _ => Some(Outcome::NotSent),
        };
        Entry { stored, outcome }
    }
}

/// One worker's part: it numbers its requests without a gap, so a number is a place.
#[derive(Debug, Default)]
pub struct Page {
    entries: Vec<Packed>,
}

impl Observer for Page {
    fn sending(&mut self, id: RequestId, shape: &Shape) {
        debug_assert_eq!(id.number, self.entries.len() as u64, "a worker numbers its requests without a gap");
        self.entries.push(Packed::sent(shape.stored));
    }

    fn ended(&mut self, id: RequestId, _: &Shape, outcome: Outcome) {
        if let Some(entry) = usize::try_from(id.number).ok().and_then(|number| self.entries.get_mut(number)) {
            entry.end(outcome);
        }
    }
}

/// Every request of a run.
#[derive(Debug)]
pub struct Ledger {
    run: u32,
    pages: Vec<Page>,
}

impl Ledger {
    /// The pages of a run's workers, in their order.
    #[must_use]
    pub fn new(run: u32, pages: Vec<Page>) -> Self {
        Self { run, pages }
    }

    /// The run whose ids it knows.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// What is known of `id`; `None` when no such request was sent.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<Entry> {
        let page = self.pages.get(usize::from(id.worker)).filter(|_| id.run == self.run)?;
        page.entries.get(usize::try_from(id.number).ok()?).map(|entry| entry.entry())
    }

    /// All requests.
    pub fn iter(&self) -> impl Iterator<Item = (RequestId, Entry)> + '_ {
        (0..).zip(&self.pages).flat_map(move |(worker, page)| {
            (0..)
                .zip(&page.entries)
                .map(move |(number, entry)| (RequestId { run: self.run, worker, number }, entry.entry()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let outcomes = [
            Outcome::Answered(200),
            Outcome::Answered(503),
            Outcome::Reset,
            Outcome::TimedOut,
            Outcome::Garbled,
            Outcome::NotSent,
        ];
        let mut page = Page::default();
        for (number, outcome) in (0..).zip(outcomes) {
            let id = RequestId { run: 1, worker: 0, number };
            let shape = Shape { kind: 0, events: 1, stored: Stored::Target(number) };
            page.sending(id, &shape);
            page.ended(id, &shape, outcome);
        }
        page.sending(
            RequestId { run: 1, worker: 0, number: 6 },
            &Shape { kind: 0, events: 0, stored: Stored::Nothing },
        );
        let ledger = Ledger::new(1, vec![page]);
        for (number, outcome) in (0..).zip(outcomes) {
            let entry = ledger.get(RequestId { run: 1, worker: 0, number }).unwrap();
            assert_eq!(entry, Entry { stored: Stored::Target(number), outcome: Some(outcome) });
        }
        assert_eq!(ledger.iter().count(), 7);
        assert_eq!(ledger.iter().last().unwrap().1, Entry { stored: Stored::Nothing, outcome: None });
        for stranger in [
            RequestId { run: 2, worker: 0, number: 0 },
            RequestId { run: 1, worker: 1, number: 0 },
            RequestId { run: 1, worker: 0, number: 7 },
        ] {
            assert_eq!(ledger.get(stranger), None);
        }
    }
}
