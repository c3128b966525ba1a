//! The batches that the sink holds, and where each of their records is.
//!
//! ```text
//!   submit ─▶ Queued ─▶ Sent ─▶ Decided      a batch leaves with its last decision,
//!                ▲        │                  or at its deadline with whatever is decided by then
//!                └────────┘ parted from a bad neighbour
//! ```
//!
//! A call holds copies of its records, so a batch may leave while its records are still on their way. Its place is
//! then another batch's: [`Place::life`] tells them apart, and a late answer is dropped.

use std::time::Instant;

use crate::{Delivery, Fault, Record, Settled, Submission};

/// A record of a batch that the sink holds, or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    slot: u32,
    /// Which of the slot's tenants.
    life: u32,
    index: u32,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the batch, but not submitted.
    Aside,
    Queued,
    Sent,
    Decided,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    life: u32,
    tenant: Option<Tenant>,
    /// Kept from tenant to tenant, so that it is allocated once.
    states: Vec<State>,
}

#[derive(Debug)]
struct Tenant {
    submission: Submission,
    submitted: usize,
    undecided: usize,
    failed: Vec<(u32, Fault)>,
}

impl Slots {
    /// Takes a batch in, of which at least one record is submitted, and calls `each` with every such record's place.
    pub(super) fn insert(&mut self, submission: Submission, mut each: impl FnMut(Place, Record<'_>)) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or_else(|_| unreachable!("memory ends before u32"))
        });
        let slot = &mut self.slots[number as usize];
        slot.states.clear();
        slot.states.resize(submission.batch.len(), State::Aside);
        for index in submission.indices() {
            slot.states[index as usize] = State::Queued;
            each(Place { slot: number, life: slot.life, index }, submission.batch.record(index));
        }
        let submitted = submission.len();
        slot.tenant = Some(Tenant { submission, submitted, undecided: submitted, failed: Vec::new() });
    }

    /// The record at `place` if its batch is still here and it is not decided.
    pub(super) fn record(&self, place: Place) -> Option<Record<'_>> {
        let slot = self.slots.get(place.slot as usize).filter(|slot| slot.life == place.life)?;
        let tenant = slot.tenant.as_ref()?;
        let open = slot.states[place.index as usize] != State::Decided;
        open.then(|| tenant.submission.batch.record(place.index))
    }

    /// Notes where a record is now; nothing for one that is gone or decided.
    pub(super) fn moved(&mut self, place: Place, state: State) {
        if self.record(place).is_some() {
            self.slots[place.slot as usize].states[place.index as usize] = state;
        }
    }

    /// Decides a record. Returns its batch when it was the last one. A record that is gone or decided stays so.
    pub(super) fn decide(&mut self, place: Place, outcome: Result<(), Fault>) -> Option<Settled> {
        self.record(place)?;
        let slot = &mut self.slots[place.slot as usize];
        let tenant = slot.tenant.as_mut()?;
        slot.states[place.index as usize] = State::Decided;
        tenant.undecided -= 1;
        if let Err(fault) = outcome {
            tenant.failed.push((place.index, fault));
        }
        if tenant.undecided > 0 {
            return None;
        }
        self.leave(place.slot)
    }

    /// Settles every batch of which `is_over` says so about its deadline; `fault` is told where each undecided record
    /// is.
    pub(super) fn end(
        &mut self,
        is_over: impl Fn(Instant) -> bool,
        fault: impl Fn(State) -> Fault,
        settled: &mut Vec<Settled>,
    ) {
        for number in 0..self.slots.len() {
            let slot = &mut self.slots[number];
            let Some(tenant) = slot.tenant.as_mut().filter(|tenant| is_over(tenant.submission.deadline))
            else {
                continue;
            };
            for (index, state) in (0..).zip(&slot.states) {
                if matches!(state, State::Queued | State::Sent) {
                    tenant.failed.push((index, fault(*state)));
                }
            }
            #[allow(clippy::cast_possible_truncation, reason = "slots are numbered by u32")]
            settled.extend(self.leave(number as u32));
        }
    }

    /// The deadline that comes first.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.slots
            .iter()
            .filter_map(|slot| slot.tenant.as_ref())
            .map(|tenant| tenant.submission.deadline)
            .min()
    }

    /// Number of batches here.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn leave(&mut self, number: u32) -> Option<Settled> {
        let slot = &mut self.slots[number as usize];
        let mut tenant = slot.tenant.take()?;
        slot.life = slot.life.wrapping_add(1);
        self.free.push(number);
        tenant.failed.sort_unstable_by_key(|(index, _)| *index);
        let delivery = Delivery::from_failed(tenant.submitted, tenant.failed);
        Some(Settled { batch: tenant.submission.batch, delivery })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fault::{THROTTLED, late};
    use super::*;
    use crate::{Batch, Fate, Origin, Records};

    fn insert(slots: &mut Slots, records: Records, deadline: Instant) -> Vec<Place> {
        let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 1024, 8);
        for value in 0..4_u8 {
            batch
                .append_with(|free| {
                    free[0] = value;
                    Some((0, 1))
                })
                .unwrap();
        }
        let mut places = Vec::new();
        slots.insert(Submission { batch, records, deadline }, |place, _| places.push(place));
        places
    }

    #[test]
    fn a_batch_leaves_with_its_last_decision() {
        let mut slots = Slots::default();
        let places = insert(&mut slots, Records::Only(vec![1, 3]), Instant::now());
        assert_eq!(slots.record(places[1]).unwrap().value, [3]);
        assert!(slots.decide(places[1], Err(THROTTLED)).is_none());
        assert!(slots.decide(places[1], Ok(())).is_none(), "decided once and for all");
        let settled = slots.decide(places[0], Ok(())).unwrap();
        assert_eq!(settled.delivery, Delivery::Some(vec![(3, THROTTLED)]));
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn an_answer_for_a_batch_that_left_does_not_touch_its_successor() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        let old = insert(&mut slots, Records::All, now);
        slots.moved(old[2], State::Sent);
        slots.decide(old[0], Ok(()));
        let mut settled = Vec::new();
        let fault = |state| late(if state == State::Sent { Fate::Unknown } else { Fate::NotStored });
        slots.end(|deadline| deadline < now, fault, &mut settled);
        assert!(settled.is_empty() && slots.next_deadline() == Some(now));
        slots.end(|deadline| deadline <= now, fault, &mut settled);
        assert_eq!(
            settled.pop().unwrap().delivery,
            Delivery::Some(vec![
                (1, late(Fate::NotStored)),
                (2, late(Fate::Unknown)),
                (3, late(Fate::NotStored))
            ])
        );
        let new = insert(&mut slots, Records::All, now + Duration::from_secs(1));
        assert!(slots.decide(old[2], Ok(())).is_none());
        assert!(slots.record(old[2]).is_none() && slots.record(new[2]).is_some());
        for place in new {
            settled.extend(slots.decide(place, Ok(())));
        }
        assert_eq!(settled.pop().unwrap().delivery, Delivery::All);
    }
}
