//! Drives a journal on a simulated disk as shards, keeper and a consumer do, and keeps the books: which batch was given
//! which number, which was called durable, which was reported delivered. Every read is checked against them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millrun_sinks::{Batch, Origin, Source, StreamId};

use super::sim::SimDisk;
use crate::journal::{AppendError, Journal, Keeper, OpenError, Options, Reader, Writer, open};

/// What is known about one stream.
#[derive(Debug, Default)]
struct Books {
    /// Every batch that was ever placed, by its number.
    placed: BTreeMap<u64, String>,
    /// Those that were called durable, and not reported delivered.
    owed: BTreeSet<u64>,
    /// Placed and not durable yet, in order.
    in_flight: Vec<u64>,
    /// Batches to be appended again.
    again: Vec<String>,
    /// What this process called durable.
    durable_now: BTreeSet<u64>,
    /// First number of this process.
    process_from: u64,
    /// Where the consumer reads next.
    position: u64,
    /// What the consumer has read and not reported.
    read: Vec<u64>,
}

pub struct Life {
    pub keeper: Keeper<SimDisk>,
    pub reader: Reader<SimDisk>,
    writers: Vec<Writer<SimDisk>>,
}

pub struct Harness {
    pub disk: SimDisk,
    pub options: Options,
    pub life: Option<Life>,
    books: Vec<Books>,
    batches: usize,
    opened: u64,
    /// Batches that were read more than once, or under two numbers.
    pub repeated: usize,
    texts_read: BTreeSet<String>,
    /// Damage was done on purpose: what is owed may be missing.
    pub damaged: bool,
}

fn batch() -> Batch {
    Batch::new(Origin { shard: 0, slot: 0 }, 1500, 8)
}

fn fill(batch: &mut Batch, text: &str) {
    batch.clear();
    for (number, record) in text.split('\n').enumerate() {
        let key_len = number % 2 * 3;
        batch
            .append_with(|free| {
                free[..record.len()].copy_from_slice(record.as_bytes());
                Some((key_len, record.len() - key_len))
            })
            .unwrap();
    }
}

impl Harness {
    pub fn new(disk: SimDisk, options: Options) -> Self {
        let streams = usize::from(options.sinks[0].shards);
        let mut harness = Self {
            disk,
            options,
            life: None,
            books: (0..streams).map(|_| Books::default()).collect(),
            batches: 0,
            opened: 0,
            repeated: 0,
            texts_read: BTreeSet::new(),
            damaged: false,
        };
        harness.start();
        harness
    }

