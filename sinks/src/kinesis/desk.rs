//! The sink as a state machine: no socket, no thread, no clock.
//!
//! ```text
//!  submit ─▶ Slots ─▶ Backlog ─▶ Packer ─▶ Work ─▶ (client)
//!              ▲                                      │
//!  settled ◀───┴──────────── judge ◀──── Answer ◀─────┘
//! ```
//!
//! The promise: a record is delivered only by [`Desk::answered`], from a [`Said::Stored`] of the entry that carried it,
//! and (aggregated) from a shard that takes its hash key. Nothing else says `Ok`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Item, Key};
use super::call::{Answer, Said, Work};
use super::fault::{self, ASTRAY, Failure, THROTTLED, TOO_LARGE, UNACCOUNTED};
use super::figures::Figures;
use super::key::{self, KeyText, Name};
use super::options::{Options, Spread};
use super::pack::{Call, Entry, Packer, Refusal};
use super::refresh::Refresh;
use super::shard_map::{Shard, ShardMap};
use super::slots::{Slots, State};
use super::watch::Watch;
use crate::kpl::hash_key_of;
use crate::{Delivery, Fate, Fault, Health, Settled, Submission};

/// How long a record may wait for its shard's pace. What would wait longer goes back to the lane, so that a hot shard
/// can't fill the sink.
const PACE_WAIT_MAX: Duration = Duration::from_millis(500);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Desk {
    record_bytes_max: usize,
    calls_in_flight_max: usize,
    /// Records without a key go to any shard.
    loose: bool,
    aggregates: bool,
    ordered: bool,
    slots: Slots,
    backlog: Backlog,
    packer: Packer,
    calls: HashMap<u64, Call>,
    next_call: u64,
    refresh: Refresh,
    /// A map that waits until nothing is on its way any more, where order matters.
    next_map: Option<ShardMap>,
    /// Aggregates that landed on a shard nobody had heard of: judged with the next map.
    limbo: Vec<(String, Vec<Item>)>,
    ready: Vec<Settled>,
    refused: Vec<Refusal>,
    random: fastrand::Rng,
    close_at: Option<Instant>,
    watch: Watch,
    pub figures: Figures,
}

impl Desk {
    /// A desk with these options, which have no problem; the error is the compressor's.
    pub(super) fn new(options: &Options, seed: u64) -> Result<Self, String> {
        let aggregates = options.aggregate_bytes_max.is_some();
        Ok(Self {
            record_bytes_max: options.record_bytes_max,
            calls_in_flight_max: options.calls_in_flight_max,
            loose: aggregates || options.spread == Spread::Even,
            aggregates,
            ordered: options.ordered,
            slots: Slots::default(),
            backlog: Backlog::new(),
            packer: Packer::new(options)?,
            calls: HashMap::new(),
            next_call: 0,
            refresh: Refresh::new(),
            next_map: None,
            limbo: Vec::new(),
            ready: Vec::new(),
            refused: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            close_at: None,
            watch: Watch::new(&options.stream),
            figures: Figures::default(),
        })
    }

    /// Takes a batch in.
    pub(super) fn submit(&mut self, submission: Submission, now: Instant) {
        if submission.is_empty() {
            self.ready.push(Settled { batch: submission.batch, delivery: Delivery::All });
            return;
        }
        let Self { slots, backlog, packer, random, refused, .. } = self;
        let (loose, record_bytes_max) = (self.loose, self.record_bytes_max);
        slots.insert(submission, |place, record| {
            let bytes = key::bytes_max(record.key.len()) + packer.bound(record.value.len());
            let mut item = Item { place, key: Key::Own, hash_key: 0, bytes, since: now };
            if bytes > record_bytes_max {
                refused.push((item, TOO_LARGE));
                return;
            }
            let mut text = KeyText::default();
            if !record.key.is_empty() {
                item.hash_key = hash_key_of(text.own(record.key));
            } else if loose {
                backlog.loose.push(item);
                return;
            } else {
                let name = Name(random.u64(..));
                item = Item { key: Key::Random(name), hash_key: hash_key_of(text.name(name)), ..item };
            }
            let number = backlog.queue_of(item.hash_key);
            let queue = &mut backlog.queues[number];
            if queue.pace.is_held() && queue.wait() > PACE_WAIT_MAX {
                refused.push((item, THROTTLED));
            } else {
                queue.push(item);
            }
        });
        self.settle_refused();
    }

