//! What the desk makes of answers: which records are delivered, which are not, and what is learned about the shards.

use std::time::Instant;

use super::super::backlog::Item;
use super::super::call::{Answer, Said};
use super::super::fault::{self, ASTRAY, Failure, THROTTLED, UNACCOUNTED};
use super::super::pack::{Call, Entry};
use super::super::shard_map::{Shard, ShardMap};
use super::super::slots::State;
use super::Desk;
use crate::Fault;

impl Desk {
    /// Takes an answer in.
    pub(in crate::kinesis) fn answer(&mut self, answer: Answer, now: Instant) {
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
        if said.len() != call.entries.len() {
            // Answers are matched by their order: one too few or too many, and none can be trusted.
            self.fail(&call.items, UNACCOUNTED);
            return;
        }
        let mut items = call.items.as_slice();
        for (entry, said) in call.entries.iter().zip(said) {
            let (own, rest) = items.split_at(entry.items);
            items = rest;
            match said {
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

    pub(super) fn install_map(&mut self) {
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
}
