//! One shard's feed into one lane. Pure: it is given the time, and hands sealed batches to its caller.

use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Fate, Fault, FaultKind, Origin, Retry, Whose};

use crate::handoff::{Returned, Sealed};
use crate::http::Refusal;
use crate::limits;
use crate::observe::SealReason;
use crate::protocol::Encode;

/// Everything about a feed that is fixed.
#[derive(Clone, Copy, Debug)]
pub struct FeedLimits {
    /// The owning shard.
    pub shard: u16,
    /// Arena of a batch, in bytes.
    pub arena_bytes: usize,
    /// Most records in a batch.
    pub records_max: usize,
    /// Number of batches.
    pub count: u16,
    /// Number of batches with an arena for one record of `record_bytes_max`; 0 where every record fits an arena.
    pub large_count: u16,
    /// Largest record (key and value) that the sink takes, in bytes.
    pub record_bytes_max: usize,
    /// Oldest age of an open batch.
    pub linger: Duration,
    /// From a batch's opening to the answer of its requests.
    pub deadline: Duration,
    /// A call of this sink costs so much that a busy feed gathers records for its linger, even while the lane is idle.
    pub gathers: bool,
}

impl FeedLimits {
    /// Bytes of an arena that holds any record on its own: its newline included.
    #[must_use]
    pub fn large_arena_bytes(&self) -> usize {
        self.record_bytes_max + 1
    }

    /// Large batches that are really made: none when every record fits an ordinary arena.
    #[must_use]
    pub fn large_batches(&self) -> u16 {
        if self.large_arena_bytes() > self.arena_bytes { self.large_count } else { 0 }
    }

    /// Batches of either kind: the number of slots.
    #[must_use]
    pub fn batches(&self) -> u16 {
        self.count + self.large_batches()
    }
}

/// What a returned batch brought home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Homecoming {
    /// Records that were delivered after their requests had been answered 503.
    pub late_deliveries: usize,
    /// Records whose requests had been answered 200 before they were stored (`accepted`), and that failed for good.
    pub lost_after_answer: usize,
}

#[derive(Debug)]
struct Slot<T> {
    /// Who waits for each record, by its index.
    waiters: Vec<Waiter<T>>,
    deadline: Instant,
}

/// Who waits for a record.
#[derive(Clone, Copy, Debug)]
enum Waiter<T> {
    /// Nobody: its request was answered when it was taken (`accepted`).
    Nobody,
    /// This request.
    Waits(T),
    /// Nobody any more: its request was answered 503 at the deadline.
    Answered,
}

impl<T> From<Option<T>> for Waiter<T> {
    fn from(waiter: Option<T>) -> Self {
        waiter.map_or(Self::Nobody, Self::Waits)
    }
}

#[derive(Debug)]
struct Open {
    batch: Batch,
    since: Instant,
}

/// See the module's description. `T` is whatever stands for a waiting request.
#[derive(Debug)]
pub struct Feed<T> {
    limits: FeedLimits,
    free: Vec<Batch>,
    free_large: Vec<Batch>,
    open: Option<Open>,
    /// By `Origin::slot`: the ordinary batches first, then the large ones.
    slots: Vec<Slot<T>>,
    in_flight: usize,
    pace: Pace,
}

/// How many records come in a linger: what tells a quiet feed from a busy one.
#[derive(Debug)]
struct Pace {
    window: Duration,
    since: Instant,
    records: usize,
    before: usize,
}

impl Pace {
    fn new(window: Duration, now: Instant) -> Self {
        Self { window, since: now, records: 0, before: 0 }
    }

    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= self.window {
            self.before = if passed < 2 * self.window { self.records } else { 0 };
            self.records = 0;
            self.since = now;
        }
        self.records += 1;
    }

    /// Waiting for more is worth its while: a batch would hold [`limits::BUSY_RECORDS`] or more.
    fn is_busy(&self) -> bool {
        self.records.max(self.before) >= limits::BUSY_RECORDS
    }
}

