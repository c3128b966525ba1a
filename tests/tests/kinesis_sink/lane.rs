//! Drives a sink as the engine's lane does: submit, sleep until woken or due, poll, try again what failed and may be;
//! and keeps the account of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use millrun_sinks::kinesis::{KinesisSink, Options, open};
use millrun_sinks::{Batch, Delivery, Fate, Fault, Origin, Records, Retry, Settled, Sink, Submission, Wake};

/// Long enough for anything that happens at all.
pub const PATIENCE: Duration = Duration::from_mins(1);

const ARENA_BYTES: usize = 1 << 18;
const RECORDS_MAX: usize = 200;

pub struct Lane {
    pub sink: KinesisSink,
    /// What became of each record, by its value. Every value is unique.
    pub outcomes: BTreeMap<Vec<u8>, Result<(), Fault>>,
    /// Attempts that failed and were followed by another one, by records.
    pub retried: usize,
    pub tries_again: bool,
    pub deadline: Duration,
    bell: Arc<(Mutex<bool>, Condvar)>,
    settled: Vec<Settled>,
    flights: BTreeMap<u16, Flight>,
    waiting: Vec<(Instant, Batch, Vec<u32>)>,
    next_slot: u16,
}

struct Flight {
    submitted: Vec<u32>,
    deadline: Instant,
    attempts: u32,
}

impl Lane {
    pub fn open(options: &Options) -> Self {
        let bell = Arc::new((Mutex::new(false), Condvar::new()));
        let ringing = Arc::clone(&bell);
        let wake = Wake::new(move || {
            *ringing.0.lock().unwrap() = true;
            ringing.1.notify_one();
        });
        Self {
            sink: open(options, wake).unwrap(),
            outcomes: BTreeMap::new(),
            retried: 0,
            tries_again: true,
            deadline: PATIENCE,
            bell,
            settled: Vec::new(),
            flights: BTreeMap::new(),
            waiting: Vec::new(),
            next_slot: 0,
        }
    }

    /// Submits a batch of these keys and values.
    pub fn submit(&mut self, records: &[(&[u8], &[u8])]) {
        let bytes = records.iter().map(|(key, value)| key.len() + value.len() + 1).sum::<usize>();
        let origin = Origin { shard: 0, slot: self.next_slot };
        self.next_slot += 1;
        let mut batch = Batch::new(origin, bytes.max(ARENA_BYTES), RECORDS_MAX);
        for (key, value) in records {
            batch
                .append_with(|free| {
                    free[..key.len()].copy_from_slice(key);
                    free[key.len()..key.len() + value.len()].copy_from_slice(value);
                    Some((key.len(), value.len()))
                })
                .unwrap();
        }
        let now = Instant::now();
        let submitted = (0..u32::try_from(records.len()).unwrap()).collect();
        let deadline = now + self.deadline;
        self.flights.insert(origin.slot, Flight { submitted, deadline, attempts: 1 });
        self.sink.submit(Submission { batch, records: Records::All, deadline }, now);
    }

