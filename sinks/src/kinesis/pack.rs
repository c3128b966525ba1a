//! Makes a call out of what waits.
//!
//! Plain: one entry for each record, from shard after shard, until the call is full. Aggregated: as many records of one
//! shard as fit go into one entry; loose ones are dealt to the shards by the aggregate, so that each is full.

use std::time::{Duration, Instant};

use super::backlog::{Backlog, Item, Key};
use super::fault::TOO_LARGE;
use super::key::{KeyText, Name};
use super::options::Options;
use super::payload::Payload;
use super::request::Request;
use super::slots::{Slots, State};
use crate::kpl::Aggregate;
use crate::{Fate, Fault, FaultKind, Retry, Whose};

/// The longest explicit hash key, in decimal digits.
const HASH_KEY_DIGITS: usize = 39;

/// One entry of a call on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Items that it carries: more than one where it is aggregated.
    pub items: usize,
    /// Whether a consumer may look at each item's own hash key.
    pub aggregated: bool,
}

/// A call on its way.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub entries: Vec<Entry>,
    /// The items of all entries, one entry's behind the other's.
    pub items: Vec<Item>,
    /// Queues that it took from; empty where order does not matter.
    pub queues: Vec<usize>,
}

/// What packing needs besides the backlog; lives as long as the sink.
#[derive(Debug)]
pub(super) struct Packer {
    stream: String,
    payload: Payload,
    aggregate: Aggregate,
    aggregate_bytes_max: Option<usize>,
    record_bytes_max: usize,
    call_records_max: usize,
    call_bytes_max: usize,
    linger: Duration,
    ordered: bool,
    /// False when the stream places records by itself, so that no shard can be foretold.
    pub foretells: bool,
}

/// A record that can't be sent, and why.
pub(super) type Refusal = (Item, Fault);