/// The outcome of a record whose deadline passed while its batch was in the lane.
const DEADLINE_PASSED: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

impl<T: Copy> Feed<T> {
    /// Makes every batch that this feed will ever have.
    #[must_use]
    pub fn new(limits: FeedLimits, now: Instant) -> Self {
        let origin = |slot| Origin { shard: limits.shard, slot };
        let ordinary = (0..limits.count).rev();
        let large = (limits.count..limits.batches()).rev();
        let slot = |records_max| Slot { waiters: Vec::with_capacity(records_max), deadline: now };
        Self {
            free: ordinary
                .map(|slot| Batch::new(origin(slot), limits.arena_bytes, limits.records_max))
                .collect(),
            free_large: large.map(|slot| Batch::new(origin(slot), limits.large_arena_bytes(), 1)).collect(),
            open: None,
            slots: (0..limits.batches())
                .map(|number| slot(if number < limits.count { limits.records_max } else { 1 }))
                .collect(),
            in_flight: 0,
            pace: Pace::new(limits.linger, now),
            limits,
        }
    }

    /// Batches that are free now, large ones not counted.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Batches that are in the lane now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// True when an open batch holds records.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes one record and returns its length. Batches that it fills or pushes out go to `sealed`.
    ///
    /// # Errors
    /// [`Refusal::RecordTooLarge`] when the sink would not take it, [`Refusal::Overloaded`] when no batch is free.
    /// Nothing has been taken then.
    pub fn append(
        &mut self,
        record: &dyn Encode,
        waiter: Option<T>,
        now: Instant,
        sealed: &mut impl FnMut(Sealed, SealReason),
    ) -> Result<usize, Refusal> {
        let free = self
            .open
            .as_ref()
            .map_or(self.limits.arena_bytes - 1, |open| open.batch.free_bytes().unwrap_or(0));
        let mut len = record.len_max();
        if len > free.min(self.limits.record_bytes_max) {
            len = record.len();
        }
        if len > self.limits.record_bytes_max {
            return Err(Refusal::RecordTooLarge);
        }
        if len >= self.limits.arena_bytes {
            return self.append_large(record, waiter, now, sealed);
        }
        if self.open.is_some() && len > free {
            let full = self.open.as_ref().is_some_and(|open| open.batch.free_bytes().is_none());
            self.seal(now, if full { SealReason::Count } else { SealReason::Bytes }, sealed);
        }
        if self.open.is_none() {
            let batch = self.free.pop().ok_or(Refusal::Overloaded)?;
            self.open = Some(Open { batch, since: now });
        }
        let Some(open) = &mut self.open else { unreachable!("opened above") };
        let before = open.batch.used_bytes();
        if open.batch.append_with(|free| record.encode(free)).is_err() {
            // The length and the encoder disagree. Nothing was taken; the batch must not be left open and empty.
            if open.batch.is_empty()
                && let Some(open) = self.open.take()
            {
                self.free.push(open.batch);
            }
            return Err(Refusal::Internal);
        }
        let bytes = open.batch.used_bytes() - before;
        if self.limits.gathers {
            self.pace.count(now);
        }
        let slot = &mut self.slots[usize::from(open.batch.origin().slot)];
        slot.waiters.push(waiter.into());
        if open.batch.len() == self.limits.records_max {
            self.seal(now, SealReason::Count, sealed);
        }
        Ok(bytes)
    }

    fn append_large(
        &mut self,
        record: &dyn Encode,
        waiter: Option<T>,
        now: Instant,
        sealed: &mut impl FnMut(Sealed, SealReason),
    ) -> Result<usize, Refusal> {
        let mut batch = self.free_large.pop().ok_or(Refusal::Overloaded)?;
        if batch.append_with(|free| record.encode(free)).is_err() {
            self.free_large.push(batch);
            return Err(Refusal::Internal);
        }
        self.slots[usize::from(batch.origin().slot)].waiters.push(waiter.into());
        let bytes = batch.used_bytes();
        self.launch(Open { batch, since: now }, now, SealReason::Large, sealed);
        Ok(bytes)
    }