    /// Opens the journal; tries again when the disk fails, and after a crash in the middle of it.
    pub fn start(&mut self) {
        for _ in 0..50 {
            self.opened += 1;
            match open(self.disk.clone(), &self.options, self.opened) {
                Ok(Journal { keeper, mut sinks, .. }) => {
                    let sink = sinks.remove(0);
                    let writer = |stream| Writer::new(self.disk.clone(), stream, 8);
                    let writers = sink.streams.into_iter().map(writer).collect();
                    self.life = Some(Life { keeper, reader: sink.reader, writers });
                }
                Err(OpenError::Disk { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if self.disk.is_off() {
                self.life = None;
                self.disk.lose_power();
            } else if self.life.is_some() {
                break;
            }
        }
        assert!(self.life.is_some(), "it opens in the end");
        for books in &mut self.books {
            books.again.clear();
            books.in_flight.clear();
            books.durable_now.clear();
            books.read.clear();
            books.position = 0;
            books.process_from = books.placed.keys().next_back().map_or(0, |last| last + 1);
        }
    }

    /// Ends the process, and the machine if `power`.
    pub fn crash(&mut self, power: bool) {
        self.crash_to(power, self.options.sinks[0].shards);
    }

    /// Ends the process; the next one has so many shards.
    pub fn crash_to(&mut self, power: bool, shards: u16) {
        self.life = None;
        self.options.sinks[0].shards = shards;
        if power {
            self.disk.lose_power();
        } else {
            self.disk.kill();
        }
        self.start();
    }

    pub fn turn(&mut self) -> bool {
        self.life.as_mut().unwrap().keeper.turn()
    }

    /// A new batch of about `bytes`.
    pub fn append(&mut self, stream: usize, bytes: usize) -> Result<(), AppendError> {
        // A stream that an earlier process left, when it had more shards.
        if stream >= usize::from(self.options.sinks[0].shards) {
            return Ok(());
        }
        self.batches += 1;
        let text = format!("{}:{}\n{}\nend", stream, self.batches, "x".repeat(bytes.max(3)));
        self.append_text(stream, text)
    }

    fn append_text(&mut self, stream: usize, text: String) -> Result<(), AppendError> {
        let mut batch = batch();
        fill(&mut batch, &text);
        let life = self.life.as_mut().unwrap();
        let writer = &mut life.writers[stream];
        let before = writer.appender.next();
        let result = writer.append(&batch);
        let books = &mut self.books[stream];
        let next = writer.appender.next();
        // A failed write has a number too: some of it may be on the disk.
        let placed = match &result {
            Ok(sequence) => Some(*sequence),
            Err(_) => (next != before && !next.is_multiple_of(1 << 24)).then(|| next - 1),
        };
        if let Some(sequence) = placed {
            let old = books.placed.insert(sequence, text.clone());
            assert_eq!(old, None, "the number {sequence:x} of stream {stream} was given twice");
        }
        self.note_durable(stream);
        let books = &mut self.books[stream];
        match &result {
            Ok(sequence) => books.in_flight.push(*sequence),
            Err(AppendError::NoRoom(_)) => books.again.push(text),
            Err(AppendError::Failed(_)) => {
                self.fail(stream);
                self.books[stream].again.push(text);
            }
        }
        result.map(drop)
    }

    pub fn sync(&mut self, stream: usize) -> Result<(), AppendError> {
        if stream >= usize::from(self.options.sinks[0].shards) {
            return Ok(());
        }
        let result = self.life.as_mut().unwrap().writers[stream].sync();
        self.note_durable(stream);
        if result.is_err() {
            self.fail(stream);
        }
        result.map(drop)
    }

    /// Books what the journal calls durable.
    fn note_durable(&mut self, stream: usize) {
        let below = self.life.as_ref().unwrap().writers[stream].durable_below();
        let books = &mut self.books[stream];
        for sequence in books.in_flight.extract_if(.., |sequence| *sequence < below) {
            books.owed.insert(sequence);
            books.durable_now.insert(sequence);
        }
    }

    /// What is not durable is in doubt.
    fn fail(&mut self, stream: usize) {
        let books = &mut self.books[stream];
        for sequence in books.in_flight.drain(..) {
            books.again.push(books.placed[&sequence].clone());
        }
    }

    /// Appends what failed before.
    pub fn append_again(&mut self, stream: usize) {
        for text in std::mem::take(&mut self.books[stream].again) {
            let _ = self.append_text(stream, text);
        }
    }

    /// Reads up to `count` batches and checks each. Returns how many.
    pub fn read(&mut self, stream: usize, count: usize) -> usize {
        let mut batch = batch();
        let mut expected = self::batch();
        let id = StreamId(u16::try_from(stream).unwrap());
        for done in 0..count {
            let life = self.life.as_mut().unwrap();
            let from = self.books[stream].position.max(life.reader.delivered(id));
            let result = life.reader.read(id, from, &mut batch);
            let books = &mut self.books[stream];
            let skipped_to = match &result {
                Ok(Some(sequence)) => *sequence,
                Ok(None) => u64::MAX,
                Err(_) => return done,
            };
            if !self.damaged && life.keeper.unrecovered().next().is_none() {
                let skipped = books.owed.range(from..skipped_to).next();
                assert_eq!(skipped, None, "stream {stream}: a durable batch was passed over");
                let before = books.owed.range(..from).find(|owed| !books.read.contains(owed));
                assert_eq!(before, None, "stream {stream}: delivered below {from:x}, which nobody said");
            }
            let Ok(Some(sequence)) = result else { return done };
            assert!(sequence >= from);
            let text = books.placed.get(&sequence).expect("nothing is read that was never appended");
            fill(&mut expected, text);
            assert!(batch.records().eq(expected.records()), "{sequence:x} is not what was appended");
            if sequence >= books.process_from {
                assert!(books.durable_now.contains(&sequence), "{sequence:x} is not durable, or is void");
            }
            if !self.texts_read.insert(text.clone()) {
                self.repeated += 1;
            }
            // Reading it again gives the same, also after a power loss, until it is reported delivered.
            books.owed.insert(sequence);
            books.read.push(sequence);
            books.position = sequence + 1;
        }
        count
    }

    /// Reports what was read, all but the last `keep`, as delivered.
    pub fn deliver(&mut self, stream: usize, keep: usize) {
        let books = &mut self.books[stream];
        let count = books.read.len().saturating_sub(keep);
        let Some(last) = books.read[..count].last().copied() else { return };
        let id = StreamId(u16::try_from(stream).unwrap());
        self.life.as_mut().unwrap().reader.delivered_below(id, last + 1);
        books.read.drain(..count);
        books.owed = books.owed.split_off(&(last + 1));
    }

    /// The consumer forgets what it read and did not report, and reads it again.
    pub fn read_again(&mut self, stream: usize) {
        let books = &mut self.books[stream];
        books.read.clear();
        books.position = 0;
    }

    pub fn streams(&self) -> usize {
        self.books.len()
    }

    /// The disk works again: everything that is owed is read, and then hardly anything is left on the disk.
    pub fn end(&mut self) {
        self.disk.cancel();
        self.disk.set_lasting(None);
        self.disk.set_space(usize::MAX);
        if self.disk.is_off() {
            self.crash(true);
        }
        for _ in 0..20 {
            self.turn();
        }
        assert_eq!(self.life.as_ref().unwrap().keeper.unrecovered().count(), 0);
        for stream in 0..self.streams() {
            self.read_again(stream);
            // Failed reads are tried again, whatever the trouble was.
            while self.read(stream, 10_000) > 0 {}
            self.deliver(stream, 0);
            if !self.damaged {
                assert!(
                    self.books[stream].owed.is_empty(),
                    "stream {stream}: {:x?}",
                    self.books[stream].owed
                );
            }
        }
        assert!(self.turn() && self.turn());
        let bytes_max = usize::try_from(self.options.bytes_max).unwrap();
        assert!(self.disk.peak_bytes() <= bytes_max, "{} > {bytes_max}", self.disk.peak_bytes());
        let is_segment = |path: &Path| path.extension().is_some();
        let left = self.disk.files().iter().filter(|(path, _)| is_segment(path)).count();
        assert!(left <= 4 * self.streams() || self.damaged, "{left} segments are left");
    }
}