impl Packer {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        Ok(Self {
            stream: options.stream.clone(),
            payload: Payload::new(options.compression)?,
            aggregate: Aggregate::default(),
            aggregate_bytes_max: options.aggregate_bytes_max,
            record_bytes_max: options.record_bytes_max,
            call_records_max: options.call_records_max,
            call_bytes_max: options.call_bytes_max,
            linger: options.linger,
            ordered: options.ordered,
            foretells: true,
        })
    }

    /// The most that is sent for a value of this many bytes.
    pub(super) fn bound(&self, value_bytes: usize) -> usize {
        self.payload.bound(value_bytes)
    }

    /// How large an aggregate may get; `None` where records go one by one, as they do until the shards are known.
    fn aggregates(&self, backlog: &Backlog) -> Option<usize> {
        self.aggregate_bytes_max.filter(|_| self.foretells && backlog.map.is_known())
    }

    /// Makes the next call, if anything is due. `closing`: nothing lingers any more.
    pub(super) fn next_call(
        &mut self,
        backlog: &mut Backlog,
        slots: &mut Slots,
        now: Instant,
        closing: bool,
        random: &mut fastrand::Rng,
        refused: &mut Vec<Refusal>,
    ) -> Option<(Request, Call)> {
        while let Some(group) = backlog.apart.pop_front() {
            let made = self.call_of(&group, slots, refused);
            if made.is_some() {
                return made;
            }
        }
        let linger = if closing { Duration::ZERO } else { self.linger };
        let aggregates = self.aggregates(backlog);
        if let Some(bytes_max) = aggregates {
            deal_in_chunks(backlog, bytes_max, linger, now, random);
        } else if !self.is_due(backlog, linger, now) {
            return None;
        } else {
            self.deal_one_by_one(backlog, now, random);
        }
        let mut request = Request::new(&self.stream, self.call_records_max, self.guess_bytes(backlog));
        let mut call = Call::default();
        let first = backlog.next_cursor();
        let count = backlog.queues.len();
        for number in (0..count).map(|step| (first + step) % count) {
            if self.ordered && backlog.queues[number].calls > 0 {
                continue;
            }
            let before = call.items.len();
            let room = match aggregates {
                None => self.take_plain(backlog, number, slots, now, &mut request, &mut call, refused),
                Some(bytes_max) => {
                    let queue = &backlog.queues[number];
                    if !(queue.is_old(linger, now) || queue.bytes() >= bytes_max) {
                        continue;
                    }
                    let mut sending = Sending { slots, request: &mut request, call: &mut call, refused };
                    self.take_aggregated(backlog, number, bytes_max, now, &mut sending)
                }
            };
            if self.ordered && call.items.len() > before {
                backlog.queues[number].calls += 1;
                call.queues.push(number);
            }
            if !room {
                break;
            }
        }
        (request.records() > 0).then_some((request, call))
    }

    fn guess_bytes(&self, backlog: &Backlog) -> usize {
        let waiting: usize = backlog.queues.iter().map(super::backlog::Queue::bytes).sum();
        (waiting + self.call_records_max * HASH_KEY_DIGITS).min(self.call_bytes_max)
    }

    /// Plain calls go when they are full, or when the oldest record that can go has lingered.
    fn is_due(&self, backlog: &mut Backlog, linger: Duration, now: Instant) -> bool {
        let (mut records, mut bytes, mut old) = (0, 0, false);
        let ordered = self.ordered;
        let sendable = backlog.queues.iter_mut().filter(|queue| !(ordered && queue.calls > 0));
        for queue in sendable.filter_map(|queue| queue.pace.is_ready(now).then_some(&*queue)) {
            records += queue.len();
            bytes += queue.bytes();
            old |= queue.is_old(linger, now);
        }
        records += backlog.loose.len();
        bytes += backlog.loose.bytes();
        old |= backlog.loose.is_old(linger, now);
        old || records >= self.call_records_max || bytes >= self.call_bytes_max
    }

    fn has_room(&self, request: &Request, bytes: usize) -> bool {
        request.records() == 0
            || (request.records() < self.call_records_max
                && request.bytes() + bytes + HASH_KEY_DIGITS <= self.call_bytes_max)
    }

    /// Gives loose records to the shards in turn, as many as a call takes.
    fn deal_one_by_one(&self, backlog: &mut Backlog, now: Instant, random: &mut fastrand::Rng) {
        for _ in 0..self.call_records_max.min(backlog.loose.len()) {
            let Some(number) = next_shard(backlog, now) else { return };
            deal(backlog, number, random, |_| false);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "parts of one call that live in different places")]
    fn take_plain(
        &mut self,
        backlog: &mut Backlog,
        number: usize,
        slots: &mut Slots,
        now: Instant,
        request: &mut Request,
        call: &mut Call,
        refused: &mut Vec<Refusal>,
    ) -> bool {
        let queue = &mut backlog.queues[number];
        while let Some(item) = queue.front().copied() {
            if slots.record(item.place).is_none() {
                queue.pop();
                continue;
            }
            if !self.has_room(request, item.bytes) {
                return false;
            }
            if !queue.pace.admit(item.bytes, now) {
                return true;
            }
            queue.pop();
            self.put_plain(item, slots, request, call, refused);
        }
        true
    }

    /// One record, one entry.
    fn put_plain(
        &mut self,
        item: Item,
        slots: &mut Slots,
        request: &mut Request,
        call: &mut Call,
        refused: &mut Vec<Refusal>,
    ) {
        let Some(record) = slots.record(item.place) else { return };
        let mut text = KeyText::default();
        let (key, explicit) = key_of(&item, record.key, &mut text);
        match sent_for(&mut self.payload, record.value) {
            Ok(data) if key.len() + data.len() <= self.record_bytes_max => {
                request.add(key, explicit, data);
                call.entries.push(Entry { items: 1, aggregated: false });
                call.items.push(item);
                slots.moved(item.place, State::Sent);
            }
            Ok(_) => refused.push((item, TOO_LARGE)),
            Err(fault) => refused.push((item, fault)),
        }
    }

    /// A group that goes by itself, each record in an entry of its own.
    fn call_of(
        &mut self,
        group: &[Item],
        slots: &mut Slots,
        refused: &mut Vec<Refusal>,
    ) -> Option<(Request, Call)> {
        let bytes = group.iter().map(|item| item.bytes + HASH_KEY_DIGITS).sum();
        let (mut request, mut call) = (Request::new(&self.stream, group.len(), bytes), Call::default());
        for item in group {
            self.put_plain(*item, slots, &mut request, &mut call, refused);
        }
        (request.records() > 0).then_some((request, call))
    }

    /// As many aggregates as the queue fills; false when the call has no room for the next one.
    fn take_aggregated(
        &mut self,
        backlog: &mut Backlog,
        number: usize,
        bytes_max: usize,
        now: Instant,
        sending: &mut Sending<'_>,
    ) -> bool {
        let queue = &mut backlog.queues[number];
        loop {
            while queue.front().is_some_and(|item| sending.slots.record(item.place).is_none()) {
                queue.pop();
            }
            let Some(front) = queue.front() else { return true };
            let bytes = front.bytes.max(queue.bytes().min(bytes_max));
            if !self.has_room(sending.request, bytes) {
                return false;
            }
            if !queue.pace.admit(bytes, now) {
                return true;
            }
            self.aggregate.clear();
            let first = sending.call.items.len();
            while let Some(item) = queue.front().copied() {
                let Some(record) = sending.slots.record(item.place) else {
                    queue.pop();
                    continue;
                };
                let mut text = KeyText::default();
                let (key, explicit) = key_of(&item, record.key, &mut text);
                let data = match sent_for(&mut self.payload, record.value) {
                    Ok(data) => data,
                    Err(fault) => {
                        queue.pop();
                        sending.refused.push((item, fault));
                        continue;
                    }
                };
                let fits = self.aggregate.bytes_with(key, explicit, data) + key.len() <= bytes_max;
                if !(fits || self.aggregate.is_empty()) {
                    break;
                }
                queue.pop();
                self.aggregate.add(key, explicit, data);
                sending.call.items.push(item);
                if !fits {
                    break;
                }
            }
            self.close_aggregate(first, sending);
        }
    }

    /// Turns the items from `first` on into one entry: a record by itself goes as it is.
    fn close_aggregate(&mut self, first: usize, sending: &mut Sending<'_>) {
        let Sending { slots, request, call, refused } = sending;
        match call.items[first..] {
            [] => {}
            [item] => {
                call.items.truncate(first);
                self.put_plain(item, slots, request, call, refused);
            }
            ref items @ [head, ..] => {
                let Some(record) = slots.record(head.place) else { return };
                let mut text = KeyText::default();
                let (key, _) = key_of(&head, record.key, &mut text);
                request.add(key, Some(head.hash_key), self.aggregate.finish());
                call.entries.push(Entry { items: items.len(), aggregated: true });
                for item in &call.items[first..] {
                    slots.moved(item.place, State::Sent);
                }
            }
        }
    }
}

