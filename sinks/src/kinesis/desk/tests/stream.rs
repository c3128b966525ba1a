//! A stream that exists only in a test, and a desk that writes to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::super::call::{Answer, Said, Work};
use super::super::super::fault::Failure;
use super::super::super::options::Options;
use super::super::super::shard_map::Shard;
use super::super::Desk;
use crate::kpl::{self, Content};
use crate::{Batch, Delivery, Origin, Records, Submission};

/// Deadline of every submission.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A Kinesis record on a shard.
pub struct Stored {
    pub shard: String,
    pub data: Vec<u8>,
}

/// One entry of a call.
#[derive(Clone, Debug)]
pub struct Sent {
    pub hash_key: u128,
    pub data: Vec<u8>,
}

#[derive(Default)]
pub struct Stream {
    pub shards: Vec<Shard>,
    /// Closed shards are needed to say what a consumer of theirs drops.
    pub closed: Vec<Shard>,
    pub stored: Vec<Stored>,
    /// A call that holds this value is refused as a whole.
    pub poison: Option<String>,
    /// The shard with this index throttles everything.
    pub throttle: Option<usize>,
    /// Entries that came, stored or not.
    pub entries: usize,
    waiting: VecDeque<(u64, Vec<Sent>)>,
    listing: bool,
    next_id: usize,
    calls: usize,
}

impl Stream {
    /// Of this many even shards.
    pub fn of(count: u128) -> Self {
        let width = u128::MAX / count;
        let mut stream = Self::default();
        for number in 0..count {
            let last = if number + 1 == count { u128::MAX } else { width * (number + 1) - 1 };
            stream.open(width * number, last);
        }
        stream
    }

    /// Of three shards, one of which has half of the hash keys.
    pub fn uneven() -> Self {
        let mut stream = Self::of(2);
        stream.split(1);
        stream
    }

    fn open(&mut self, first: u128, last: u128) {
        self.shards.push(Shard { id: format!("shard-{}", self.next_id).into(), first, last });
        self.next_id += 1;
    }

    pub fn split(&mut self, index: usize) {
        let parent = self.shards.remove(index);
        let middle = parent.first + (parent.last - parent.first) / 2;
        self.open(parent.first, middle);
        self.open(middle + 1, parent.last);
        self.closed.push(parent);
    }

    /// Merges the shard with its right neighbour, if it has one.
    pub fn merge(&mut self, index: usize) {
        let left = self.shards[index].clone();
        let right = self.shards.iter().position(|shard| left.last.checked_add(1) == Some(shard.first));
        let Some(right) = right else { return };
        let right = self.shards[right].clone();
        self.shards.retain(|shard| shard.id != left.id && shard.id != right.id);
        self.open(left.first, right.last);
        self.closed.extend([left, right]);
    }

    /// A partition key whose records go to the shard with this index.
    pub fn key_on(&self, index: usize) -> String {
        let mut keys = (0..).map(|number| format!("key-{number}"));
        keys.find(|key| self.shards[index].takes(kpl::hash_key_of(key))).unwrap()
    }

    pub fn calls(&self) -> usize {
        self.calls
    }

    /// What a consumer that drops records of the wrong shard reads.
    pub fn values(&self) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for stored in &self.stored {
            match kpl::read(&stored.data).unwrap() {
                Content::Plain(data) => values.push(data.to_vec()),
                Content::Aggregated(records) => {
                    let mut all = self.shards.iter().chain(&self.closed);
                    let shard = all.find(|shard| *shard.id == *stored.shard).unwrap();
                    let read = records.iter().filter(|record| shard.takes(record.hash_key()));
                    values.extend(read.map(|record| record.data.to_vec()));
                }
            }
        }
        values
    }

    /// Records on each open shard.
    pub fn counts(&self) -> Vec<usize> {
        let on = |shard: &Shard| self.stored.iter().filter(|stored| *stored.shard == *shard.id).count();
        self.shards.iter().map(on).collect()
    }

    fn take(&mut self, sent: Vec<Sent>) -> Result<Vec<Said>, Failure> {
        if let Some(poison) = &self.poison
            && sent.iter().any(|sent| sent.data == poison.as_bytes())
        {
            let message = "Member must have length less than or equal to 1048576".to_owned();
            return Err(Failure::Service { status: 400, code: "ValidationException".to_owned(), message });
        }
        let mut said = Vec::new();
        for sent in sent {
            self.entries += 1;
            let index = self.shards.iter().position(|shard| shard.takes(sent.hash_key)).unwrap();
            if self.throttle == Some(index) {
                said.push(super::throttled());
                continue;
            }
            let shard = self.shards[index].id.to_string();
            self.stored.push(Stored { shard: shard.clone(), data: sent.data });
            said.push(Said::Stored { shard });
        }
        Ok(said)
    }
}

