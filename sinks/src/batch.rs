//! The batch: the only unit that crosses a thread, reaches the disk or a sink.
//!
//! A batch owns one fixed arena. Records are encoded straight into it and never move again until the batch is
//! recycled, so a sink may hand pointers into it to a client library for as long as it holds the batch.
//!
//! ```text
//!  arena  ┌─────┬─────────┬──┬─────┬─────────┬──┬──────────────── free ─┐
//!         │ key │ value   │\n│ key │ value   │\n│                       │
//!         └─────┴─────────┴──┴─────┴─────────┴──┴───────────────────────┘
//!         ▲ start         ▲ key_len + value_len      used ▲    capacity ▲
//! ```
//!
//! The newline behind each value belongs to no record. It is there so that a batch without keys is newline-
//! delimited JSON as it stands, and a file can be written from it in one call ([`Batch::as_ndjson`]).

/// Whose batch this is: only the shard that owns it recycles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Index of the owning shard.
    pub shard: u16,
    /// Index of the batch within that shard's pool for one lane.
    pub slot: u16,
}

/// One record's place in the arena. Offsets are `u32`: an arena is at most 4 GiB - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    key_len: u32,
    value_len: u32,
}

/// A record as a sink sees it: borrowed from the batch's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'batch> {
    /// Partitioning key; empty means none.
    pub key: &'batch [u8],
    /// The encoded record: one JSON object, without a newline.
    pub value: &'batch [u8],
}

/// The record does not fit into what is left of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record does not fit: the batch has {free_bytes} bytes and {free_records} records left")]
pub struct RecordTooLarge {
    /// Bytes left in the arena.
    pub free_bytes: usize,
    /// Records left in the index.
    pub free_records: usize,
}

/// Lengths and arena do not belong to one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lengths and arena do not belong to one batch")]
pub struct NotABatch;

/// A fixed arena of encoded records and the index of them.
///
/// Allocates when it is made and never afterwards. Dropping a batch that holds records loses them, so whoever
/// takes a batch by value has to give it back (see [`crate::Sink`]).
#[derive(Debug)]
#[must_use = "a dropped batch loses its records: give it back with its Delivery"]
pub struct Batch {
    arena: Box<[u8]>,
    used: usize,
    spans: Vec<Span>,
    records_max: usize,
    keyed: bool,
    origin: Origin,
}

impl Batch {
    /// A batch of `arena_bytes` for at most `records_max` records.
    ///
    /// # Panics
    /// If `arena_bytes` does not fit a `u32`, or `records_max` is 0: both come from checked limits.
    pub fn new(origin: Origin, arena_bytes: usize, records_max: usize) -> Self {
        assert!(u32::try_from(arena_bytes).is_ok(), "an arena is addressed by u32");
        assert!(records_max > 0, "a batch holds at least one record");
        Self {
            arena: vec![0; arena_bytes].into_boxed_slice(),
            used: 0,
            spans: Vec::with_capacity(records_max),
            records_max,
            keyed: false,
            origin,
        }
    }

