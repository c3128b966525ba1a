//! Records that wait to be sent: a queue for each shard, and the loose ones that may go to any.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::Name;
use super::pace::Pace;
use super::shard_map::{Shard, ShardMap};
use super::slots::Place;

/// The key that a record is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Its own.
    Own,
    /// A random one, whose hash places it.
    Random(Name),
    /// A random one that says nothing: the explicit hash key places it.
    Placed(Name),
}

/// A record that waits, or is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub place: Place,
    pub key: Key,
    /// Its place among the hash keys; of no meaning while it is loose.
    pub hash_key: u128,
    /// Partition key and data at most, in bytes.
    pub bytes: usize,
    /// Since when it waits.
    pub since: Instant,
}

/// A shard's records.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    pub pace: Pace,
    /// Calls on their way that have records of this queue; kept where order matters.
    pub calls: usize,
}

impl Queue {
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.bytes;
        self.items.push_back(item);
    }

    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.bytes;
        Some(item)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Partition keys and data of all that waits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when the oldest has waited for `time`.
    pub(super) fn is_old(&self, time: Duration, now: Instant) -> bool {
        self.front().is_some_and(|item| now >= item.since + time)
    }

    /// How long one more record would wait for the shard's pace.
    pub(super) fn wait(&self) -> Duration {
        self.pace.wait(self.len(), self.bytes)
    }
}

/// All that waits.
#[derive(Debug)]
pub(super) struct Backlog {
    pub map: ShardMap,
    /// One for each open shard of the map, in its order.
    pub queues: Vec<Queue>,
    /// Records without a key that are given to a shard when they are sent.
    pub loose: Queue,
    /// Groups that go by themselves: one of their records is bad, and they are halved until it is found.
    pub apart: VecDeque<Vec<Item>>,
    /// Where the next call begins to take.
    cursor: usize,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self {
            map: ShardMap::unknown(),
            queues: vec![Queue::default()],
            loose: Queue::default(),
            apart: VecDeque::new(),
            cursor: 0,
        }
    }

    /// Records that wait.
    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum::<usize>()
            + self.loose.len()
            + self.apart.iter().map(Vec::len).sum::<usize>()
    }

    /// The index of the queue that takes this hash key.
    pub(super) fn queue_of(&self, hash_key: u128) -> usize {
        self.map.find(hash_key)
    }

    /// The queue for the next turn, so that every one comes first once.
    pub(super) fn next_cursor(&mut self) -> usize {
        self.cursor = (self.cursor + 1) % self.queues.len();
        self.cursor
    }

    /// Takes a new map in: what waits goes to the queue of its hash key, in the order in which it waited; a shard that
    /// stays open keeps its pace.
    pub(super) fn remap(&mut self, map: ShardMap) {
        let old_map = std::mem::replace(&mut self.map, map);
        let old = std::mem::take(&mut self.queues);
        let pace_of = |id: &Arc<str>| {
            let place = old_map.open().iter().position(|shard: &Shard| shard.id == *id);
            place.map(|place| old[place].pace.clone()).unwrap_or_default()
        };
        self.queues = self
            .map
            .open()
            .iter()
            .map(|shard| Queue { pace: pace_of(&shard.id), ..Queue::default() })
            .collect();
        for item in old.into_iter().flat_map(|queue| queue.items) {
            let queue = self.map.find(item.hash_key);
            self.queues[queue].push(item);
        }
        self.cursor = 0;
    }
}