    /// Submits numbered records in batches of 20, each with the key that `key` makes of its number.
    pub fn submit_numbered(&mut self, numbers: std::ops::Range<u32>, key: impl Fn(u32) -> String) {
        let records: Vec<(String, Vec<u8>)> =
            numbers.map(|number| (key(number), numbered(number, &key(number)))).collect();
        for records in records.chunks(20) {
            let records: Vec<(&[u8], &[u8])> =
                records.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())).collect();
            self.submit(&records);
            self.turn(Duration::ZERO);
        }
    }

    /// Sleeps until the sink is due or woken, at most for `nap`, and takes what it settled.
    pub fn turn(&mut self, nap: Duration) {
        let now = Instant::now();
        let due = self.waiting.iter().map(|(at, ..)| *at).chain(self.sink.next_poll()).min();
        let nap = due.map_or(nap, |due| due.saturating_duration_since(now).min(nap));
        let rung = self.bell.0.lock().unwrap();
        let (mut rung, _) = self.bell.1.wait_timeout_while(rung, nap, |rung| !*rung).unwrap();
        *rung = false;
        drop(rung);
        self.start_what_is_due();
        let mut settled = std::mem::take(&mut self.settled);
        self.sink.poll(Instant::now(), &mut settled);
        for Settled { batch, delivery } in settled.drain(..) {
            self.book(batch, &delivery);
        }
        self.settled = settled;
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.waiting.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, batch, again) in due {
            let flight = self.flights.get_mut(&batch.origin().slot).unwrap();
            flight.submitted.clone_from(&again);
            flight.attempts += 1;
            let deadline = flight.deadline;
            self.sink.submit(Submission { batch, records: Records::Only(again), deadline }, now);
        }
    }

    fn book(&mut self, batch: Batch, delivery: &Delivery) {
        let slot = batch.origin().slot;
        let flight = &self.flights[&slot];
        let now = Instant::now();
        let pause = Duration::from_millis(fastrand::u64(0..=20 << flight.attempts.min(5)));
        let mut again = Vec::new();
        for &index in &flight.submitted {
            let outcome = delivery.of(index);
            let retry = outcome.is_err_and(|fault| fault.retry == Retry::Yes);
            if retry && self.tries_again && now + pause < flight.deadline {
                again.push(index);
                continue;
            }
            let known = self.outcomes.insert(batch.record(index).value.to_vec(), outcome);
            assert!(known.is_none(), "values are unique, and each has one outcome");
        }
        if again.is_empty() {
            self.flights.remove(&slot);
        } else {
            self.retried += again.len();
            self.waiting.push((now + pause, batch, again));
        }
    }

    pub fn turn_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE * 2;
        while !done(self) {
            assert!(Instant::now() < deadline, "not in time: {what}; health {:?}", self.sink.health());
            self.turn(PATIENCE);
        }
    }

    /// Waits for every batch.
    pub fn settle_all(&mut self) {
        self.turn_until("every batch is settled", |lane| lane.flights.is_empty());
        assert!(self.sink.is_idle());
    }

    /// Waits until the sink knows the stream's shards.
    pub fn learn_shards(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.gauge("kinesis_shards_open") < 1.0 {
            assert!(Instant::now() < deadline, "the shards are not listed");
            self.turn(Duration::from_millis(20));
        }
    }

    pub fn gauge(&self, name: &str) -> f64 {
        let mut found = None;
        self.sink.gauges(&mut |gauge| {
            if gauge.name == name {
                found = Some(gauge.value);
            }
        });
        found.unwrap_or_else(|| panic!("no gauge is named {name}"))
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        self.outcomes.values().filter_map(|outcome| outcome.err())
    }

    pub fn delivered(&self) -> usize {
        self.outcomes.values().filter(|outcome| outcome.is_ok()).count()
    }

    /// Every record that was reported delivered is among `stored`; none that was reported not stored is; nothing else
    /// is there.
    pub fn compare(&self, stored: &[Vec<u8>]) {
        let mut found: BTreeMap<&[u8], usize> = BTreeMap::new();
        for value in stored {
            *found.entry(value).or_default() += 1;
        }
        for (value, outcome) in &self.outcomes {
            let count = found.remove(value.as_slice()).unwrap_or(0);
            let text = String::from_utf8_lossy(&value[..value.len().min(60)]);
            match outcome {
                Ok(()) => assert!(count >= 1, "reported delivered, but not there: {text}"),
                // An earlier attempt may have been in doubt.
                Err(fault) if fault.fate == Fate::NotStored && self.retried == 0 => {
                    assert_eq!(count, 0, "{fault}: {text}");
                }
                Err(_) => {}
            }
        }
        assert!(found.is_empty(), "the stream holds what nobody sent");
    }
}

/// A record that names its key and its number, about 300 bytes.
pub fn numbered(number: u32, key: &str) -> Vec<u8> {
    format!("{{\"key\":\"{key}\",\"number\":{number:06},\"data\":\"{}\"}}", "x".repeat(250)).into_bytes()
}