    /// Whose batch this is.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when the batch holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of the arena in use: keys, values and one newline a record.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.used
    }

    /// The part of the arena in use, as it is: keys and values, a newline behind each record.
    #[must_use]
    pub fn arena_used(&self) -> &[u8] {
        &self.arena[..self.used]
    }

    /// Lengths of key and value of each record, in order: what [`Batch::rebuild`] needs besides the arena.
    #[must_use]
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        self.spans.iter().map(|span| (span.key_len, span.value_len))
    }

    /// Replaces the content by what another batch had: `fill` writes the `used_bytes` of its arena, `lengths` are its
    /// records'. Makes the arena and the index larger where they are too small, so it is not for the hot path.
    ///
    /// # Errors
    /// What `fill` returns, or [`NotABatch`] when lengths and arena do not belong together; the batch is empty then.
    pub fn rebuild<E: From<NotABatch>>(
        &mut self,
        used_bytes: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
        lengths: impl ExactSizeIterator<Item = (u32, u32)>,
    ) -> Result<(), E> {
        self.clear();
        let used = used_bytes as usize;
        if self.arena.len() < used {
            self.arena = vec![0; used].into_boxed_slice();
        }
        self.records_max = self.records_max.max(lengths.len());
        fill(&mut self.arena[..used])?;
        let mut start = 0_u32;
        for (key_len, value_len) in lengths {
            let newline = start.checked_add(key_len).and_then(|end| end.checked_add(value_len));
            let Some(newline) = newline.filter(|at| *at < used_bytes && self.arena[*at as usize] == b'\n')
            else {
                self.clear();
                return Err(NotABatch.into());
            };
            self.spans.push(Span { start, key_len, value_len });
            self.keyed |= key_len > 0;
            start = newline + 1;
        }
        if start != used_bytes {
            self.clear();
            return Err(NotABatch.into());
        }
        self.used = used;
        Ok(())
    }

    /// Size of the arena in bytes.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.arena.len()
    }

    /// The largest value (key included) that still fits, newline already taken off; `None` when the index is full.
    #[must_use]
    pub fn free_bytes(&self) -> Option<usize> {
        if self.spans.len() == self.records_max {
            return None;
        }
        Some((self.arena.len() - self.used).saturating_sub(1))
    }

    /// Appends one record by letting `encode` write into the free part of the arena.
    ///
    /// `encode` gets the free bytes (the newline's place already taken off) and returns `(key_len, value_len)`:
    /// it wrote the key first and the value right behind it, or `None` when it did not fit. On `None` nothing
    /// has been appended.
    ///
    /// # Errors
    /// [`RecordTooLarge`] when the index is full or `encode` says that its record does not fit.
    ///
    /// # Panics
    /// If `encode` claims more bytes than it was given: that is a bug in the encoder.
    pub fn append_with(
        &mut self,
        encode: impl FnOnce(&mut [u8]) -> Option<(usize, usize)>,
    ) -> Result<u32, RecordTooLarge> {
        let start = self.used;
        let full = self.full();
        let free = self.free_bytes().ok_or(full)?;
        let (key_len, value_len) = encode(&mut self.arena[start..start + free]).ok_or(full)?;
        let len = key_len + value_len;
        assert!(len <= free, "the encoder wrote {len} bytes into {free}");
        if self.arena.len() == start {
            return Err(full);
        }
        self.arena[start + len] = b'\n';
        self.used = start + len + 1;
        self.keyed |= key_len > 0;
        let index = self.spans.len();
        #[allow(clippy::cast_possible_truncation, reason = "the arena's size fits u32, checked in new")]
        self.spans.push(Span { start: start as u32, key_len: key_len as u32, value_len: value_len as u32 });
        #[allow(clippy::cast_possible_truncation, reason = "fewer records than arena bytes")]
        Ok(index as u32)
    }

    fn full(&self) -> RecordTooLarge {
        RecordTooLarge {
            free_bytes: (self.arena.len() - self.used).saturating_sub(1),
            free_records: self.records_max - self.spans.len(),
        }
    }

    /// Record number `index`.
    ///
    /// # Panics
    /// If there is no such record.
    #[must_use]
    pub fn record(&self, index: u32) -> Record<'_> {
        let span = self.spans[index as usize];
        let (start, key_len) = (span.start as usize, span.key_len as usize);
        let value_start = start + key_len;
        Record {
            key: &self.arena[start..value_start],
            value: &self.arena[value_start..value_start + span.value_len as usize],
        }
    }

    /// All records in the order in which they were appended.
    #[must_use]
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        #[allow(clippy::cast_possible_truncation, reason = "fewer records than arena bytes")]
        (0..self.spans.len()).map(|index| self.record(index as u32))
    }

    /// The whole batch as newline-delimited JSON in one slice, or `None` when a record has a key.
    #[must_use]
    pub fn as_ndjson(&self) -> Option<&[u8]> {
        (!self.keyed).then(|| &self.arena[..self.used])
    }

    /// Empties the batch for its next use. The arena stays as it is.
    pub fn clear(&mut self) {
        self.used = 0;
        self.spans.clear();
        self.keyed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { shard: 0, slot: 0 };

    fn append(batch: &mut Batch, key: &[u8], value: &[u8]) -> Result<u32, RecordTooLarge> {
        batch.append_with(|free| {
            let len = key.len() + value.len();
            let place = free.get_mut(..len)?;
            place[..key.len()].copy_from_slice(key);
            place[key.len()..].copy_from_slice(value);
            Some((key.len(), value.len()))
        })
    }

    #[test]
    fn records_come_back_as_they_were_appended() {
        let mut batch = Batch::new(ORIGIN, 64, 4);
        assert_eq!(append(&mut batch, b"k1", b"{\"a\":1}"), Ok(0));
        assert_eq!(append(&mut batch, b"", b"{}"), Ok(1));
        assert_eq!(batch.record(0), Record { key: b"k1", value: b"{\"a\":1}" });
        assert_eq!(batch.record(1), Record { key: b"", value: b"{}" });
        assert_eq!(batch.records().count(), 2);
        assert_eq!(batch.as_ndjson(), None, "a key would end up in the file");
    }

    #[test]
    fn a_batch_without_keys_is_ndjson() {
        let mut batch = Batch::new(ORIGIN, 64, 4);
        append(&mut batch, b"", b"{\"a\":1}").unwrap();
        append(&mut batch, b"", b"{}").unwrap();
        assert_eq!(batch.as_ndjson(), Some(&b"{\"a\":1}\n{}\n"[..]));
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.as_ndjson(), Some(&b""[..]));
    }

    #[test]
    fn a_batch_is_rebuilt_from_its_parts_and_from_no_others() {
        let mut batch = Batch::new(ORIGIN, 64, 4);
        append(&mut batch, b"k1", b"{\"a\":1}").unwrap();
        append(&mut batch, b"", b"{}").unwrap();
        let lengths: Vec<_> = batch.lengths().collect();
        let arena = batch.arena_used().to_vec();
        // Too small at first: it grows.
        let mut copy = Batch::new(ORIGIN, 4, 1);
        let mut rebuild = |arena: &[u8], lengths: &[(u32, u32)]| {
            let fill = |free: &mut [u8]| -> Result<(), NotABatch> {
                free.copy_from_slice(arena);
                Ok(())
            };
            copy.rebuild(arena.len().try_into().unwrap(), fill, lengths.iter().copied())?;
            assert!(copy.records().eq(batch.records()));
            assert_eq!(copy.as_ndjson(), None, "it has a key");
            Ok(())
        };
        assert_eq!(rebuild(&arena, &lengths), Ok(()));
        for wrong in
            [&[][..], &[(2, 7)], &[(2, 6), (0, 3)], &[(2, 7), (0, 2), (0, 0)], &[(u32::MAX, 7), (0, 2)]]
        {
            assert_eq!(rebuild(&arena, wrong), Err(NotABatch), "{wrong:?}");
        }
        assert_eq!(rebuild(&arena[..arena.len() - 1], &lengths), Err(NotABatch));
    }

    #[test]
    fn bytes_and_records_are_bounded_and_a_refusal_changes_nothing() {
        let mut batch = Batch::new(ORIGIN, 8, 2);
        assert_eq!(
            append(&mut batch, b"", b"12345678"),
            Err(RecordTooLarge { free_bytes: 7, free_records: 2 })
        );
        assert_eq!(append(&mut batch, b"", b"1234567"), Ok(0));
        assert_eq!(batch.free_bytes(), Some(0));
        assert_eq!(append(&mut batch, b"", b""), Err(RecordTooLarge { free_bytes: 0, free_records: 1 }));
        assert_eq!(batch.as_ndjson(), Some(&b"1234567\n"[..]));
        batch.clear();
        assert_eq!(append(&mut batch, b"", b"a"), Ok(0));
        assert_eq!(append(&mut batch, b"", b"b"), Ok(1));
        assert_eq!(batch.free_bytes(), None);
        assert_eq!(append(&mut batch, b"", b"c"), Err(RecordTooLarge { free_bytes: 3, free_records: 0 }));
    }
}
