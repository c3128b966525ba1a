//! An event to objects. Pure.

use std::io::Write as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::content::{self, Found, Poison};
use crate::dead_letter;
use crate::event::{Event, EventRecord};
use crate::place::{Place, id_of, place};
use crate::settings::Settings;

/// What the records of one shard become: all of it is written, or none of it is done.
#[derive(Clone, Debug)]
pub struct Group {
    /// Sequence number of the first of them: from here on they are given again.
    pub first: String,
    /// Events, and dead letters; those that there are.
    pub objects: Vec<Object>,
}

/// An object to be written.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where.
    pub place: Place,
    /// What: lines of JSON, gzip. The same for the same records.
    pub body: Vec<u8>,
    /// Lines.
    pub lines: usize,
    /// Whether it holds what could not be read.
    pub is_dead_letter: bool,
}

/// Nothing that writes into memory fails.
const MEMORY: &str = "compressing into memory";

/// Takes an event apart. The service sends records of one shard; more would be as many groups.
#[must_use]
pub fn groups(event: &Event, settings: &Settings, now_utc: SystemTime) -> Vec<Group> {
    let mut shards: Vec<((&str, &str), Vec<&EventRecord>)> = Vec::new();
    for record in &event.records {
        let shard = (record.source_arn.as_str(), record.shard());
        match shards.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, records)) => records.push(record),
            None => shards.push((shard, vec![record])),
        }
    }
    shards.iter().map(|(shard, records)| group(*shard, records, settings, now_utc)).collect()
}

fn group(
    (stream, shard): (&str, &str),
    records: &[&EventRecord],
    settings: &Settings,
    now_utc: SystemTime,
) -> Group {
    let (mut events, mut dead) = (Lines::new(settings.gzip_level), Lines::new(settings.gzip_level));
    for record in records {
        if let Err(reason) = read(record, &mut events, &mut dead) {
            dead.add(&dead_letter::of_record(record, &reason));
        }
    }
    let sequence_number = |record: Option<&&EventRecord>| {
        record.map(|record| record.kinesis.sequence_number.clone()).unwrap_or_default()
    };
    let (first, last) = (sequence_number(records.first()), sequence_number(records.last()));
    let id = id_of(stream, shard, &first, &last);
    let arrived_at = records.last().map_or(SystemTime::UNIX_EPOCH, |record| record.arrived_at());
    let object = |prefix: &str, lines: Lines, is_dead_letter| {
        (lines.count > 0).then(|| Object {
            place: place(prefix, arrived_at, now_utc, id),
            lines: lines.count,
            body: lines.finish(),
            is_dead_letter,
        })
    };
    let events = object(&settings.prefix, events, false);
    let dead = object(&settings.dead_letter_prefix, dead, true);
    Group { first, objects: events.into_iter().chain(dead).collect() }
}

fn read(record: &EventRecord, events: &mut Lines, dead: &mut Lines) -> Result<(), Poison> {
    let data = STANDARD.decode(&record.kinesis.data).map_err(|error| Poison::NotBase64(error.to_string()))?;
    content::events(&data, &mut |Found { part, partition_key, data, line }| match line {
        Ok(line) => events.add(&line),
        Err(reason) => dead.add(&dead_letter::of_part(record, &reason, part, partition_key, data)),
    })
}

/// Lines, compressed as they come.
struct Lines {
    gzip: GzEncoder<Vec<u8>>,
    count: usize,
}

impl Lines {
    fn new(level: u32) -> Self {
        Self { gzip: GzEncoder::new(Vec::new(), Compression::new(level)), count: 0 }
    }

    fn add(&mut self, line: &[u8]) {
        self.gzip.write_all(line).expect(MEMORY);
        self.gzip.write_all(b"\n").expect(MEMORY);
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        self.gzip.finish().expect(MEMORY)
    }
}
