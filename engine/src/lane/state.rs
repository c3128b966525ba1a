//! The lane as a state machine: no thread, no clock, no queue of its own making.
//!
//! It promises: every batch that goes in by [`Lane::accept`] comes out of [`Lane::turn`] exactly once, with the
//! outcome of every record in it, and (if the sink keeps its own promise) not long after its deadline.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use millrun_sinks::{
    Batch, Delivery, Fault, FaultKind, Health, Origin, Records, Settled, Sink, Submission, Whose,
};

use super::breaker::{Breaker, Verdict};
use super::flight::{Flight, Next};
use super::{Backoff, Gate};
use crate::handoff::{Returned, Sealed};

/// Everything about a lane that is fixed.
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// The lane's number, written into every returned batch.
    pub lane: u16,
    /// Shards that feed it.
    pub shards: u16,
    /// Batches (large ones included) that each shard owns for it.
    pub slots: u16,
    /// First pause of a retry.
    pub retry_initial: Duration,
    /// Longest pause of a retry.
    pub retry_max: Duration,
    /// Failed attempts in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long an open breaker refuses before it lets a probe through.
    pub breaker_open: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

/// What a lane tells its observer. All of it happens on the lane's thread, per batch and never per request.
pub trait LaneEvents {
    /// A batch was given to the sink for the first time.
    fn submitted(&mut self, records: usize);
    /// A batch will be submitted again, because (among others) of this.
    fn retried(&mut self, kind: FaultKind);
    /// An attempt ended after `took`.
    fn attempt_took(&mut self, took: Duration);
    /// A batch of `records` goes home with its last word.
    fn decided(&mut self, records: usize, delivery: &Delivery);
    /// The breaker opened (again) or closed.
    fn breaker(&mut self, open: bool);
}

/// A batch that waits for its next attempt.
#[derive(Debug)]
struct Waiting {
    at: Instant,
    /// Keeps two batches with the same time apart, and the older one in front.
    number: u64,
    batch: Batch,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct Lane<S> {
    sink: S,
    limits: LaneLimits,
    backoff: Backoff,
    breaker: Breaker,
    /// One account for each batch that exists, by shard and slot; `Some` while the batch is here.
    flights: Vec<Option<Flight>>,
    /// Batches that came in while the sink had all that it takes.
    held: VecDeque<Batch>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    retries: u64,
    in_flight: usize,
    settled: Vec<Settled>,
    closing: bool,
}

impl<S: Sink> Lane<S> {
    /// A lane in front of `sink`. Allocates for every batch that can exist, and hardly anything afterwards.
    pub fn new(sink: S, limits: LaneLimits) -> Self {
        let batches = usize::from(limits.shards) * usize::from(limits.slots);
        Self {
            sink,
            backoff: Backoff::new(limits.retry_initial, limits.retry_max, limits.seed),
            breaker: Breaker::new(limits.breaker_failures),
            flights: (0..batches).map(|_| None).collect(),
            held: VecDeque::with_capacity(batches),
            waiting: BinaryHeap::with_capacity(batches),
            retries: 0,
            in_flight: 0,
            settled: Vec::with_capacity(batches),
            closing: false,
            limits,
        }
    }

    /// The sink, for its health and its gauges.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Batches that the sink holds now.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Batches that wait for their next attempt or for room in the sink.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.held.len()
    }

