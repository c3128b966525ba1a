//! The sink against librdkafka's own mock brokers: what real brokers can't be made to do at will. The real ones are
//! in the end-to-end tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Condvar, Mutex};

use super::*;
use crate::kafka::Compression;
use crate::kafka::client::code;
use crate::{Batch, Fate, FaultKind, Origin, Records, Retry, Whose};

const PATIENCE: Duration = Duration::from_secs(30);

fn options(mock_brokers: &str) -> Options {
    Options {
        brokers: "127.0.0.1:1".to_owned(),
        topic: "events".to_owned(),
        compression: Compression::Lz4,
        delivery_timeout: Duration::from_secs(20),
        record_bytes_max: 100_000,
        tls: None,
        sasl: None,
        properties: BTreeMap::from([("test.mock.num.brokers".to_owned(), mock_brokers.to_owned())]),
    }
}

/// A sink and the thread that sleeps until it is woken, as the lane does.
struct Lane {
    sink: KafkaSink,
    bell: Arc<(Mutex<bool>, Condvar)>,
    settled: Vec<Settled>,
}

impl Lane {
    fn open(options: &Options) -> Self {
        let bell = Arc::new((Mutex::new(false), Condvar::new()));
        let ringing = Arc::clone(&bell);
        let wake = Wake::new(move || {
            *ringing.0.lock().unwrap() = true;
            ringing.1.notify_one();
        });
        Self { sink: KafkaSink::open(options, wake).unwrap(), bell, settled: Vec::new() }
    }

    fn submit(&mut self, slot: u16, records: usize) {
        let submission = submission(slot, records);
        self.sink.submit(submission, Instant::now());
    }

    fn poll_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}: {} settled, {:?}",
                self.settled.len(),
                self.sink
            );
            let now = Instant::now();
            let due = self.sink.next_poll().unwrap_or(deadline).min(deadline);
            let rung = self.bell.0.lock().unwrap();
            let due = due.saturating_duration_since(now);
            let (mut rung, _) = self.bell.1.wait_timeout_while(rung, due, |rung| !*rung).unwrap();
            *rung = false;
            drop(rung);
            self.sink.poll(Instant::now(), &mut self.settled);
        }
    }
}

fn submission(slot: u16, records: usize) -> Submission {
    let mut batch = Batch::new(Origin { shard: 0, slot }, 1 << 20, 1000);
    for record in 0..records {
        let text = format!("{{\"batch\":{slot},\"record\":{record}}}");
        batch
            .append_with(|free| {
                free[..text.len()].copy_from_slice(text.as_bytes());
                Some((0, text.len()))
            })
            .unwrap();
    }
    Submission { batch, records: Records::All, deadline: Instant::now() + PATIENCE }
}

#[test]
fn many_batches_fly_and_come_back_once() {
    let mut lane = Lane::open(&options("2"));
    for slot in 0..100 {
        lane.submit(slot, 1 + usize::from(slot) % 7);
    }
    lane.poll_until("100 batches", |lane| lane.settled.len() == 100);
    assert!(lane.settled.iter().all(|settled| settled.delivery == Delivery::All));
    let mut slots: Vec<_> = lane.settled.iter().map(|settled| settled.batch.origin().slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..100).collect::<Vec<_>>());
    assert!(lane.sink.is_idle());
    assert_eq!(lane.sink.health(), Health::Up);
}

#[test]
fn nothing_submitted_is_settled_at_the_next_poll() {
    let mut lane = Lane::open(&options("1"));
    let mut nothing = submission(3, 2);
    nothing.records = Records::Only(Vec::new());
    lane.sink.submit(nothing, Instant::now());
    assert!(!lane.sink.is_idle());
    lane.poll_until("the empty submission", |lane| lane.settled.len() == 1);
    assert_eq!(lane.settled[0].delivery, Delivery::All);
}

#[test]
fn a_record_that_librdkafka_refuses_does_not_hold_back_its_batch() {
    let mut lane = Lane::open(&options("1"));
    let mut submission = submission(0, 2);
    let large = 200_000;
    submission.batch.append_with(|free| (free.len() >= large).then_some((0, large))).unwrap();
    lane.sink.submit(submission, Instant::now());
    lane.poll_until("the batch", |lane| lane.settled.len() == 1);
    let fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    assert_eq!(lane.settled[0].delivery, Delivery::Some(vec![(2, fault)]));
}

