//! Against a journal in memory: order, progress, and what is kept when a delivery fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use millrun_sinks::{Delivery, Fate, FaultKind, Whose};

const REFUSED: Fault = Fault::new(FaultKind::RecordRejected, Whose::Client, Retry::No, Fate::NotStored);
const CLOSING: Fault = Fault::new(FaultKind::Closing, Whose::Operator, Retry::Client, Fate::NotStored);

#[derive(Default)]
struct Journal {
    /// Streams that can't be read.
    unreadable: Vec<u16>,
    streams: BTreeMap<u16, BTreeMap<u64, Vec<Vec<u8>>>>,
    delivered: BTreeMap<u16, u64>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Journal>>);

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap()
    }

    fn add(&self, stream: u16, sequence: u64, records: &[&str]) {
        let records = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        self.journal().streams.entry(stream).or_default().insert(sequence, records);
    }
}

impl Source for Shared {
    fn streams(&mut self) -> Vec<StreamId> {
        self.journal().streams.keys().map(|stream| StreamId(*stream)).collect()
    }

    fn read(&mut self, stream: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError> {
        let journal = self.journal();
        if journal.unreadable.contains(&stream.0) {
            let source = std::io::Error::from_raw_os_error(libc::EIO);
            return Err(SourceError { what: format!("reading {}", stream.0), source });
        }
        let Some((sequence, records)) = journal.streams[&stream.0].range(from..).next() else {
            return Ok(None);
        };
        batch.clear();
        for record in records {
            let append = |free: &mut [u8]| {
                free[..record.len()].copy_from_slice(record);
                Some((0, record.len()))
            };
            batch.append_with(append).unwrap();
        }
        Ok(Some(*sequence))
    }

    fn delivered_below(&mut self, stream: StreamId, sequence: u64) {
        let before = self.journal().delivered.insert(stream.0, sequence).unwrap_or(0);
        assert!(before < sequence, "delivery goes forward");
    }

    fn delivered(&self, stream: StreamId) -> u64 {
        self.journal().delivered.get(&stream.0).copied().unwrap_or(0)
    }

    fn write_note(&mut self, _: &[u8]) -> Result<(), SourceError> {
        unreachable!("a relay keeps no notes")
    }

    fn read_note(&mut self) -> Result<Vec<u8>, SourceError> {
        unreachable!("a relay keeps no notes")
    }
}

const LIMITS: RelayLimits =
    RelayLimits { owner: 2, batches: 2, arena_bytes: 256, records_max: 8, gather_bytes_max: 0 };

fn turn(relay: &mut Relay<Shared>, live: bool, now: Instant) -> Vec<Batch> {
    let mut launched = Vec::new();
    relay
        .turn(now, live, &mut |sealed| {
            assert!(sealed.patient && sealed.batch.origin().shard == 2);
            launched.push(sealed.batch);
        })
        .unwrap();
    launched
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.as_ndjson().unwrap().to_vec()).unwrap()
}

#[test]
fn a_stream_is_delivered_in_order_one_batch_at_a_time() {
    let journal = Shared::default();
    journal.add(0, 5, &["a"]);
    journal.add(0, 9, &["b", "c"]);
    journal.add(7, 1, &["x"]);
    let mut relay = Relay::new(journal.clone(), LIMITS);
    let now = Instant::now();
    let mut first = turn(&mut relay, false, now);
    assert_eq!(first.iter().map(text).collect::<Vec<_>>(), ["a\n", "x\n"]);
    assert!(turn(&mut relay, false, now).is_empty(), "both streams are under way");
    let (a, x) = (first.remove(0), first.remove(0));
    relay.done(x);
    assert_eq!(journal.journal().delivered, [(7, 2)].into());
    relay.done(a);
    assert_eq!(journal.journal().delivered, [(0, 6), (7, 2)].into());
    let second = turn(&mut relay, false, now);
    assert_eq!(second.iter().map(text).collect::<Vec<_>>(), ["b\nc\n"]);
    assert_eq!(relay.under_way(), 1);
}

