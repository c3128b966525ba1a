//! The lane against a scripted sink, and a seeded simulation with every fault.

use super::*;
use crate::handoff::Sealed;
use millrun_sinks::{Capabilities, Fate, Retry};

const MS: fn(u64) -> Duration = Duration::from_millis;
const AGAIN: Fault = Fault::new(FaultKind::Throttled, Whose::Sink, Retry::Yes, Fate::NotStored);
const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);
const LARGE: Fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);

/// A sink whose outcomes come from a function of (attempt number, submission).
struct Scripted<F> {
    script: F,
    held: Vec<Submission>,
    stored: Vec<Vec<u8>>,
    attempts: usize,
    in_flight_max: usize,
    stalled: bool,
}

impl<F: FnMut(usize, &Submission) -> Delivery> Scripted<F> {
    fn new(script: F) -> Self {
        Self { script, held: vec![], stored: vec![], attempts: 0, in_flight_max: 4, stalled: false }
    }
}

impl<F: FnMut(usize, &Submission) -> Delivery + Send> Sink for Scripted<F> {
    fn capabilities(&self) -> Capabilities {
        Capabilities { record_bytes_max: 1024, batches_in_flight_max: self.in_flight_max }
    }

    fn submit(&mut self, submission: Submission, _now: Instant) {
        assert!(self.held.len() < self.in_flight_max, "the lane holds back what the sink does not take");
        self.held.push(submission);
    }

    fn poll(&mut self, _now: Instant, settled: &mut Vec<Settled>) {
        if self.stalled {
            return;
        }
        for submission in self.held.drain(..) {
            self.attempts += 1;
            let delivery = (self.script)(self.attempts, &submission);
            for index in submission.indices().filter(|index| delivery.of(*index).is_ok()) {
                self.stored.push(submission.batch.record(index).value.to_vec());
            }
            settled.push(Settled { batch: submission.batch, delivery });
        }
    }

    fn next_poll(&self) -> Option<Instant> {
        None
    }

    fn health(&self) -> Health {
        Health::Unknown
    }

    fn close(&mut self, _now: Instant, _deadline: Instant) {}

    fn is_idle(&self) -> bool {
        self.held.is_empty()
    }
}

#[derive(Default)]
struct Counted {
    submitted: usize,
    retried: usize,
    delivered: usize,
    opened: usize,
    closed: usize,
}

impl LaneEvents for Counted {
    fn submitted(&mut self, records: usize) {
        self.submitted += records;
    }
    fn retried(&mut self, _kind: FaultKind) {
        self.retried += 1;
    }
    fn attempt_took(&mut self, _took: Duration) {}
    fn decided(&mut self, records: usize, delivery: &Delivery) {
        let indices = 0..u32::try_from(records).unwrap();
        self.delivered += indices.filter(|index| delivery.of(*index).is_ok()).count();
    }
    fn breaker(&mut self, open: bool) {
        if open {
            self.opened += 1;
        } else {
            self.closed += 1;
        }
    }
}

fn limits() -> LaneLimits {
    LaneLimits {
        lane: 3,
        shards: 1,
        slots: 64,
        retry_initial: MS(10),
        retry_max: MS(100),
        breaker_failures: 3,
        breaker_open: MS(1000),
        seed: 1,
    }
}

fn batch(slot: u16, values: &[&[u8]]) -> Batch {
    let mut batch = Batch::new(Origin { shard: 0, slot }, 4096, 64);
    for value in values {
        batch
            .append_with(|free| {
                free[..value.len()].copy_from_slice(value);
                Some((0, value.len()))
            })
            .unwrap();
    }
    batch
}

fn sealed(slot: u16, values: &[&[u8]], now: Instant, deadline: Instant) -> Sealed {
    Sealed { batch: batch(slot, values), sealed_at: now, deadline, patient: false }
}

/// Runs the lane from its own wake-up times until nothing is left, or `until`.
fn run<S: Sink>(
    lane: &mut Lane<S>,
    gate: &Gate,
    start: Instant,
    until: Instant,
) -> (Vec<Returned>, Counted, Instant) {
    let (mut returned, mut events, mut now) = (vec![], Counted::default(), start);
    loop {
        let now_ms = u64::try_from((now - start).as_millis()).unwrap() + 1;
        lane.turn(now, gate, now_ms, &mut events, &mut |batch| returned.push(batch));
        match lane.next_turn() {
            Some(next) if next <= until => now = next.max(now),
            _ => return (returned, events, now),
        }
    }
}

