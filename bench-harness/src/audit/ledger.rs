//! What was sent, and how it ended: 16 bytes a request, in memory.

use crate::load::Observer;
use crate::request::{Outcome, RequestId, Shape, Stored};

/// The last statuses of `u16` stand for what is no status; a real one has three digits.
const RESET: u16 = u16::MAX;
const TIMED_OUT: u16 = u16::MAX - 1;
const GARBLED: u16 = u16::MAX - 2;
const NOT_SENT: u16 = u16::MAX - 3;
const UNDER_WAY: u16 = u16::MAX - 4;
const STATUS_MAX: u16 = u16::MAX - 5;

/// How `Packed::digest` is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leaves {
    /// No request has this number.
    #[default]
    Unused,
    Body,
    Target,
    Nothing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Packed {
    digest: u64,
    events: u32,
    outcome: u16,
    leaves: Leaves,
}

const _: () = assert!(size_of::<Packed>() == 16);

/// What is known about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What success should leave in the sink.
    pub stored: Stored,
    /// Events in it.
    pub events: u32,
    /// How it ended; `None` = it was sent and nothing more is known, which is judged as [`Outcome::Reset`] is.
    pub outcome: Option<Outcome>,
}

impl Entry {
    /// Whether the target said that it has the request.
    #[must_use]
    pub fn acked(&self) -> bool {
        self.outcome.is_some_and(Outcome::acked)
    }

    /// Whether the target said that it has it not, or never saw it.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.outcome.is_some_and(Outcome::refused)
    }

    /// Whether success should leave a record.
    #[must_use]
    pub fn leaves_a_record(&self) -> bool {
        self.stored != Stored::Nothing
    }

    fn packed(self) -> Packed {
        let (leaves, digest) = match self.stored {
            Stored::Body(digest) => (Leaves::Body, digest),
            Stored::Target(digest) => (Leaves::Target, digest),
            Stored::Nothing => (Leaves::Nothing, 0),
        };
        Packed { digest, events: self.events, outcome: packed_outcome(self.outcome), leaves }
    }
}

impl Packed {
    fn entry(self) -> Option<Entry> {
        let stored = match self.leaves {
            Leaves::Unused => return None,
            Leaves::Body => Stored::Body(self.digest),
            Leaves::Target => Stored::Target(self.digest),
            Leaves::Nothing => Stored::Nothing,
        };
        let outcome = match self.outcome {
            UNDER_WAY => None,
            RESET => Some(Outcome::Reset),
            TIMED_OUT => Some(Outcome::TimedOut),
            GARBLED => Some(Outcome::Garbled),
            NOT_SENT => Some(Outcome::NotSent),
            status => Some(Outcome::Answered(status)),
        };
        Some(Entry { stored, events: self.events, outcome })
    }
}

fn packed_outcome(outcome: Option<Outcome>) -> u16 {
    match outcome {
        None => UNDER_WAY,
        Some(Outcome::Answered(status)) => status.min(STATUS_MAX),
        Some(Outcome::Reset) => RESET,
        Some(Outcome::TimedOut) => TIMED_OUT,
        Some(Outcome::Garbled) => GARBLED,
        Some(Outcome::NotSent) => NOT_SENT,
    }
}

/// One generator thread's part of the ledger: entry `n` is about the request with number `n`.
#[derive(Clone, Debug)]
pub struct WorkerLedger {
    worker: u8,
    entries: Vec<Packed>,
}

impl WorkerLedger {
    /// An empty one with room for `expected` requests, so that the run is not held up by growing it.
    #[must_use]
    pub fn new(worker: u8, expected: usize) -> Self {
        Self { worker, entries: Vec::with_capacity(expected) }
    }

    fn set(&mut self, id: RequestId, entry: Entry) {
        // Numbers count up from 0, so they fit what they index.
        let Ok(number) = usize::try_from(id.number) else { return };
        if number >= self.entries.len() {
            self.entries.resize(number + 1, Packed::default());
        }
        self.entries[number] = entry.packed();
    }
}