/// Where an aggregated call grows.
struct Sending<'a> {
    slots: &'a mut Slots,
    request: &'a mut Request,
    call: &'a mut Call,
    refused: &'a mut Vec<Refusal>,
}

/// What is sent for a value.
fn sent_for<'a>(payload: &'a mut Payload, value: &'a [u8]) -> Result<&'a [u8], Fault> {
    payload.of(value).map_err(|text| {
        tracing::error!("kinesis: a record can't be compressed: {text}");
        Fault::new(FaultKind::Internal, Whose::Engine, Retry::Client, Fate::NotStored)
    })
}

/// The partition key that goes with an item, and its explicit hash key where it has one.
fn key_of<'a>(item: &Item, own: &'a [u8], text: &'a mut KeyText) -> (&'a str, Option<u128>) {
    match item.key {
        Key::Own => (text.own(own), None),
        Key::Random(name) => (text.name(name), None),
        Key::Placed(name) => (text.name(name), Some(item.hash_key)),
    }
}

/// The next shard that a loose record may go to: one that is not held back if there is any, else one that is ready.
fn next_shard(backlog: &mut Backlog, now: Instant) -> Option<usize> {
    let count = backlog.queues.len();
    let first = backlog.next_cursor();
    let turn = |step| (first + step) % count;
    (0..count)
        .map(turn)
        .find(|number| !backlog.queues[*number].pace.is_held())
        .or_else(|| (0..count).map(turn).find(|number| backlog.queues[*number].pace.is_ready(now)))
}

/// Gives the first loose record to a shard, and those behind it as long as `more` wants one more.
fn deal(
    backlog: &mut Backlog,
    number: usize,
    random: &mut fastrand::Rng,
    mut more: impl FnMut(&Item) -> bool,
) {
    let shard = &backlog.map.open()[number];
    let hash_key = random.u128(shard.first..=shard.last);
    #[allow(clippy::cast_possible_truncation, reason = "the upper half is meant")]
    let name = Name((hash_key >> 64) as u64);
    while let Some(item) = backlog.loose.pop() {
        backlog.queues[number].push(Item { key: Key::Placed(name), hash_key, ..item });
        if !backlog.loose.front().is_some_and(&mut more) {
            return;
        }
    }
}

/// Gives loose records to the shards in turn, an aggregate's worth each.
fn deal_in_chunks(
    backlog: &mut Backlog,
    bytes_max: usize,
    linger: Duration,
    now: Instant,
    random: &mut fastrand::Rng,
) {
    while backlog.loose.bytes() >= bytes_max || backlog.loose.is_old(linger, now) {
        let Some(number) = next_shard(backlog, now) else { return };
        let mut bytes = backlog.loose.front().map_or(0, |item| item.bytes);
        deal(backlog, number, random, |item| {
            bytes += item.bytes;
            bytes <= bytes_max
        });
    }
}