    /// True when no batch is here and the sink has nothing left to do.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting() == 0 && self.sink.is_idle()
    }

    fn flight(&mut self, origin: Origin) -> &mut Option<Flight> {
        &mut self.flights
            [usize::from(origin.shard) * usize::from(self.limits.slots) + usize::from(origin.slot)]
    }

    /// Takes a batch in.
    ///
    /// # Panics
    /// If a batch with this origin is here already: two batches can't be the same one.
    pub fn accept(&mut self, sealed: Sealed, now: Instant, events: &mut impl LaneEvents) {
        let flight = self.flight(sealed.batch.origin());
        assert!(flight.is_none(), "a batch is in one place at a time");
        let account = Flight::new(sealed.deadline, sealed.patient, now);
        let in_time = now < account.deadline;
        *flight = Some(account);
        if in_time && self.in_flight < self.sink.capabilities().batches_in_flight_max {
            self.submit(sealed.batch, now, events);
        } else {
            self.held.push_back(sealed.batch);
        }
    }

    fn submit(&mut self, batch: Batch, now: Instant, events: &mut impl LaneEvents) {
        let Some(flight) = self.flight(batch.origin()) else {
            unreachable!("a batch that is here has an account");
        };
        let records = flight.start_attempt(now);
        let (deadline, attempt) = (flight.deadline, flight.attempts);
        let submission = Submission { batch, records, deadline };
        if attempt == 1 {
            events.submitted(submission.len());
        }
        self.in_flight += 1;
        self.sink.submit(submission, now);
    }

    /// Lets the sink make progress, tries again what is due, and gives every decided batch to `done`.
    pub fn turn(
        &mut self,
        now: Instant,
        gate: &Gate,
        now_ms: u64,
        events: &mut impl LaneEvents,
        done: &mut impl FnMut(Returned),
    ) {
        self.start_what_is_due(now, events, done);
        let mut settled = std::mem::take(&mut self.settled);
        self.sink.poll(now, &mut settled);
        for Settled { batch, delivery } in settled.drain(..) {
            self.in_flight -= 1;
            let verdict = self.settle(batch, delivery, now, events, done);
            self.tell(gate, verdict, now_ms, events);
        }
        self.settled = settled;
        self.start_what_is_due(now, events, done);
    }

    /// Looks at the sink's own opinion of its destination. Called about once a second.
    pub fn heed_health(&mut self, gate: &Gate, now_ms: u64, events: &mut impl LaneEvents) {
        if matches!(self.sink.health(), Health::Down(_)) && !self.breaker.is_open() {
            let verdict = self.breaker.trip();
            self.tell(gate, verdict, now_ms, events);
        }
    }

    /// The process drains: nothing more comes in and nothing is tried again from now on.
    pub fn close(&mut self, now: Instant, deadline: Instant) {
        self.closing = true;
        self.sink.close(now, deadline);
    }

    /// When [`Lane::turn`] is due even if nothing wakes the lane.
    pub fn next_turn(&self) -> Option<Instant> {
        let retry = self.waiting.peek().map(|Reverse(waiting)| waiting.at);
        match (retry, self.sink.next_poll()) {
            (Some(retry), Some(poll)) => Some(retry.min(poll)),
            (retry, poll) => retry.or(poll),
        }
    }

    /// Submits what is due, unless its requests have been answered meanwhile: what is stored from then on would only
    /// be there twice once their clients have tried again.
    fn start_what_is_due(
        &mut self,
        now: Instant,
        events: &mut impl LaneEvents,
        done: &mut impl FnMut(Returned),
    ) {
        while self.in_flight < self.sink.capabilities().batches_in_flight_max {
            let due = self.waiting.peek().is_some_and(|Reverse(waiting)| waiting.at <= now || self.closing);
            let batch = if due {
                self.waiting.pop().map(|Reverse(waiting)| waiting.batch)
            } else {
                self.held.pop_front()
            };
            let Some(batch) = batch else { return };
            if let Some(flight) = self.flight(batch.origin()).take_if(|flight| now >= flight.deadline) {
                let delivery = flight.give_up(batch.len());
                events.decided(batch.len(), &delivery);
                done(Returned { lane: self.limits.lane, batch, delivery });
            } else {
                self.submit(batch, now, events);
            }
        }
    }

    /// Books one attempt's outcome; the batch then waits for its next attempt or goes home.
    fn settle(
        &mut self,
        batch: Batch,
        delivery: Delivery,
        now: Instant,
        events: &mut impl LaneEvents,
        done: &mut impl FnMut(Returned),
    ) -> Verdict {
        let closing = self.closing;
        let Some(mut flight) = self.flight(batch.origin()).take() else {
            unreachable!("the sink returned a batch that it was not given");
        };
        let summary = Summary::of(&flight.submitted, batch.len(), &delivery);
        events.attempt_took(now.saturating_duration_since(flight.submitted_at));
        let verdict = match summary {
            Summary { delivered: 1.., .. } => self.breaker.succeeded(),
            Summary { sink_failed: true, .. } => self.breaker.failed(),
            Summary { .. } => Verdict::Unchanged,
        };
        let (again, at) = match flight.book(batch.len(), delivery) {
            Next::Home => (None, None),
            Next::AtOnce(kind) => (Some(kind), (now < flight.deadline).then_some(now)),
            Next::Pause(kind, failures) => (Some(kind), self.backoff.next(failures, now, flight.deadline)),
        };
        let at = at.filter(|_| !closing);
        if let (Some(kind), Some(_)) = (again, at) {
            events.retried(kind);
        }
        if let Some(at) = at {
            *self.flight(batch.origin()) = Some(flight);
            self.retries += 1;
            self.waiting.push(Reverse(Waiting { at, number: self.retries, batch }));
        } else {
            let delivery = flight.conclude(batch.len());
            events.decided(batch.len(), &delivery);
            done(Returned { lane: self.limits.lane, batch, delivery });
        }
        verdict
    }

    fn tell(&self, gate: &Gate, verdict: Verdict, now_ms: u64, events: &mut impl LaneEvents) {
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Close => {
                gate.close();
                events.breaker(false);
            }
            Verdict::Open => {
                let open_ms = u64::try_from(self.limits.breaker_open.as_millis()).unwrap_or(u64::MAX);
                gate.open(now_ms.saturating_add(open_ms));
                events.breaker(true);
            }
        }
    }
}

/// One attempt's outcome in numbers.
struct Summary {
    delivered: usize,
    /// Something failed that was neither the record's own fault nor its neighbour's. A sink that judges records, or
    /// asks for less, works: otherwise one client's oversized events, or a key that is too hot for its shard, would open
    /// the breaker for everybody.
    sink_failed: bool,
}

impl Summary {
    fn of(submitted: &Records, records: usize, delivery: &Delivery) -> Self {
        let submitted = match submitted {
            Records::All => records,
            Records::Only(only) => only.len(),
        };
        let mut sink_failed = false;
        let mut fail = |fault: &Fault| {
            sink_failed |= fault.whose != Whose::Client
                && !matches!(
                    fault.kind,
                    FaultKind::QueueFull | FaultKind::RecordTooLarge | FaultKind::Throttled
                );
        };
        let failed = match delivery {
            Delivery::All => 0,
            Delivery::None(fault) => {
                fail(fault);
                submitted
            }
            Delivery::Some(failed) => {
                for (_, fault) in failed {
                    fail(fault);
                }
                failed.len()
            }
        };
        Self { delivered: submitted - failed, sink_failed }
    }
}

#[cfg(test)]
mod tests;