    /// Starts whatever is due.
    pub(super) fn turn(&mut self, now: Instant, start: &mut impl FnMut(Work)) {
        self.end_what_is_over(now);
        self.shed(now);
        if self.refresh.ask(now) {
            start(Work::ListShards);
        }
        if self.next_map.is_some() && self.calls.is_empty() {
            self.install_map();
        }
        while self.calls.len() < self.calls_in_flight_max && self.next_map.is_none() {
            let closing = self.close_at.is_some();
            let made = self.packer.next_call(
                &mut self.backlog,
                &mut self.slots,
                now,
                closing,
                &mut self.random,
                &mut self.refused,
            );
            self.settle_refused();
            let Some((request, call)) = made else { return };
            self.figures.sent(&call, request.bytes());
            let number = self.next_call;
            self.next_call += 1;
            self.calls.insert(number, call);
            start(Work::Put { call: number, body: request.finish() });
        }
    }

    /// Takes an answer in.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant) {
        match answer {
            Answer::Put { call, result } => {
                let Some(call) = self.calls.remove(&call) else { return };
                for number in &call.queues {
                    // The map stays while calls are on their way where queues are counted.
                    self.backlog.queues[*number].calls -= 1;
                }
                match result {
                    Ok(said) => self.answered(&call, said, now),
                    Err(failure) => self.failed(&call, &failure, now),
                }
            }
            Answer::Shards(Ok(shards)) => self.listed(shards, now),
            Answer::Shards(Err(failure)) => {
                tracing::warn!("kinesis: the stream's shards can't be listed: {}", failure.text());
                self.not_listed(now);
            }
        }
    }

    fn answered(&mut self, call: &Call, said: Vec<Said>, now: Instant) {
        self.watch.answered();
        let mut said = said.into_iter();
        let mut items = call.items.as_slice();
        for entry in &call.entries {
            let (own, rest) = items.split_at(entry.items);
            items = rest;
            // An answer that is too short accounts for nothing beyond its end.
            match said.next().unwrap_or(Said::Nothing) {
                Said::Stored { shard } => self.landed(*entry, own, shard),
                Said::Refused { code, message } => {
                    let fault = fault::of_entry(&code);
                    self.watch.refused(fault, &code, &message, now);
                    self.slow_down(fault, own, now);
                    self.fail(own, fault);
                }
                Said::Nothing => self.fail(own, UNACCOUNTED),
            }
        }
    }

    /// An entry is stored on `shard`.
    fn landed(&mut self, entry: Entry, items: &[Item], shard: String) {
        let Some(head) = items.first() else { return };
        let map = &self.backlog.map;
        let expected = &map.open()[map.find(head.hash_key)];
        if map.is_known() && *expected.id != *shard {
            self.figures.landed_elsewhere += 1;
            if self.packer.foretells {
                self.refresh.want();
            }
        }
        match map.seen(&shard) {
            Some(found) if !found.takes(head.hash_key) => {
                // A shard's range never changes: the stream does not go by hash keys.
                if self.packer.foretells {
                    self.packer.foretells = false;
                    tracing::error!(
                        "kinesis: the stream places records against their hash keys (record distribution strategy \
                         AUTO?): no more aggregation and no pacing per shard"
                    );
                }
                let items = items.to_vec();
                if entry.aggregated { self.fail(&items, ASTRAY) } else { self.deliver(&items) }
            }
            Some(found) if entry.aggregated => {
                let found = found.clone();
                self.judge(items, &found);
            }
            None if entry.aggregated => self.limbo.push((shard, items.to_vec())),
            _ => self.deliver(items),
        }
    }

    /// Records of an aggregate that is on `shard`: a consumer drops those that the shard does not take.
    fn judge(&mut self, items: &[Item], shard: &Shard) {
        for item in items {
            if shard.takes(item.hash_key) {
                self.deliver(std::slice::from_ref(item));
            } else {
                self.figures.astray += 1;
                self.fail(std::slice::from_ref(item), ASTRAY);
            }
        }
    }

    fn failed(&mut self, call: &Call, failure: &Failure, now: Instant) {
        self.figures.calls_failed += 1;
        if failure.is_about_content() && call.items.len() > 1 {
            // One of them is bad, or they are too much together.
            let half = call.items.len() / 2;
            for group in [&call.items[..half], &call.items[half..]] {
                for item in group {
                    self.slots.moved(item.place, State::Queued);
                }
                self.backlog.apart.push_back(group.to_vec());
            }
            return;
        }
        let fault = failure.fault();
        self.watch.failed(failure, fault, now);
        let mut items = call.items.as_slice();
        for entry in &call.entries {
            let (own, rest) = items.split_at(entry.items);
            items = rest;
            self.slow_down(fault, own, now);
        }
        self.fail(&call.items, fault);
    }

    /// Tells the pace of an entry's shard that it was throttled.
    fn slow_down(&mut self, fault: Fault, items: &[Item], now: Instant) {
        if fault.kind != THROTTLED.kind || !self.packer.foretells || !self.backlog.map.is_known() {
            return;
        }
        if let Some(head) = items.first() {
            let number = self.backlog.queue_of(head.hash_key);
            self.figures.decreases += u64::from(self.backlog.queues[number].pace.throttled(now));
        }
    }

    fn deliver(&mut self, items: &[Item]) {
        self.figures.records_delivered += items.len() as u64;
        for item in items {
            self.ready.extend(self.slots.decide(item.place, Ok(())));
        }
    }

    fn fail(&mut self, items: &[Item], fault: Fault) {
        self.figures.failed(fault, items.len());
        for item in items {
            self.ready.extend(self.slots.decide(item.place, Err(fault)));
        }
    }

    fn settle_refused(&mut self) {
        let mut refused = std::mem::take(&mut self.refused);
        for (item, fault) in refused.drain(..) {
            self.fail(&[item], fault);
        }
        self.refused = refused;
    }

    fn listed(&mut self, shards: Vec<Shard>, now: Instant) {
        match ShardMap::of(shards, &self.backlog.map) {
            Ok(map) => {
                let changed = map.open() != self.backlog.map.open();
                self.refresh.came(changed, now);
                self.next_map = Some(map);
                if !self.ordered || self.calls.is_empty() {
                    self.install_map();
                }
            }
            Err(error) => {
                tracing::info!("kinesis: {error}: the stream is being resharded");
                self.not_listed(now);
            }
        }
    }

    fn install_map(&mut self) {
        let Some(map) = self.next_map.take() else { return };
        self.figures.maps += 1;
        self.backlog.remap(map);
        for (shard, items) in std::mem::take(&mut self.limbo) {
            match self.backlog.map.seen(&shard).cloned() {
                Some(shard) => self.judge(&items, &shard),
                // Opened and closed between two looks: nobody can say what its consumers drop.
                None => self.fail(&items, ASTRAY),
            }
        }
    }

    fn not_listed(&mut self, now: Instant) {
        self.refresh.failed(now);
        for (_, items) in std::mem::take(&mut self.limbo) {
            self.fail(&items, ASTRAY);
        }
    }

    /// Records that have waited too long for their shard's pace go back.
    fn shed(&mut self, now: Instant) {
        let mut shed = Vec::new();
        for queue in self.backlog.queues.iter_mut().filter(|queue| queue.pace.is_held()) {
            while queue.is_old(PACE_WAIT_MAX, now) {
                shed.extend(queue.pop());
            }
        }
        self.fail(&shed, THROTTLED);
    }

    fn end_what_is_over(&mut self, now: Instant) {
        let closed = self.close_at.is_some_and(|at| now >= at);
        let fault = |state| {
            let fate = if state == State::Sent { Fate::Unknown } else { Fate::NotStored };
            if closed { fault::closing(fate) } else { fault::late(fate) }
        };
        self.slots.end(|deadline| closed || now >= deadline, fault, &mut self.ready);
    }

    /// Nothing more comes; at `deadline` what is left goes back.
    pub(super) fn close(&mut self, deadline: Instant) {
        self.close_at = Some(deadline);
    }

    /// Hands every batch that is decided out.
    pub(super) fn settled(&mut self, settled: &mut Vec<Settled>) {
        settled.append(&mut self.ready);
    }

    /// When [`Self::turn`] has something to do even if no answer comes.
    pub(super) fn next_turn(&self, linger: Duration, now: Instant) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(now);
        }
        let mut due: Option<Instant> = None;
        let mut by = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        // The list of shards alone is no reason to keep an idle sink awake, but the first is.
        [self.slots.next_deadline(), self.refresh.due(now)].into_iter().flatten().for_each(&mut by);
        if self.slots.len() > 0 {
            self.close_at.into_iter().for_each(&mut by);
        }
        if self.calls.len() < self.calls_in_flight_max && self.next_map.is_none() {
            for queue in self.backlog.queues.iter().filter(|queue| queue.calls == 0 || !self.ordered) {
                let Some(front) = queue.front() else { continue };
                by((front.since + linger).max(queue.pace.ready_at(now)));
            }
            if let Some(front) = self.backlog.loose.front() {
                let pace = self.backlog.queues.iter().map(|queue| queue.pace.ready_at(now)).min();
                by((front.since + linger).max(pace.unwrap_or(now)));
            }
        }
        due
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.slots.len() == 0
    }

    pub(super) fn health(&self) -> Health {
        self.watch.health()
    }

    /// Calls on their way, records that wait, open shards (0: unknown), and how many of them are held back.
    pub(super) fn levels(&self) -> [usize; 4] {
        let map = &self.backlog.map;
        let shards = if map.is_known() { map.open().len() } else { 0 };
        let held = self.backlog.queues.iter().filter(|queue| queue.pace.is_held()).count();
        [self.calls.len(), self.backlog.len(), shards, held]
    }

    /// Whether records are aggregated now: asked for, and the shards are known.
    pub(super) fn is_aggregating(&self) -> bool {
        self.aggregates && self.packer.foretells && self.backlog.map.is_known()
    }
}

#[cfg(test)]
mod tests;
