//! The contract of [`Sink`] as test functions that drive any sink the way the engine's lane does: submit, sleep
//! until woken or due, poll. A sink's own tests implement [`Subject`] and call [`all`].
//!
//! Nothing here sleeps to "wait enough": the driver parks until the sink's [`Wake`] or its
//! [`Sink::next_poll`], and panics with a report when the subject's patience ends. For tests only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Batch, Delivery, Origin, Records, Settled, Sink, Submission, Wake};

#[cfg(test)]
mod tests;

/// Room for the test records of one batch.
const ARENA_BYTES: usize = 16 * 1024;
/// Records of one test batch.
const RECORDS: u32 = 7;

/// A sink under test and its destination.
pub trait Subject {
    /// The sink.
    type Sink: Sink;

    /// Opens a fresh sink on the destination.
    fn open(&self, wake: Wake) -> Self::Sink;

    /// Values of all records that the destination holds (others' may be among them), read after a sink was
    /// closed; `None` where the destination can't be read.
    fn stored(&self) -> Option<Vec<Vec<u8>>> {
        None
    }

    /// Whether the destination works, so that every record must be reported delivered. Where it doesn't, only
    /// what holds in an outage too is checked.
    fn works(&self) -> bool {
        true
    }

    /// How long one test may take before it fails.
    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }
}

/// Runs every test of this module against `subject`.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn all(subject: &impl Subject) {
    every_batch_comes_back_once(subject);
    many_batches_fly_at_a_time(subject);
    only_the_submitted_records_are_delivered(subject);
    nothing_submitted_is_settled_too(subject);
    a_batch_can_be_used_again(subject);
    close_settles_everything(subject);
    an_unused_sink_closes(subject);
}

/// A batch that is submitted comes back exactly once, unmoved and unchanged, and the sink is idle afterwards.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn every_batch_comes_back_once(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    for slot in 0..5 {
        lane.submit(filled(slot), Records::All);
        lane.settle_all();
    }
    lane.close_and_compare();
}

/// As many batches as the sink allows (at most 64 here) are in flight together; each comes back once.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn many_batches_fly_at_a_time(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    let max = lane.sink.capabilities().batches_in_flight_max.min(64);
    assert!(max > 0, "a sink takes at least one batch");
    for round in 0..2 {
        for slot in 0..max {
            let slot = u16::try_from(slot + round * max).expect("a slot fits u16");
            lane.submit(filled(slot), Records::All);
        }
        lane.settle_all();
    }
    lane.close_and_compare();
}

/// Of a partial submission only the listed records are delivered; the others stay where they are.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn only_the_submitted_records_are_delivered(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    for (slot, only) in
        [vec![0], vec![RECORDS - 1], vec![1, 2, 5], (0..RECORDS).collect()].into_iter().enumerate()
    {
        lane.submit(filled(u16::try_from(slot).expect("few slots")), Records::Only(only));
    }
    lane.submit(filled(100), Records::All);
    lane.settle_all();
    lane.close_and_compare();
}

/// A batch without records, and a submission of none of them, come back like every other.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn nothing_submitted_is_settled_too(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    lane.submit(Batch::new(Origin { shard: 1, slot: 0 }, 64, 1), Records::All);
    lane.submit(filled(1), Records::Only(Vec::new()));
    lane.settle_all();
    lane.close_and_compare();
}

/// A batch that came back is cleared, filled and submitted again: the sink keeps nothing of its first life.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn a_batch_can_be_used_again(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    lane.submit(filled(0), Records::All);
    for _ in 0..4 {
        let mut settled = lane.settle_all();
        let mut batch = settled.pop().expect("one batch is in flight").batch;
        batch.clear();
        fill(&mut batch);
        lane.submit(batch, Records::All);
    }
    lane.settle_all();
    lane.close_and_compare();
}

/// What is in flight when the sink is closed is settled through `poll`; then the sink is idle.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn close_settles_everything(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    for slot in 0..3 {
        lane.submit(filled(slot), Records::All);
    }
    lane.close_and_compare();
}

/// A sink that was never given a record closes and is idle.
///
/// # Panics
/// Where the sink breaks the contract.
pub fn an_unused_sink_closes(subject: &impl Subject) {
    let mut lane = Lane::open(subject);
    assert!(lane.sink.is_idle(), "a new sink is idle");
    lane.poll_once();
    lane.close_and_compare();
}

/// What is known about a batch in flight.
struct Flight {
    arena: *const u8,
    values: Vec<Vec<u8>>,
    submitted: Vec<u32>,
}

/// Drives a sink as the engine's lane does, and remembers what must be true of it.
struct Lane<'a, S: Subject> {
    subject: &'a S,
    sink: S::Sink,
    in_flight: HashMap<Origin, Flight>,
    delivered: Vec<Vec<u8>>,
    not_submitted: Vec<Vec<u8>>,
    deadline: Instant,
}

impl<'a, S: Subject> Lane<'a, S> {
    fn open(subject: &'a S) -> Self {
        let lane = thread::current();
        let sink = subject.open(Wake::new(move || lane.unpark()));
        Self {
            subject,
            sink,
            in_flight: HashMap::new(),
            delivered: Vec::new(),
            not_submitted: Vec::new(),
            deadline: Instant::now() + subject.patience(),
        }
    }

