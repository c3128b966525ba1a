//! Records to the bytes of an object: NDJSON, compressed as a stream, cut into parts, with a checksum over all of it.
//!
//! The same records in the same order give the same bytes, whatever was held back in between: nothing in the stream
//! says when it was made.
//!
//! gzip is zlib-rs behind flate2: within a fifth of the fastest at level 1 (`docs/s3.md` has the figures), it needs no C
//! compiler, and writes one member as it goes, which a block-wise library could not.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::Compression;
use crate::{Batch, Records};

/// What the compressors may hold back, and what one write may add beyond what was asked for.
const SLACK_BYTES: usize = 256 << 10;

/// Bytes of an object, on their way.
pub struct Encoder {
    stream: Stream,
    piece_bytes: usize,
    /// Bytes that were taken away.
    taken_bytes: u64,
    crc32c: u32,
    records: u64,
    raw_bytes: u64,
}

enum Stream {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("records", &self.records).finish_non_exhaustive()
    }
}

/// What an object holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// Records.
    pub records: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes of the object.
    pub bytes: u64,
    /// CRC-32C (RFC 3720 appendix B.4) of the object.
    pub crc32c: u32,
}

/// Nothing that writes into memory fails but the compressor itself, which does not by its contract.
const MEMORY: &str = "compressing into memory";

impl Encoder {
    /// An empty object that is taken away in pieces of about `piece_bytes`.
    ///
    /// # Errors
    /// When the compressor refuses its level.
    pub fn new(compression: Compression, piece_bytes: usize) -> io::Result<Self> {
        let out = Vec::with_capacity(piece_bytes + SLACK_BYTES);
        let stream = match compression {
            Compression::None => Stream::Plain(out),
            Compression::Gzip { level } => Stream::Gzip(GzEncoder::new(out, flate2::Compression::new(level))),
            Compression::Zstd { level } => Stream::Zstd(ZstdEncoder::new(out, level)?),
        };
        Ok(Self { stream, piece_bytes, taken_bytes: 0, crc32c: 0, records: 0, raw_bytes: 0 })
    }

    /// Adds these records of `batch`, a line each.
    pub fn add(&mut self, batch: &Batch, records: &Records) {
        match (records, batch.as_ndjson()) {
            (Records::All, Some(lines)) => self.add_lines(lines, batch.len() as u64),
            (Records::All, None) => batch.records().for_each(|record| self.add_line(record.value)),
            (Records::Only(only), _) => {
                for index in only {
                    self.add_line(batch.record(*index).value);
                }
            }
        }
    }

    /// Adds one record, without its newline.
    pub fn add_line(&mut self, line: &[u8]) {
        self.write(line);
        self.write(b"\n");
        self.records += 1;
    }