#[test]
fn what_is_left_is_read_again() {
    let journal = Shared::default();
    journal.add(0, 0, &["a"]);
    let mut relay = Relay::new(journal.clone(), LIMITS);
    for _ in 0..2 {
        let batch = turn(&mut relay, false, Instant::now()).remove(0);
        assert_eq!(text(&batch), "a\n");
        relay.left(batch);
    }
    assert!(journal.journal().delivered.is_empty());
}

#[test]
fn more_streams_than_batches_all_get_their_turn() {
    let journal = Shared::default();
    for stream in 0..5 {
        journal.add(stream, 0, &["a"]);
    }
    let mut relay = Relay::new(journal.clone(), LIMITS);
    for _ in 0..5 {
        for batch in turn(&mut relay, false, Instant::now()) {
            relay.done(batch);
        }
    }
    assert_eq!(journal.journal().delivered.len(), 5);
}

#[test]
fn live_traffic_comes_first_but_not_for_ever() {
    let journal = Shared::default();
    journal.add(0, 0, &["a"]);
    let mut relay = Relay::new(journal, LIMITS);
    let now = Instant::now();
    assert!(turn(&mut relay, true, now).is_empty());
    assert!(turn(&mut relay, true, now + PATIENCE / 2).is_empty());
    assert_eq!(turn(&mut relay, true, now + PATIENCE).len(), 1);
}

#[test]
fn a_settlement_tells_delivered_rejected_and_left_apart() {
    let batch = || {
        let journal = Shared::default();
        journal.add(0, 0, &["a", "b", "c"]);
        turn(&mut Relay::new(journal, LIMITS), false, Instant::now()).remove(0)
    };
    let settle = |delivery| Relay::<Shared>::settlement(&Returned { lane: 0, batch: batch(), delivery });
    assert_eq!(settle(Delivery::All), Settlement::Done { delivered: 3, rejected: vec![] });
    assert_eq!(
        settle(Delivery::Some(vec![(1, REFUSED)])),
        Settlement::Done { delivered: 2, rejected: vec![(1, REFUSED)] }
    );
    assert_eq!(settle(Delivery::Some(vec![(0, REFUSED), (2, CLOSING)])), Settlement::Left);
    assert_eq!(settle(Delivery::None(CLOSING)), Settlement::Left);
}

#[test]
fn a_stream_that_cant_be_read_holds_up_no_other() {
    let journal = Shared::default();
    for stream in 0..3 {
        journal.add(stream, 0, &["a"]);
    }
    journal.journal().unreadable = vec![0, 1];
    let mut relay = Relay::new(journal.clone(), LIMITS);
    let now = Instant::now();
    let mut launched = Vec::new();
    let error = relay.turn(now, false, &mut |sealed| launched.push(sealed.batch)).unwrap_err();
    assert!(error.to_string().starts_with("reading "), "{error}");
    relay.done(launched.remove(0));
    assert_eq!(journal.journal().delivered, [(2, 1)].into());
    assert!(turn(&mut relay, false, now).is_empty(), "not tried again at once");
    journal.journal().unreadable.clear();
    assert_eq!(turn(&mut relay, false, now + ERROR_PAUSE).len(), 2);
}

#[test]
fn small_batches_travel_together_in_order_and_up_to_a_size() {
    let limits = RelayLimits { gather_bytes_max: 40, ..LIMITS };
    let journal = Shared::default();
    journal.add(0, 3, &["aaaa", "bbbb"]);
    journal.add(0, 4, &["cccc"]);
    journal.add(0, 9, &["ddddddddddddddddddddddddd"]);
    journal.add(0, 10, &["e"]);
    for sequence in 11..19 {
        journal.add(0, sequence, &["f"]);
    }
    let mut relay = Relay::new(journal.clone(), limits);
    let mut sent = Vec::new();
    for _ in 0..4 {
        for batch in turn(&mut relay, false, Instant::now()) {
            assert!(batch.used_bytes() <= 40 && batch.len() <= LIMITS.records_max);
            sent.push(text(&batch).replace('\n', ""));
            relay.done(batch);
        }
    }
    // The third by itself is half full; of the rest eight have room.
    let expected = ["aaaabbbbcccc", "ddddddddddddddddddddddddd", "efffffff", "f"];
    assert_eq!(sent, expected);
    assert_eq!(journal.journal().delivered, [(0, 19)].into());
}