    fn submit(&mut self, batch: Batch, records: Records) {
        let submission = Submission { batch, records, deadline: self.deadline };
        let batch = &submission.batch;
        let submitted: Vec<u32> = submission.indices().collect();
        let values: Vec<_> = batch.records().map(|record| record.value.to_vec()).collect();
        for (index, value) in (0u32..).zip(&values) {
            if !submitted.contains(&index) {
                self.not_submitted.push(value.clone());
            }
        }
        let flight = Flight { arena: arena_of(batch), values, submitted };
        let earlier = self.in_flight.insert(batch.origin(), flight);
        assert!(earlier.is_none(), "the test uses a slot twice");
        let most = self.sink.capabilities().batches_in_flight_max;
        assert!(self.in_flight.len() <= most, "the test keeps to the sink's limit");
        self.sink.submit(submission, Instant::now());
        assert!(!self.sink.is_idle(), "a sink with a batch in flight is not idle");
    }

    /// Sleeps until the sink wants to be polled, polls it, and checks what came back.
    fn poll_once(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        self.sink.poll(Instant::now(), &mut settled);
        for settled in &settled {
            self.check(settled);
        }
        settled
    }

    fn wait(&self) {
        let now = Instant::now();
        let report = || format!("{} batches not settled, {:?}", self.in_flight.len(), self.sink.health());
        assert!(now < self.deadline, "the sink took longer than the subject's patience: {}", report());
        let until = self.sink.next_poll().map_or(self.deadline, |due| due.min(self.deadline));
        if until > now {
            thread::park_timeout(until - now);
        }
    }

    fn settle_all(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        while !self.in_flight.is_empty() {
            self.wait();
            settled.append(&mut self.poll_once());
        }
        assert!(self.sink.is_idle(), "everything is settled");
        let again = self.poll_once();
        assert!(again.is_empty(), "{} batches came back twice", again.len());
        settled
    }

    fn check(&mut self, settled: &Settled) {
        let batch = &settled.batch;
        let origin = batch.origin();
        let flight = self.in_flight.remove(&origin);
        let flight = flight.unwrap_or_else(|| panic!("{origin:?} came back twice or was never submitted"));
        assert_eq!(arena_of(batch), flight.arena, "the records of {origin:?} moved");
        let values: Vec<_> = batch.records().map(|record| record.value.to_vec()).collect();
        assert_eq!(values, flight.values, "the records of {origin:?} changed");
        check_failed_list(&settled.delivery, &flight.submitted);
        for &index in &flight.submitted {
            match settled.delivery.of(index) {
                Ok(()) => self.delivered.push(flight.values[index as usize].clone()),
                Err(fault) => {
                    assert!(!self.subject.works(), "record {index} of {origin:?} failed: {fault}");
                }
            }
        }
    }

    fn close_and_compare(mut self) {
        self.sink.close(Instant::now(), self.deadline);
        while !(self.in_flight.is_empty() && self.sink.is_idle()) {
            self.wait();
            self.poll_once();
        }
        assert!(self.poll_once().is_empty(), "a batch came back after everything was settled");
        assert!(self.sink.is_idle(), "a closed sink stays idle");
        drop(self.sink);
        let Some(stored) = self.subject.stored() else { return };
        for value in &self.delivered {
            assert!(stored.contains(value), "reported delivered, not stored: {}", text(value));
        }
        for value in &self.not_submitted {
            assert!(!stored.contains(value), "stored, but never submitted: {}", text(value));
        }
    }
}

/// `Delivery::Some` lists submitted records only, ascending, each once.
fn check_failed_list(delivery: &Delivery, submitted: &[u32]) {
    if let Delivery::Some(failed) = delivery {
        assert!(failed.is_sorted_by(|a, b| a.0 < b.0), "failed records ascend: {failed:?}");
        let strange = failed.iter().find(|(index, _)| !submitted.contains(index));
        assert!(strange.is_none(), "a record failed that was not submitted: {strange:?}");
    }
}

fn text(value: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(value)
}

/// Where the batch's first record lies; compared, never followed.
fn arena_of(batch: &Batch) -> *const u8 {
    if batch.is_empty() { std::ptr::null() } else { batch.record(0).value.as_ptr() }
}

fn filled(slot: u16) -> Batch {
    let mut batch = Batch::new(Origin { shard: 0, slot }, ARENA_BYTES, RECORDS as usize);
    fill(&mut batch);
    batch
}

/// Fills `batch` with records that no other test, process or run has.
fn fill(batch: &mut Batch) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..RECORDS {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let noise = fastrand::u64(..);
        let padding = "é\\n".repeat(usize::try_from(number % 97).expect("small"));
        let value = format!("{{\"conformance\":\"{noise:016x}-{number}\",\"padding\":\"{padding}\"}}");
        let appended = batch.append_with(|free| {
            free.get_mut(..value.len())?.copy_from_slice(value.as_bytes());
            Some((0, value.len()))
        });
        appended.expect("the test records fit the arena");
    }
}