    /// Seals the open batch, if there is one.
    pub fn seal(&mut self, now: Instant, reason: SealReason, sealed: &mut impl FnMut(Sealed, SealReason)) {
        if let Some(open) = self.open.take() {
            self.launch(open, now, reason, sealed);
        }
    }

    fn launch(
        &mut self,
        open: Open,
        now: Instant,
        reason: SealReason,
        sealed: &mut impl FnMut(Sealed, SealReason),
    ) {
        let deadline = open.since + self.limits.deadline;
        let slot = &mut self.slots[usize::from(open.batch.origin().slot)];
        slot.deadline = deadline;
        let patient = slot.waiters.iter().any(|waiter| matches!(waiter, Waiter::Nobody));
        self.in_flight += 1;
        sealed(Sealed { batch: open.batch, sealed_at: now, deadline, patient }, reason);
    }

    /// Seals the open batch if its linger is over, or if its lane has nothing to do and waiting is of no use: because
    /// records come in slowly, or because `all_wait`, every client waits for an answer and nothing more can come.
    pub fn seal_due(&mut self, now: Instant, all_wait: bool, sealed: &mut impl FnMut(Sealed, SealReason)) {
        let Some(open) = &self.open else { return };
        if self.in_flight == 0 && (all_wait || !self.is_busy()) {
            self.seal(now, SealReason::Idle, sealed);
        } else if now >= open.since + self.limits.linger {
            self.seal(now, SealReason::Age, sealed);
        }
    }

    fn is_busy(&self) -> bool {
        self.limits.gathers && self.pace.is_busy()
    }

    /// When [`Feed::seal_due`] has to be called at the latest; `None`: nothing is open.
    #[must_use]
    pub fn next_seal(&self) -> Option<Instant> {
        let open = self.open.as_ref()?;
        let at_once = self.in_flight == 0 && !self.is_busy();
        Some(if at_once { open.since } else { open.since + self.limits.linger })
    }

    /// Takes a decided batch back: tells each waiter its record's outcome and recycles the batch.
    pub fn returned(
        &mut self,
        returned: Returned,
        resolve: &mut impl FnMut(T, Result<(), Fault>),
    ) -> Homecoming {
        let Returned { mut batch, delivery, .. } = returned;
        let number = usize::from(batch.origin().slot);
        let slot = &mut self.slots[number];
        let mut homecoming = Homecoming::default();
        for (index, waiter) in (0_u32..).zip(slot.waiters.drain(..)) {
            let outcome = delivery.of(index);
            match waiter {
                Waiter::Waits(waiter) => resolve(waiter, outcome),
                Waiter::Nobody => homecoming.lost_after_answer += usize::from(outcome.is_err()),
                Waiter::Answered => homecoming.late_deliveries += usize::from(outcome.is_ok()),
            }
        }
        self.in_flight -= 1;
        batch.clear();
        let home =
            if number < usize::from(self.limits.count) { &mut self.free } else { &mut self.free_large };
        home.push(batch);
        homecoming
    }

    /// Answers the requests of batches that are still in the lane at their deadline: nobody knows. Returns how many
    /// records that were.
    pub fn expire(&mut self, now: Instant, resolve: &mut impl FnMut(T, Result<(), Fault>)) -> usize {
        let mut expired = 0;
        let open = self.open.as_ref().map(|open| usize::from(open.batch.origin().slot));
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.waiters.is_empty() || slot.deadline > now || open == Some(number) {
                continue;
            }
            for waiter in &mut slot.waiters {
                if let Waiter::Waits(request) = *waiter {
                    *waiter = Waiter::Answered;
                    expired += 1;
                    resolve(request, Err(DEADLINE_PASSED));
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests;