#[test]
fn a_full_queue_is_an_outcome_per_record_and_passes() {
    let mut options = options("1");
    options.properties.insert("queue.buffering.max.messages".to_owned(), "10".to_owned());
    let mut lane = Lane::open(&options);
    lane.submit(0, 25);
    lane.poll_until("the batch", |lane| lane.settled.len() == 1);
    let full = Fault::new(FaultKind::QueueFull, Whose::Sink, Retry::Yes, Fate::NotStored);
    let expected = (10..25).map(|index| (index, full)).collect();
    assert_eq!(lane.settled.pop().unwrap().delivery, Delivery::Some(expected));
    lane.submit(1, 10);
    lane.poll_until("the next batch", |lane| lane.settled.len() == 1);
    assert_eq!(lane.settled[0].delivery, Delivery::All);
}

#[test]
fn a_broken_producer_is_replaced_and_no_batch_is_lost_or_doubled() {
    let mut lane = Lane::open(&options("1"));
    lane.submit(0, 3);
    lane.poll_until("a first batch", |lane| lane.settled.len() == 1);
    for slot in 1..20 {
        lane.submit(slot, 5);
    }
    lane.sink.producer.break_for_test();
    // The sink has not heard of it yet: these are refused one by one.
    for slot in 20..40 {
        lane.submit(slot, 5);
    }
    lane.poll_until("every batch of before", |lane| lane.settled.len() == 40 && lane.sink.replaced == 1);
    for settled in &lane.settled[1..] {
        for index in 0..5 {
            if let Err(fault) = settled.delivery.of(index) {
                let may_retry = fault.retry == Retry::Yes;
                assert_eq!(may_retry, fault.fate == Fate::NotStored, "{fault}");
            }
        }
    }
    let refused = lane.settled.iter().filter(|settled| settled.batch.origin().slot >= 20);
    let unsent = Fault::new(FaultKind::Internal, Whose::Sink, Retry::Yes, Fate::NotStored);
    for settled in refused {
        assert_eq!(settled.delivery, Delivery::None(unsent));
    }
    let before = lane.settled.len();
    lane.submit(40, 5);
    lane.poll_until("a batch of afterwards", |lane| lane.settled.len() == before + 1);
    assert_eq!(lane.settled[before].delivery, Delivery::All);
    lane.poll_until("the broken producer's end", |lane| lane.sink.retiring.is_empty());
    assert!(lane.sink.is_idle());
}

#[test]
fn what_brokers_refuse_for_the_whole_time_keeps_its_reason() {
    let (sink, operator) = (Whose::Sink, Whose::Operator);
    for (code, kind, whose, fate) in [
        (code::NOT_ENOUGH_REPLICAS, FaultKind::NotEnoughReplicas, sink, Fate::NotStored),
        (code::NOT_ENOUGH_REPLICAS_AFTER_APPEND, FaultKind::NotEnoughReplicas, sink, Fate::Unknown),
        (code::TOPIC_AUTHORIZATION_FAILED, FaultKind::Unauthorized, operator, Fate::NotStored),
        (code::INVALID_RECORD, FaultKind::RecordRejected, operator, Fate::NotStored),
        (code::POLICY_VIOLATION, FaultKind::RecordRejected, operator, Fate::NotStored),
        (code::KAFKA_STORAGE_ERROR, FaultKind::StorageFailed, sink, Fate::Unknown),
        (Code(1234), FaultKind::Internal, sink, Fate::Unknown),
    ] {
        let mut options = options("1");
        options.delivery_timeout = Duration::from_secs(3);
        let mut lane = Lane::open(&options);
        lane.submit(0, 1);
        lane.poll_until("a first batch", |lane| lane.settled.len() == 1);
        lane.sink.producer.refuse_for_test(code, 1000);
        lane.submit(1, 1);
        lane.poll_until("the refused batch", |lane| lane.settled.len() == 2);
        let expected = Fault::new(kind, whose, Retry::Client, fate);
        assert_eq!(lane.settled[1].delivery, Delivery::None(expected), "{code:?}");
    }
}

#[test]
fn closing_settles_what_no_broker_takes() {
    let mut options = options("0");
    options.properties.clear();
    let mut lane = Lane::open(&options);
    for slot in 0..10 {
        lane.submit(slot, 4);
    }
    let now = Instant::now();
    lane.sink.close(now, now + Duration::from_millis(300));
    lane.poll_until("every batch", |lane| lane.sink.is_idle());
    assert_eq!(lane.settled.len(), 10);
    let closing = Fault::new(FaultKind::Closing, Whose::Sink, Retry::Client, Fate::NotStored);
    assert!(lane.settled.iter().all(|settled| settled.delivery == Delivery::None(closing)));
}

#[test]
fn a_sink_dropped_with_batches_in_flight_frees_them_after_librdkafka() {
    let mut options = options("0");
    options.properties.clear();
    let mut lane = Lane::open(&options);
    for slot in 0..50 {
        lane.submit(slot, 10);
    }
    drop(lane);
}
