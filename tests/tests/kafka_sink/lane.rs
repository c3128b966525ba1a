//! Drives a sink as the engine's lane does: submit, sleep until woken or due, poll; and keeps the account of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use millrun_sinks::kafka::{KafkaSink, Options, open};
use millrun_sinks::{Batch, Fate, Fault, Origin, Records, Settled, Sink, Submission, Wake};
use support::kafka::KafkaRecord;

/// Long enough for anything that happens at all.
pub const PATIENCE: Duration = Duration::from_mins(1);

const ARENA_BYTES: usize = 1 << 20;
const RECORDS_MAX: usize = 200;

/// A sink, its account, and the thread that sleeps for it.
pub struct Lane {
    pub sink: KafkaSink,
    pub account: Account,
    bell: Arc<(Mutex<bool>, Condvar)>,
    settled: Vec<Settled>,
    idle: Vec<Batch>,
    submitted: BTreeMap<u16, Vec<u32>>,
    next_slot: u16,
}

/// What became of each record, by its value. Every value is unique.
#[derive(Default)]
pub struct Account {
    pub outcomes: BTreeMap<Vec<u8>, Result<(), Fault>>,
    /// Values that were in a batch, but not submitted.
    pub held_back: Vec<Vec<u8>>,
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
            account: Account::default(),
            bell,
            settled: Vec::new(),
            idle: Vec::new(),
            submitted: BTreeMap::new(),
            next_slot: 0,
        }
    }

    /// Batches with the sink.
    pub fn in_flight(&self) -> usize {
        self.submitted.len()
    }

    /// Submits a batch of these keys and values, or of some of them.
    pub fn submit(&mut self, records: &[(&[u8], &[u8])], only: Option<Vec<u32>>) {
        let bytes = records.iter().map(|(key, value)| key.len() + value.len() + 1).sum::<usize>();
        let mut batch = self.empty_batch(bytes);
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
        let all = u32::try_from(records.len()).unwrap();
        let indices = only.clone().unwrap_or_else(|| (0..all).collect());
        let held_back = (0..all).filter(|index| !indices.contains(index));
        self.account.held_back.extend(held_back.map(|index| batch.record(index).value.to_vec()));
        assert!(self.submitted.insert(batch.origin().slot, indices).is_none(), "one batch, one place");
        let records = only.map_or(Records::All, Records::Only);
        self.sink.submit(Submission { batch, records, deadline: now + PATIENCE }, now);
    }

    fn empty_batch(&mut self, bytes: usize) -> Batch {
        if bytes <= ARENA_BYTES
            && let Some(mut batch) = self.idle.pop()
        {
            batch.clear();
            return batch;
        }
        let origin = Origin { shard: 0, slot: self.next_slot };
        self.next_slot += 1;
        Batch::new(origin, bytes.max(ARENA_BYTES), RECORDS_MAX)
    }

    /// Sleeps until the sink is due or woken, at most for `nap`, and takes what it settled.
    pub fn turn(&mut self, nap: Duration) {
        let now = Instant::now();
        let due = self.sink.next_poll().map_or(nap, |due| due.saturating_duration_since(now).min(nap));
        let rung = self.bell.0.lock().unwrap();
        let (mut rung, _) = self.bell.1.wait_timeout_while(rung, due, |rung| !*rung).unwrap();
        *rung = false;
        drop(rung);
        self.sink.poll(Instant::now(), &mut self.settled);
        for Settled { batch, delivery } in self.settled.drain(..) {
            let submitted = self.submitted.remove(&batch.origin().slot).expect("settled once");
            for index in submitted {
                let value = batch.record(index).value.to_vec();
                let known = self.account.outcomes.insert(value, delivery.of(index));
                assert!(known.is_none(), "values are unique");
            }
            let batch = poisoned(batch);
            if batch.capacity_bytes() == ARENA_BYTES {
                self.idle.push(batch);
            }
        }
    }

    pub fn turn_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}; health {:?}",
                self.sink.health()
            );
            self.turn(PATIENCE);
        }
    }

    /// Waits for every batch.
    pub fn settle_all(&mut self) {
        self.turn_until("every batch is settled", |lane| lane.submitted.is_empty());
        assert!(self.sink.is_idle());
    }

    /// Sends batches of 20 numbered records, `in_flight` at a time, for `time`.
    pub fn load(&mut self, numbers: &mut u32, in_flight: usize, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.in_flight() < in_flight {
                self.submit_numbered(numbers, 20);
            }
            // A short nap holds the rate near 10,000 records/s.
            self.turn(Duration::from_millis(2));
        }
    }

    /// Sends one batch of numbered records.
    pub fn submit_numbered(&mut self, numbers: &mut u32, count: u32) {
        let values: Vec<Vec<u8>> = (*numbers..*numbers + count)
            .map(|number| format!("{{\"number\":{number},\"data\":\"{}\"}}", "x".repeat(500)).into_bytes())
            .collect();
        *numbers += count;
        let records: Vec<(&[u8], &[u8])> = values.iter().map(|value| (&b""[..], value.as_slice())).collect();
        self.submit(&records, None);
    }
}

/// Overwrites the arena of a batch that came back: a request that was still built from it would show in the topic.
fn poisoned(mut batch: Batch) -> Batch {
    batch.clear();
    batch
        .append_with(|free| {
            free.fill(b'!');
            Some((0, free.len()))
        })
        .unwrap();
    batch.clear();
    batch
}

impl Account {
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        self.outcomes.values().filter_map(|outcome| outcome.err())
    }

    pub fn delivered(&self) -> usize {
        self.outcomes.values().filter(|outcome| outcome.is_ok()).count()
    }

    /// Every record that was reported delivered is in the topic; none that was reported not stored, or was not even
    /// submitted, is; nothing else is.
    pub fn compare(&self, topic: &[KafkaRecord]) {
        let mut stored: BTreeMap<&[u8], usize> = BTreeMap::new();
        for record in topic {
            *stored.entry(&record.value).or_default() += 1;
        }
        for (value, outcome) in &self.outcomes {
            let found = stored.remove(value.as_slice()).unwrap_or(0);
            let text = String::from_utf8_lossy(&value[..value.len().min(60)]);
            match outcome {
                Ok(()) => assert_eq!(found, 1, "delivered: {text}"),
                Err(fault) if fault.fate == Fate::NotStored => assert_eq!(found, 0, "{fault}: {text}"),
                Err(fault) => assert!(found <= 1, "{fault}, stored {found} times: {text}"),
            }
        }
        for value in &self.held_back {
            assert!(!stored.contains_key(value.as_slice()), "never submitted");
        }
        assert_eq!(stored.len(), 0, "the topic holds what nobody sent");
    }
}
