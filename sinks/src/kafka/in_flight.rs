//! Which batches librdkafka may still read, and what is known of their records.
//!
//! ```text
//!  message's opaque (one pointer, 64 bits)       slots
//!  ┌──────────── slot ┬───────── record ┐        ┌───┐
//!  │ 32 bits          │ 32 bits         │───────▶│ 0 │ batch, 3 reports to come, failed: [(1, TimedOut)]
//!  └──────────────────┴─────────────────┘        │ 1 │ free
//!                                                └───┘
//! ```
//!
//! The invariant that `client.rs` builds its safety on: **a batch leaves its slot only when every submitted record
//! has been reported**. librdkafka reports each message that it took exactly once, and refuses at once what it does
//! not take; so there can be no late report for a slot's former tenant, and the opaque needs no generation.

use crate::{Delivery, Fault, Settled, Submission};

/// The table of batches that are with librdkafka.
#[derive(Debug)]
pub(super) struct InFlight {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    submission: Submission,
    submitted: usize,
    unreported: usize,
    /// Allocates only when a record fails.
    failed: Vec<(u32, Fault)>,
}

impl InFlight {
    /// Room for `batches` batches. More fit; each beyond costs an allocation.
    pub(super) fn new(batches: usize) -> Self {
        Self { slots: Vec::with_capacity(batches), free: Vec::with_capacity(batches) }
    }

    /// Takes a batch with at least one submitted record in. Returns its slot.
    pub(super) fn insert(&mut self, submission: Submission) -> u32 {
        let submitted = submission.len();
        debug_assert!(submitted > 0, "a batch without records would never be reported");
        let entry = Entry { submission, submitted, unreported: submitted, failed: Vec::new() };
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or_else(|_| unreachable!("memory ends before u32"));
        self.slots.push(Some(entry));
        slot
    }

    /// The submission in `slot`, where it stays until the last report.
    pub(super) fn submission(&self, slot: u32) -> &Submission {
        match self.slots.get(slot as usize) {
            Some(Some(entry)) => &entry.submission,
            _ => panic!("slot {slot} is free"),
        }
    }

    /// Notes the outcome of one record. Returns the batch with the last one.
    ///
    /// # Panics
    /// When the slot is free: a message was reported twice, and nothing that is known about batches can be
    /// trusted any more.
    pub(super) fn report(&mut self, slot: u32, index: u32, outcome: Result<(), Fault>) -> Option<Settled> {
        let place = self.slots.get_mut(slot as usize).filter(|place| place.is_some());
        let Some(place) = place else { panic!("report for the free slot {slot}, record {index}") };
        let entry = place.as_mut()?;
        if let Err(fault) = outcome {
            entry.failed.push((index, fault));
        }
        entry.unreported -= 1;
        if entry.unreported > 0 {
            return None;
        }
        let entry = place.take()?;
        self.free.push(slot);
        Some(entry.settle())
    }

    /// Number of batches that are with librdkafka.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True when librdkafka holds nothing of ours.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Entry {
    fn settle(mut self) -> Settled {
        // Partitions report in any order.
        self.failed.sort_unstable_by_key(|(index, _)| *index);
        Settled { batch: self.submission.batch, delivery: Delivery::from_failed(self.submitted, self.failed) }
    }
}

/// A message's opaque value. Never dereferenced: it only looks like a pointer to librdkafka.
pub(super) fn pack(slot: u32, index: u32) -> usize {
    const { assert!(usize::BITS == 64, "slot and record index share one pointer") };
    (slot as usize) << 32 | index as usize
}

/// The slot and the record index of [`pack`].
#[allow(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
pub(super) fn unpack(opaque: usize) -> (u32, u32) {
    ((opaque >> 32) as u32, opaque as u32)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Batch, Fate, FaultKind, Origin, Records, Retry, Whose};

    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

    fn submission(slot: u16, records: u32, only: Option<Vec<u32>>) -> Submission {
        let mut batch = Batch::new(Origin { shard: 0, slot }, 1024, 16);
        for _ in 0..records {
            batch.append_with(|free| (!free.is_empty()).then_some((0, 1))).unwrap();
        }
        let records = only.map_or(Records::All, Records::Only);
        Submission { batch, records, deadline: Instant::now() }
    }

    #[test]
    fn a_batch_leaves_with_its_last_report_and_failures_are_sorted() {
        let mut table = InFlight::new(2);
        let slot = table.insert(submission(7, 4, None));
        assert!(table.report(slot, 3, Err(LATE)).is_none());
        assert!(table.report(slot, 1, Err(LATE)).is_none());
        assert!(table.report(slot, 0, Ok(())).is_none());
        assert_eq!(table.len(), 1);
        let settled = table.report(slot, 2, Ok(())).unwrap();
        assert_eq!(settled.batch.origin().slot, 7);
        assert_eq!(settled.delivery, Delivery::Some(vec![(1, LATE), (3, LATE)]));
        assert!(table.is_empty());
    }

    #[test]
    fn only_submitted_records_are_awaited_and_slots_are_used_again() {
        let mut table = InFlight::new(1);
        let first = table.insert(submission(0, 5, Some(vec![1, 4])));
        let second = table.insert(submission(1, 1, None));
        assert_ne!(first, second);
        assert!(table.report(first, 4, Err(LATE)).is_none());
        let settled = table.report(first, 1, Err(LATE)).unwrap();
        assert_eq!(settled.delivery, Delivery::None(LATE));
        let third = table.insert(submission(2, 1, None));
        assert_eq!(third, first);
        assert_eq!(table.submission(third).batch.origin().slot, 2);
        assert_eq!(table.report(second, 0, Ok(())).unwrap().delivery, Delivery::All);
        assert_eq!(table.report(third, 0, Ok(())).unwrap().delivery, Delivery::All);
    }

    #[test]
    #[should_panic(expected = "report for the free slot 0")]
    fn a_second_report_is_a_bug_that_must_not_pass() {
        let mut table = InFlight::new(1);
        let slot = table.insert(submission(0, 1, None));
        let _settled = table.report(slot, 0, Ok(()));
        let _settled = table.report(slot, 0, Ok(()));
    }

    #[test]
    fn slot_and_record_survive_the_pointer() {
        for (slot, index) in [(0, 0), (1, 2), (u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
            assert_eq!(unpack(pack(slot, index)), (slot, index));
        }
    }
}