impl Observer for WorkerLedger {
    fn sending(&mut self, id: RequestId, shape: &Shape) {
        self.set(id, Entry { stored: shape.stored, events: shape.events, outcome: None });
    }

    fn ended(&mut self, id: RequestId, shape: &Shape, outcome: Outcome) {
        self.set(id, Entry { stored: shape.stored, events: shape.events, outcome: Some(outcome) });
    }
}

/// All that one run sent.
#[derive(Clone, Debug)]
pub struct Ledger {
    run: u32,
    /// By worker number; a worker that sent nothing has no entries.
    workers: Vec<Vec<Packed>>,
}

impl Ledger {
    /// Puts together what the threads of run `run` wrote down.
    #[must_use]
    pub fn merge(run: u32, parts: Vec<WorkerLedger>) -> Self {
        let mut workers = Vec::new();
        for part in parts {
            let worker = usize::from(part.worker);
            if worker >= workers.len() {
                workers.resize(worker + 1, Vec::new());
            }
            workers[worker] = part.entries;
        }
        Self { run, workers }
    }

    /// The run's number.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// What is known about `id`; `None` when this run never sent it.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<Entry> {
        if id.run != self.run {
            return None;
        }
        let entries = self.workers.get(usize::from(id.worker))?;
        entries.get(usize::try_from(id.number).ok()?)?.entry()
    }

    /// Every request of the run, by worker and number.
    pub fn iter(&self) -> impl Iterator<Item = (RequestId, Entry)> {
        self.workers.iter().zip(0_u8..=u8::MAX).flat_map(move |(entries, worker)| {
            entries.iter().zip(0_u64..).filter_map(move |(packed, number)| {
                Some((RequestId { run: self.run, worker, number }, packed.entry()?))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            (100_u16..=999).prop_map(Outcome::Answered),
            Just(Outcome::Reset),
            Just(Outcome::TimedOut),
            Just(Outcome::Garbled),
            Just(Outcome::NotSent),
        ]
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let stored = prop_oneof![
            any::<u64>().prop_map(Stored::Body),
            any::<u64>().prop_map(Stored::Target),
            Just(Stored::Nothing)
        ];
        (stored, any::<u32>(), proptest::option::of(any_outcome()))
            .prop_map(|(stored, events, outcome)| Entry { stored, events, outcome })
    }

    proptest! {
        #[test]
        fn entries_are_given_back_as_heard(entries in proptest::collection::vec((0_u8..4, any_entry()), 0..60)) {
            let mut parts: Vec<_> = (0..4).map(|worker| WorkerLedger::new(worker, 0)).collect();
            let mut heard = Vec::new();
            for (worker, entry) in entries {
                let part = &mut parts[usize::from(worker)];
                let id = RequestId { run: 7, worker, number: part.entries.len() as u64 };
                let shape = Shape { kind: 0, events: entry.events, stored: entry.stored };
                part.sending(id, &shape);
                if let Some(outcome) = entry.outcome {
                    part.ended(id, &shape, outcome);
                }
                heard.push((id, entry));
            }
            let ledger = Ledger::merge(7, parts);
            for (id, entry) in &heard {
                prop_assert_eq!(ledger.get(*id), Some(*entry));
                prop_assert_eq!(ledger.get(RequestId { run: 8, ..*id }), None);
            }
            heard.sort_by_key(|(id, _)| *id);
            prop_assert_eq!(ledger.iter().collect::<Vec<_>>(), heard);
        }
    }

    #[test]
    fn an_id_that_was_never_sent_is_not_known() {
        let mut part = WorkerLedger::new(0, 0);
        let shape = Shape { kind: 0, events: 1, stored: Stored::Body(1) };
        part.sending(RequestId { run: 7, worker: 0, number: 2 }, &shape);
        let ledger = Ledger::merge(7, vec![part]);
        for number in [0, 1, 3, (1 << 40) - 1] {
            assert_eq!(ledger.get(RequestId { run: 7, worker: 0, number }), None, "{number}");
        }
        assert_eq!(ledger.get(RequestId { run: 7, worker: 9, number: 2 }), None);
        assert_eq!(ledger.iter().count(), 1);
    }
}