#[test]
fn a_partial_failure_retries_only_what_failed() {
    let sink = Scripted::new(|attempt, submission: &Submission| {
        if attempt == 1 {
            return Delivery::Some(vec![(1, AGAIN)]);
        }
        assert_eq!(submission.records, Records::Only(vec![1]));
        Delivery::All
    });
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    lane.accept(sealed(0, &[b"a", b"b", b"c"], now, now + MS(1000)), now, &mut Counted::default());
    let (returned, events, _) = run(&mut lane, &gate, now, now + MS(5000));
    assert_eq!(returned.len(), 1);
    assert_eq!(returned[0].lane, 3);
    assert_eq!(returned[0].delivery, Delivery::All);
    assert_eq!((events.delivered, events.retried), (3, 1));
    assert_eq!(lane.sink.stored, [b"a".to_vec(), b"c".to_vec(), b"b".to_vec()]);
    assert!(lane.is_idle());
}

#[test]
fn it_gives_up_at_the_deadline_with_the_last_reason() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::None(AGAIN));
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    lane.accept(sealed(0, &[b"a"], now, now + MS(300)), now, &mut Counted::default());
    let (returned, events, end) = run(&mut lane, &gate, now, now + MS(60_000));
    assert_eq!(returned[0].delivery, Delivery::None(AGAIN));
    assert!(end < now + MS(300), "no attempt begins at or behind the deadline");
    assert!(events.retried > 3, "it tried more than a few times: {}", events.retried);
}

#[test]
fn what_waited_beyond_its_deadline_is_never_submitted() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::All);
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    lane.accept(sealed(0, &[b"a"], now, now + MS(300)), now + MS(300), &mut Counted::default());
    let (returned, ..) = run(&mut lane, &gate, now + MS(300), now + MS(5000));
    let too_late = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::NotStored);
    assert_eq!(returned[0].delivery, Delivery::None(too_late));
    assert_eq!(lane.sink.attempts, 0);
    assert!(lane.is_idle());
}

#[test]
fn a_batch_that_nobody_would_send_again_is_tried_until_it_is_stored() {
    let sink = Scripted::new(
        |attempt, _: &Submission| if attempt <= 40 { Delivery::None(LATE) } else { Delivery::All },
    );
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    let patient = Sealed { patient: true, ..sealed(0, &[b"a"], now, now + MS(300)) };
    lane.accept(patient, now, &mut Counted::default());
    let (returned, _, end) = run(&mut lane, &gate, now, now + MS(60_000));
    assert_eq!(returned[0].delivery, Delivery::All);
    assert!(end > now + MS(300), "long behind the deadline of those who waited");
}

#[test]
fn the_clients_faults_and_spent_deadlines_are_not_tried_again() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::Some(vec![(0, LARGE), (1, LATE)]));
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    lane.accept(sealed(0, &[b"a", b"b", b"c"], now, now + MS(1000)), now, &mut Counted::default());
    let (returned, ..) = run(&mut lane, &gate, now, now + MS(5000));
    assert_eq!(returned[0].delivery, Delivery::Some(vec![(0, LARGE), (1, LATE)]));
    assert_eq!(lane.sink.attempts, 1);
}

#[test]
fn failures_in_a_row_open_the_gate_and_a_success_closes_it() {
    let sink = Scripted::new(
        |attempt, _: &Submission| if attempt <= 4 { Delivery::None(LATE) } else { Delivery::All },
    );
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    let mut events = Counted::default();
    let mut outcomes = vec![];
    for slot in 0..5 {
        lane.accept(sealed(slot, &[b"a"], now, now + MS(1000)), now, &mut events);
        lane.turn(now, &gate, 1, &mut events, &mut |back| outcomes.push(back.delivery));
        assert_eq!(gate.is_open(), (2..4).contains(&slot), "after batch {slot}");
    }
    assert_eq!(outcomes.iter().filter(|delivery| **delivery == Delivery::All).count(), 1);
    assert_eq!((events.opened, events.closed), (2, 1));
}

#[test]
fn records_that_no_sink_would_take_do_not_open_the_gate() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::None(LARGE));
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    for slot in 0..10 {
        lane.accept(sealed(slot, &[b"a"], now, now + MS(1000)), now, &mut Counted::default());
        let (returned, ..) = run(&mut lane, &gate, now, now + MS(1000));
        assert_eq!(returned[0].delivery, Delivery::None(LARGE));
    }
    assert!(!gate.is_open(), "a client with huge records must not close the sink to all the others");
}

#[test]
fn a_sink_that_asks_for_less_is_not_down() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::None(AGAIN));
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    lane.accept(sealed(0, &[b"hot"], now, now + MS(1000)), now, &mut Counted::default());
    let (returned, ..) = run(&mut lane, &gate, now, now + MS(2000));
    assert_eq!(returned[0].delivery, Delivery::None(AGAIN));
    assert!(lane.sink.attempts > 3 && !gate.is_open(), "records for other shards are let through");
}

