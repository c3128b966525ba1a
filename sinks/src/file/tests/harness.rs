//! Drives a file sink on a modelled disk as a lane does, and keeps the books: what each record was answered,
//! and so how often it may and must be found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::model::ModelDisk;
use super::{Options, lines};
use crate::file::{FileSink, open_on};
use crate::{Batch, Fate, Fault, Health, Origin, Records, Settled, Sink, Submission, Wake};

/// What one record was answered so far.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    delivered: u32,
    /// Attempts that failed with an unknown fate.
    unknown: u32,
}

pub struct Harness {
    pub disk: ModelDisk,
    pub options: Options,
    pub sink: FileSink<ModelDisk>,
    start: Instant,
    /// Milliseconds since the start, shared with the sink's wall clock.
    elapsed_ms: Arc<AtomicU64>,
    opened: u32,
    accounts: BTreeMap<String, Account>,
    /// What was submitted and not settled, in order: the file sink settles in order.
    in_flight: VecDeque<Vec<u32>>,
    /// Batches that failed, to be retried.
    failed: Vec<(Batch, Vec<u32>)>,
}

/// Just before an hour ends, so that hours change early.
const WALL_START_MS: u64 = 1_795_427_990_000;

impl Harness {
    pub fn new(disk: ModelDisk, options: Options) -> Self {
        let elapsed_ms = Arc::new(AtomicU64::new(0));
        let sink = open(&disk, &options, &elapsed_ms, 1);
        Self {
            disk,
            options,
            sink,
            start: Instant::now(),
            elapsed_ms,
            opened: 1,
            accounts: BTreeMap::new(),
            in_flight: VecDeque::new(),
            failed: Vec::new(),
        }
    }

    pub fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.elapsed_ms.load(Ordering::Relaxed))
    }

    pub fn advance(&self, time: Duration) {
        self.elapsed_ms.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Submits a batch of new records; with `skip`, all but every `skip`-th of them.
    pub fn submit(&mut self, records: u32, skip: Option<u32>) {
        let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 4096, 16);
        for _ in 0..records {
            let number = self.accounts.len();
            let value = format!("{{\"n\":{number},\"p\":\"{}\"}}", "x".repeat(number * 7 % 40));
            batch
                .append_with(|free| {
                    free[..value.len()].copy_from_slice(value.as_bytes());
                    Some((0, value.len()))
                })
                .unwrap();
            self.accounts.insert(value, Account::default());
        }
        let records = match skip {
            None => Records::All,
            Some(skip) => Records::Only((0..records).filter(|index| index % skip != 0).collect()),
        };
        self.hand_over(batch, records);
    }

    fn hand_over(&mut self, batch: Batch, records: Records) {
        let now = self.now();
        let submission = Submission { batch, records, deadline: now + Duration::from_secs(5) };
        self.in_flight.push_back(submission.indices().collect());
        self.sink.submit(submission, now);
    }

    /// Submits again what failed, as the lane does: only the failed records.
    pub fn retry(&mut self) {
        for (batch, failed) in std::mem::take(&mut self.failed) {
            self.hand_over(batch, Records::Only(failed));
        }
    }

    /// Polls, and books what came back. Returns the faults.
    pub fn poll(&mut self) -> Vec<Fault> {
        let mut settled = Vec::new();
        self.sink.poll(self.now(), &mut settled);
        let mut faults = Vec::new();
        for Settled { batch, delivery } in settled {
            let submitted = self.in_flight.pop_front().expect("nothing is settled twice");
            let mut failed = Vec::new();
            for index in submitted {
                let value = std::str::from_utf8(batch.record(index).value).unwrap();
                let account = self.accounts.get_mut(value).expect("records come back as they were");
                match delivery.of(index) {
                    Ok(()) => account.delivered += 1,
                    Err(fault) => {
                        account.unknown += u32::from(fault.fate == Fate::Unknown);
                        failed.push(index);
                        faults.push(fault);
                    }
                }
            }
            if !failed.is_empty() {
                self.failed.push((batch, failed));
            }
        }
        assert!(self.in_flight.is_empty(), "a poll of the file sink settles everything");
        faults
    }

    /// Delivers one new record, which must work.
    pub fn deliver(&mut self) {
        self.submit(1, None);
        assert_eq!(self.poll(), [], "{:?}", self.sink.health());
        assert_eq!(self.sink.health(), Health::Up);
    }

    /// The process or the machine dies, with what was in flight, and a new process opens the sink.
    pub fn crash(&mut self, power: bool) {
        if power {
            self.disk.lose_power();
        } else {
            self.disk.kill_process();
        }
        self.in_flight.clear();
        self.reopen();
    }

    fn reopen(&mut self) {
        self.opened += 1;
        self.sink = open(&self.disk, &self.options, &self.elapsed_ms, self.opened);
    }

    /// Closes the sink, which must complete every file, and opens it again.
    pub fn close_and_reopen(&mut self) {
        let deadline = self.now() + Duration::from_secs(10);
        self.sink.close(self.now(), deadline);
        for turn in 0.. {
            if self.sink.is_idle() {
                break;
            }
            assert!(turn < 1000, "the sink does not close");
            let due = self.sink.next_poll().expect("a sink that is not idle wants to be polled");
            self.advance(due.saturating_duration_since(self.now()) + Duration::from_millis(1));
            self.poll();
        }
        self.reopen();
    }

    /// The faults end. The sink must heal by itself, and the books must agree with the files, before and after a
    /// power loss.
    pub fn end(mut self) {
        self.disk.set_lasting(None);
        if self.disk.is_off() {
            self.crash(true);
        }
        self.disk.cancel();
        self.deliver();
        self.advance(Duration::from_secs(20));
        self.poll();
        self.close_and_reopen();
        self.audit();
        self.crash(true);
        self.audit();
        self.deliver();
        self.close_and_reopen();
        self.audit();
    }

    /// Compares every file with the books.
    pub fn audit(&self) {
        let mut found: BTreeMap<String, u32> = BTreeMap::new();
        for (path, bytes) in self.disk.files() {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(!name.starts_with('.'), "left behind: {name}");
            for line in lines(&path, &bytes) {
                let line = String::from_utf8(line).unwrap_or_else(|_| panic!("no text in {name}"));
                assert!(self.accounts.contains_key(&line), "never submitted, in {name}: {line:?}");
                *found.entry(line).or_default() += 1;
            }
        }
        for (value, account) in &self.accounts {
            let found = found.get(value).copied().unwrap_or(0);
            let most = account.delivered + account.unknown;
            let span = account.delivered..=most;
            assert!(span.contains(&found), "found {found} times, {account:?}: {value}");
        }
    }
}

fn open(
    disk: &ModelDisk,
    options: &Options,
    elapsed_ms: &Arc<AtomicU64>,
    random: u32,
) -> FileSink<ModelDisk> {
    let elapsed_ms = Arc::clone(elapsed_ms);
    let clock = move || {
        let ms = WALL_START_MS + elapsed_ms.load(Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    };
    open_on(disk.clone(), options, clock, random, Wake::new(|| ()))
        .expect("an outage never fails the opening")
}
