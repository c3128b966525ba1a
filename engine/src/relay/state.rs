//! The relay as a state machine: it reads a [`Source`], and is given the time.

use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Fault, Origin, Retry, Source, SourceError, StreamId};

use crate::handoff::{Returned, Sealed};

/// How long live traffic may hold a relay back.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// How long a stream that could not be read is left alone.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// A relayed batch has no client that waits; the lane makes its own, longer deadline of it.
const DEADLINE: Duration = Duration::from_hours(1);

/// Everything about a relay that is fixed.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// Its number among the owners of batches: behind the last shard's.
    pub owner: u16,
    /// Batches of its own, so many streams can be under way.
    pub batches: u16,
    /// Arena of a batch: the largest that the journal holds.
    pub arena_bytes: usize,
    /// Most records of a batch.
    pub records_max: usize,
    /// Batches of the journal that follow one another travel as one of up to so many bytes: under load a batch has what
    /// came during one fdatasync, and a sink's answer often takes longer.
    pub gather_bytes_max: usize,
}

/// Where a stream stands.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    /// The next number to read.
    from: u64,
    /// The batch that is in the lane.
    under_way: Option<UnderWay>,
    /// It could not be read: not tried again before.
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    slot: u16,
    /// Of the last batch of the journal that is in it.
    sequence: u64,
}

/// What became of a batch that came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with: this many records were delivered, and these (by index) the sink refuses for good.
    Done {
        /// Delivered records.
        delivered: usize,
        /// Records to set aside, and why.
        rejected: Vec<(u32, Fault)>,
    },
    /// The lane gave it back undelivered, which it does only at its end: it stays in the journal.
    Left,
}

/// See the module's description.
#[derive(Debug)]
pub struct Relay<S> {
    source: S,
    limits: RelayLimits,
    streams: Vec<Stream>,
    free: Vec<Batch>,
    /// Takes what may follow a batch, before it is known to fit.
    ahead: Batch,
    /// Which stream is looked at first, so that none is starved of batches.
    first: usize,
    held_back_since: Option<Instant>,
}

impl<S: Source> Relay<S> {
    /// A relay that has read nothing yet.
    pub fn new(source: S, limits: RelayLimits) -> Self {
        let batch =
            |slot| Batch::new(Origin { shard: limits.owner, slot }, limits.arena_bytes, limits.records_max);
        Self {
            source,
            limits,
            streams: Vec::new(),
            free: (0..limits.batches).rev().map(batch).collect(),
            ahead: batch(limits.batches),
            first: 0,
            held_back_since: None,
        }
    }

    /// Whether a stream that could not be read is to be tried again.
    pub fn is_in_trouble(&self) -> bool {
        self.streams.iter().any(|stream| stream.not_before.is_some())
    }

    /// Batches in the lane.
    pub fn under_way(&self) -> usize {
        usize::from(self.limits.batches) - self.free.len()
    }

    /// Hands to `launch` what can be delivered now. `live` says whether batches of shards wait in the lane. Returns true
    /// when there may be more as soon as a batch is back or live traffic has passed.
    ///
    /// # Errors
    /// The first [`SourceError`] of a stream that can't be read. It is tried again a second later; the others go on.
    pub fn turn(
        &mut self,
        now: Instant,
        live: bool,
        launch: &mut impl FnMut(Sealed),
    ) -> Result<bool, SourceError> {
        if live && now < *self.held_back_since.get_or_insert(now) + PATIENCE {
            return Ok(true);
        }
        self.held_back_since = None;
        self.notice_streams();
        let count = self.streams.len();
        let (mut more, mut trouble) = (false, None);
        let first = self.first;
        self.first = if count == 0 { 0 } else { (first + 1) % count };
        for place in (first..count).chain(0..first) {
            let stream = &self.streams[place];
            if stream.under_way.is_some() {
                more = true;
                continue;
            }
            if stream.not_before.is_some_and(|at| now < at) {
                continue;
            }
            let Some(mut batch) = self.free.pop() else {
                // Whose turn it was has the first one that comes back.
                self.first = place;
                more = true;
                break;
            };
            let (id, from) = (stream.id, stream.from);
            match self.source.read(id, from, &mut batch) {
                Ok(Some(sequence)) => {
                    let sequence = self.gather(id, sequence, &mut batch);
                    let under_way = Some(UnderWay { slot: batch.origin().slot, sequence });
                    self.streams[place].under_way = under_way;
                    self.streams[place].not_before = None;
                    more = true;
                    launch(Sealed { batch, sealed_at: now, deadline: now + DEADLINE, patient: true });
                }
                Ok(None) => {
                    self.streams[place].not_before = None;
                    self.free.push(batch);
                }
                Err(error) => {
                    self.free.push(batch);
                    self.streams[place].not_before = Some(now + ERROR_PAUSE);
                    trouble.get_or_insert(error);
                }
            }
        }
        trouble.map_or(Ok(more), Err)
    }

