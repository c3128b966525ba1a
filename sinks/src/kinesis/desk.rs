//! The sink as a state machine: no socket, no thread, no clock.
//!
//! ```text
//!  submit ─▶ Slots ─▶ Backlog ─▶ Packer ─▶ Work ─▶ (client)
//!              ▲                                      │
//!  settled ◀───┴──────────── judge ◀──── Answer ◀─────┘
//! ```
//!
//! The promise: a record is delivered only by `answers`, from a [`Said::Stored`](super::call::Said) of the entry that carried it,
//! and (aggregated) from a shard that takes its hash key. Nothing else says `Ok`.

mod answers;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Item, Key};
use super::call::Work;
use super::fault::{self, THROTTLED, TOO_LARGE};
use super::figures::Figures;
use super::key::{self, KeyText, Name};
use super::options::{Options, Spread};
use super::pack::{Call, Packer, Refusal};
use super::refresh::Refresh;
use super::shard_map::ShardMap;
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
                (item.key, item.hash_key) = random_key(backlog, random);
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

/// A random key, if possible one of a shard that is not held back: such a record has no need to wait.
fn random_key(backlog: &Backlog, random: &mut fastrand::Rng) -> (Key, u128) {
    const DRAWS_MAX: usize = 4;
    let mut text = KeyText::default();
    let mut draw = || {
        let name = Name(random.u64(..));
        (Key::Random(name), hash_key_of(text.name(name)))
    };
    let mut drawn = draw();
    for _ in 1..DRAWS_MAX {
        if !backlog.queues[backlog.queue_of(drawn.1)].pace.is_held() {
            break;
        }
        drawn = draw();
    }
    drawn
}

#[cfg(test)]
mod tests;