    /// Adds `records` lines, each with its newline.
    pub fn add_lines(&mut self, lines: &[u8], records: u64) {
        self.write(lines);
        self.records += records;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.raw_bytes += bytes.len() as u64;
        match &mut self.stream {
            Stream::Plain(out) => out.extend_from_slice(bytes),
            Stream::Gzip(stream) => stream.write_all(bytes).expect(MEMORY),
            Stream::Zstd(stream) => stream.write_all(bytes).expect(MEMORY),
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match &mut self.stream {
            Stream::Plain(out) => out,
            Stream::Gzip(stream) => stream.get_mut(),
            Stream::Zstd(stream) => stream.get_mut(),
        }
    }

    /// Bytes of the object so far, but for what the compressor holds back.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let out = match &self.stream {
            Stream::Plain(out) => out,
            Stream::Gzip(stream) => stream.get_ref(),
            Stream::Zstd(stream) => stream.get_ref(),
        };
        self.taken_bytes + out.len() as u64
    }

    /// Records so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next piece, once there is one of at least the size that was asked for.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        let size = self.piece_bytes;
        let out = self.out();
        if out.len() < size {
            return None;
        }
        let piece = std::mem::replace(out, Vec::with_capacity(size + SLACK_BYTES));
        Some(self.count(piece))
    }

    fn count(&mut self, piece: Vec<u8>) -> Vec<u8> {
        self.taken_bytes += piece.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &piece);
        piece
    }

    /// The last piece, and what the object holds.
    ///
    /// # Panics
    /// If the compressor fails, which writing into memory it does not.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, Content) {
        let stream = std::mem::replace(&mut self.stream, Stream::Plain(Vec::new()));
        let last = match stream {
            Stream::Plain(out) => out,
            Stream::Gzip(stream) => stream.finish().expect(MEMORY),
            Stream::Zstd(stream) => stream.finish().expect(MEMORY),
        };
        let last = self.count(last);
        let content = Content {
            records: self.records,
            raw_bytes: self.raw_bytes,
            bytes: self.taken_bytes,
            crc32c: self.crc32c,
        };
        (last, content)
    }

    /// Most bytes of memory that an encoder with such pieces takes; zstd's window and tables are those of its level.
    #[must_use]
    pub fn memory_bytes(compression: Compression, piece_bytes: usize) -> usize {
        let own = match compression {
            Compression::None => 0,
            Compression::Gzip { .. } => 384 << 10,
            Compression::Zstd { .. } => 64 << 20,
        };
        piece_bytes + SLACK_BYTES + own
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::Origin;

    fn lines(from: u32, to: u32) -> Vec<u8> {
        (from..to).flat_map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", n * 7919).into_bytes()).collect()
    }

    fn encoded(compression: Compression, piece_bytes: usize, step: u32) -> (Vec<Vec<u8>>, Content) {
        let mut encoder = Encoder::new(compression, piece_bytes).unwrap();
        let mut pieces = Vec::new();
        for from in (0..10_000).step_by(step as usize) {
            let to = (from + step).min(10_000);
            encoder.add_lines(&lines(from, to), u64::from(to - from));
            pieces.extend(encoder.piece());
        }
        let (last, content) = encoder.finish();
        pieces.push(last);
        (pieces, content)
    }

    fn decoded(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::None => out.extend_from_slice(bytes),
            Compression::Gzip { .. } => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(drop).unwrap();
            }
            Compression::Zstd { .. } => out = zstd::decode_all(bytes).unwrap(),
        }
        out
    }

    #[test]
    fn every_compression_gives_the_records_back_whole_and_by_pieces() {
        for compression in [Compression::None, Compression::Gzip { level: 1 }, Compression::Zstd { level: 1 }]
        {
            let (pieces, content) = encoded(compression, 8_000, 100);
            assert!(pieces.len() > 2, "{compression:?}: {}", pieces.len());
            let bytes = pieces.concat();
            assert_eq!(decoded(compression, &bytes), lines(0, 10_000));
            assert_eq!(content.bytes, bytes.len() as u64);
            assert_eq!(content.crc32c, crc32c::crc32c(&bytes));
            assert_eq!((content.records, content.raw_bytes), (10_000, lines(0, 10_000).len() as u64));
            // The same records, the same bytes, however they are cut.
            let (whole, same) = encoded(compression, 1 << 20, 100);
            assert_eq!((whole.len(), whole.concat()), (1, bytes));
            assert_eq!(same, content);
        }
    }

    #[test]
    fn keys_and_records_that_were_not_submitted_are_left_out() {
        let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 256, 8);
        for value in [&b"a"[..], b"b", b"c"] {
            let append = |free: &mut [u8]| {
                free[..4].copy_from_slice(b"key!");
                free[4] = value[0];
                Some((4, 1))
            };
            batch.append_with(append).unwrap();
        }
        let mut encoder = Encoder::new(Compression::None, 100).unwrap();
        encoder.add(&batch, &Records::All);
        encoder.add(&batch, &Records::Only(vec![0, 2]));
        let (bytes, content) = encoder.finish();
        assert_eq!(bytes, b"a\nb\nc\na\nc\n");
        assert_eq!(content.records, 5);
    }

    #[test]
    fn an_empty_object_is_none() {
        let (bytes, content) = Encoder::new(Compression::Gzip { level: 1 }, 100).unwrap().finish();
        assert_eq!(content.records, 0);
        assert!(decoded(Compression::Gzip { level: 1 }, &bytes).is_empty());
    }
}