#[test]
fn what_the_sink_does_not_take_waits_in_order() {
    let mut sink = Scripted::new(|_, _: &Submission| Delivery::All);
    sink.in_flight_max = 2;
    sink.stalled = true;
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    for slot in 0..5 {
        lane.accept(
            sealed(slot, &[&[b'0' + u8::try_from(slot).unwrap()]], now, now + MS(1000)),
            now,
            &mut Counted::default(),
        );
    }
    assert_eq!((lane.in_flight(), lane.waiting()), (2, 3));
    lane.sink.stalled = false;
    let mut returned = vec![];
    while !lane.is_idle() {
        lane.turn(now, &gate, 1, &mut Counted::default(), &mut |back| returned.push(back));
    }
    assert_eq!(lane.sink.stored.concat(), b"01234");
    assert_eq!(returned.len(), 5);
}

#[test]
fn closing_tries_what_waits_once_more_and_then_gives_it_back() {
    let sink = Scripted::new(|_, _: &Submission| Delivery::None(AGAIN));
    let (mut lane, gate, now) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
    let mut events = Counted::default();
    lane.accept(sealed(0, &[b"a"], now, now + MS(60_000)), now, &mut events);
    let mut returned = vec![];
    lane.turn(now, &gate, 1, &mut events, &mut |back| returned.push(back));
    assert!(returned.is_empty());
    lane.close(now, now + MS(1000));
    lane.turn(now, &gate, 1, &mut events, &mut |back| returned.push(back));
    assert_eq!(returned.len(), 1);
    assert_eq!(returned.pop().unwrap().delivery, Delivery::None(AGAIN));
    assert!(lane.is_idle());
}

/// Random faults of every kind on random records, over many seeds: whatever happens, each batch comes back exactly
/// once, a record is reported delivered exactly when the sink stored it, and nothing is stored twice.
#[test]
fn simulation_conserves_every_record() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut inner = random.fork();
        let trouble = [0.0, 0.05, 0.5, 1.0][random.usize(0..4)];
        let sink = Scripted::new(move |_, submission: &Submission| {
            let mut failed = vec![];
            for index in submission.indices() {
                if inner.f64() < trouble {
                    let fault = [AGAIN, LATE, LARGE][if inner.f64() < 0.8 { 0 } else { inner.usize(0..3) }];
                    failed.push((index, fault));
                }
            }
            Delivery::from_failed(submission.len(), failed)
        });
        let (mut lane, gate, start) = (Lane::new(sink, limits()), Gate::new(100), Instant::now());
        let mut events = Counted::default();
        let (mut now, mut free): (_, Vec<u16>) = (start, (0..64).collect());
        let (mut sent, mut delivered, mut returned_batches) = (0_usize, vec![], 0);
        let mut batches_sent = 0;
        let mut step = |lane: &mut Lane<_>, now: Instant, free: &mut Vec<u16>| {
            let now_ms = u64::try_from((now - start).as_millis()).unwrap() + 1;
            lane.turn(now, &gate, now_ms, &mut events, &mut |Returned { batch, delivery, .. }| {
                returned_batches += 1;
                free.push(batch.origin().slot);
                for (index, record) in batch.records().enumerate() {
                    if delivery.of(u32::try_from(index).unwrap()).is_ok() {
                        delivered.push(record.value.to_vec());
                    }
                }
            });
        };
        for _ in 0..200 {
            now += MS(random.u64(0..20));
            if random.bool()
                && let Some(slot) = free.pop()
            {
                let values: Vec<_> = (0..random.usize(1..20))
                    .map(|_| {
                        sent += 1;
                        sent.to_string()
                    })
                    .collect();
                let values: Vec<_> = values.iter().map(String::as_bytes).collect();
                let deadline = now + MS(random.u64(0..500));
                batches_sent += 1;
                lane.accept(sealed(slot, &values, now, deadline), now, &mut Counted::default());
            }
            step(&mut lane, now, &mut free);
        }
        while !lane.is_idle() {
            now = lane.next_turn().unwrap_or(now).max(now);
            step(&mut lane, now, &mut free);
        }
        assert_eq!(returned_batches, batches_sent, "seed {seed}: every batch comes back exactly once");
        let mut stored = lane.sink.stored.clone();
        stored.sort();
        delivered.sort();
        assert_eq!(delivered, stored, "seed {seed}: reported delivered = stored");
        stored.dedup();
        assert_eq!(stored.len(), delivered.len(), "seed {seed}: nothing is stored twice");
    }
}