/// A desk, its stream and its clock.
pub struct World {
    pub desk: Desk,
    pub stream: Stream,
    pub now: Instant,
    linger: Duration,
    slots: u16,
}

impl World {
    pub fn new(options: &Options, stream: Stream) -> Self {
        Self {
            desk: Desk::new(options, 7).unwrap(),
            stream,
            now: Instant::now(),
            linger: options.linger,
            slots: 0,
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub fn submit(&mut self, records: &[(&str, &str)]) {
        let mut batch = Batch::new(Origin { shard: 0, slot: self.slots }, 1 << 20, 2000);
        self.slots = self.slots.wrapping_add(1);
        for (key, value) in records {
            batch
                .append_with(|free| {
                    free[..key.len()].copy_from_slice(key.as_bytes());
                    free[key.len()..key.len() + value.len()].copy_from_slice(value.as_bytes());
                    Some((key.len(), value.len()))
                })
                .unwrap();
        }
        self.submit_batch(batch, Records::All);
    }

    pub fn submit_batch(&mut self, batch: Batch, records: Records) {
        let submission = Submission { batch, records, deadline: self.now + PATIENCE };
        self.desk.submit(submission, self.now);
    }

    pub fn submit_values(&mut self, values: &[String]) {
        let records: Vec<(&str, &str)> = values.iter().map(|value| ("", value.as_str())).collect();
        self.submit(&records);
    }

    /// Lets the desk start what is due; nothing is answered yet.
    pub fn turn(&mut self) {
        let stream = &mut self.stream;
        self.desk.turn(self.now, &mut |work| match work {
            Work::Put { call, body } => {
                stream.calls += 1;
                stream.waiting.push_back((call, entries(&body)));
            }
            Work::ListShards => stream.listing = true,
        });
    }

    /// Answers the list of shards, if it was asked for.
    pub fn list(&mut self) {
        if std::mem::take(&mut self.stream.listing) {
            self.desk.answer(Answer::Shards(Ok(self.stream.shards.clone())), self.now);
        }
    }

    pub fn learn_shards(&mut self) {
        self.turn();
        self.list();
        assert!(self.desk.levels()[2] > 0);
    }

    /// Calls on their way.
    pub fn waiting(&self) -> usize {
        self.stream.waiting.len()
    }

    /// Stores what call number `index` of those on their way holds, and answers with what `say` makes of the truth.
    pub fn answer(&mut self, index: usize, say: impl FnOnce(&[Said]) -> Vec<Said>) {
        let (call, sent) = self.stream.waiting.remove(index).unwrap();
        let result = self.stream.take(sent).map(|said| say(&said));
        self.desk.answer(Answer::Put { call, result }, self.now);
    }

    pub fn answer_next(&mut self, say: impl FnOnce(&[Said]) -> Vec<Said>) {
        self.answer(0, say);
    }

    /// Fails the next call before it reaches the stream.
    pub fn fail_next(&mut self, failure: Failure) {
        let (call, _) = self.stream.waiting.pop_front().unwrap();
        self.desk.answer(Answer::Put { call, result: Err(failure) }, self.now);
    }

    /// Goes on until nothing is on its way. Returns the entries of each call.
    pub fn run_counting(&mut self) -> Vec<usize> {
        let mut sizes = Vec::new();
        loop {
            self.turn();
            self.list();
            let Some((_, sent)) = self.stream.waiting.front() else { return sizes };
            sizes.push(sent.len());
            self.answer_next(<[Said]>::to_vec);
        }
    }

    pub fn run(&mut self) {
        self.run_counting();
    }

    /// What came back, in the order in which it did.
    pub fn settled(&mut self) -> Vec<Delivery> {
        let mut settled = Vec::new();
        self.desk.settled(&mut settled);
        settled.into_iter().map(|settled| settled.delivery).collect()
    }

    pub fn next_turn(&self) -> Option<Duration> {
        self.desk.next_turn(self.linger, self.now).map(|at| at - self.now)
    }

    pub fn close(&mut self, time: Duration) {
        self.desk.close(self.now + time);
    }
}

/// The entries of a body.
fn entries(body: &[u8]) -> Vec<Sent> {
    let body = std::str::from_utf8(body).unwrap();
    let field = |entry: &str, name: &str| {
        let from = entry.find(&format!("\"{name}\":\""))? + name.len() + 4;
        Some(entry[from..].split('"').next().unwrap().to_owned())
    };
    let sent = body.split("{\"Data\":").skip(1).map(|rest| {
        let entry = format!("\"Data\":{rest}");
        let key = field(&entry, "PartitionKey").unwrap();
        assert!(!key.is_empty());
        let hash_key = field(&entry, "ExplicitHashKey")
            .map_or_else(|| kpl::hash_key_of(&key), |digits| digits.parse().unwrap());
        let data = aws_smithy_types::base64::decode(field(&entry, "Data").unwrap()).unwrap();
        Sent { hash_key, data }
    });
    sent.collect()
}