    /// Adds the batches behind `sequence` for as long as they fit; returns the number of the last one. What does not fit
    /// or can't be read is read again when its turn has come.
    fn gather(&mut self, id: StreamId, mut sequence: u64, batch: &mut Batch) -> u64 {
        // One that is half full is not worth reading the next one twice.
        while batch.used_bytes() <= self.limits.gather_bytes_max / 2 {
            let Ok(Some(next)) = self.source.read(id, sequence + 1, &mut self.ahead) else { break };
            let bytes = batch.used_bytes() + self.ahead.used_bytes();
            if bytes > self.limits.gather_bytes_max.min(batch.capacity_bytes())
                || batch.len() + self.ahead.len() > self.limits.records_max
            {
                break;
            }
            for record in self.ahead.records() {
                let (key, end) = (record.key.len(), record.key.len() + record.value.len());
                let appended = batch.append_with(|free| {
                    free[..key].copy_from_slice(record.key);
                    free[key..end].copy_from_slice(record.value);
                    Some((key, record.value.len()))
                });
                if appended.is_err() {
                    // It was seen to fit. If not, it is delivered once more, not once less.
                    return sequence;
                }
            }
            sequence = next;
        }
        sequence
    }

    fn notice_streams(&mut self) {
        for id in self.source.streams() {
            if self.streams.iter().all(|stream| stream.id != id) {
                let from = self.source.delivered(id);
                self.streams.push(Stream { id, from, under_way: None, not_before: None });
            }
        }
    }

    /// Looks at a batch that came back. The caller sets aside what is rejected, then calls [`Relay::done`]; or
    /// [`Relay::left`] when nothing can be done with it.
    #[must_use]
    pub fn settlement(returned: &Returned) -> Settlement {
        #[allow(clippy::cast_possible_truncation, reason = "a batch indexes its records by u32")]
        let outcomes = (0..returned.batch.len() as u32).map(|index| (index, returned.delivery.of(index)));
        let (mut delivered, mut rejected) = (0, Vec::new());
        for (index, outcome) in outcomes {
            match outcome {
                Ok(()) => delivered += 1,
                Err(fault) if fault.retry == Retry::No => rejected.push((index, fault)),
                Err(_) => return Settlement::Left,
            }
        }
        Settlement::Done { delivered, rejected }
    }

    /// Every record of `batch` is delivered or set aside: the journal may forget it.
    pub fn done(&mut self, batch: Batch) {
        if let Some(stream) = self.stream_of(&batch)
            && let Some(under_way) = stream.under_way.take()
        {
            stream.from = under_way.sequence + 1;
            let (id, below) = (stream.id, stream.from);
            self.source.delivered_below(id, below);
        }
        self.recycle(batch);
    }

    /// `batch` is neither: it is read again, by this process or the next.
    pub fn left(&mut self, batch: Batch) {
        if let Some(stream) = self.stream_of(&batch) {
            stream.under_way = None;
        }
        self.recycle(batch);
    }

    fn stream_of(&mut self, batch: &Batch) -> Option<&mut Stream> {
        let slot = batch.origin().slot;
        self.streams
            .iter_mut()
            .find(|stream| stream.under_way.is_some_and(|under_way| under_way.slot == slot))
    }

    fn recycle(&mut self, mut batch: Batch) {
        batch.clear();
        self.free.push(batch);
    }
}

#[cfg(test)]
mod tests;
