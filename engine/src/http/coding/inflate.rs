//! `gzip` (RFC 1952) and `deflate` (RFC 1950, RFC 1951).
//!
//! The members of a gzip file are taken apart here, so that one inflate state serves all formats and is never made anew.

use super::buffer::Buffer;
use crate::http::Refusal;
use flate2::{Crc, Decompress, FlushDecompress, Status};

const ID_AND_METHOD: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;

/// Flags of a member's header (RFC 1952 section 2.3.1).
mod flag {
    pub const HEADER_CRC: u8 = 2;
    pub const EXTRA: u8 = 4;
    pub const NAME: u8 = 8;
    pub const COMMENT: u8 = 16;
    pub const RESERVED: u8 = 0xe0;
}

/// One inflate state for all formats.
pub(super) struct Inflater {
    state: Decompress,
}

/// How far one deflate stream went.
struct Stream {
    consumed: usize,
    /// End of its output in the target.
    written: usize,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { state: Decompress::new(false) }
    }

    /// Returns the decoded length.
    pub(super) fn gzip(&mut self, mut input: &[u8], target: &mut Buffer) -> Result<usize, Refusal> {
        let mut written = 0;
        loop {
            let header_len = gzip_header_len(input).ok_or(Refusal::BadEncoding)?;
            let stream = self.inflate(&input[header_len..], target, written, false)?;
            let rest = &input[header_len + stream.consumed..];
            let (trailer, rest) = rest.split_first_chunk::<TRAILER_BYTES>().ok_or(Refusal::BadEncoding)?;
            let mut checksum = Crc::new();
            checksum.update(&target.filled(stream.written)[written..]);
            // Both little-endian; the length modulo 2^32.
            let (sum, amount) = trailer.split_at(4);
            if sum != checksum.sum().to_le_bytes() || amount != checksum.amount().to_le_bytes() {
                return Err(Refusal::BadEncoding);
            }
            written = stream.written;
            input = rest;
            if input.is_empty() {
                return Ok(written);
            }
        }
    }

    /// Returns the decoded length. zlib when it begins like zlib, else raw: a raw stream that begins like zlib would
    /// have to begin with a stored block that is not the last, and with bits set that encoders leave 0.
    pub(super) fn deflate(&mut self, input: &[u8], target: &mut Buffer) -> Result<usize, Refusal> {
        let stream = self.inflate(input, target, 0, is_zlib(input))?;
        if stream.consumed == input.len() { Ok(stream.written) } else { Err(Refusal::BadEncoding) }
    }

    /// Inflates one stream to behind the first `written` bytes of `target`.
    fn inflate(
        &mut self,
        input: &[u8],
        target: &mut Buffer,
        mut written: usize,
        zlib: bool,
    ) -> Result<Stream, Refusal> {
        self.state.reset(zlib);
        let mut consumed = 0;
        loop {
            let at_limit = target.room(written).is_empty() && target.grow().is_err();
            // A stream may end exactly at the limit: one byte of room elsewhere tells whether it goes on.
            let mut beyond = [0; 1];
            let room = if at_limit { &mut beyond } else { target.room(written) };
            let room_len = room.len();
            let (read_before, produced_before) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(&input[consumed..], room, FlushDecompress::None)
                .map_err(|_| Refusal::BadEncoding)?;
            let produced = since(self.state.total_out(), produced_before);
            consumed += since(self.state.total_in(), read_before);
            if at_limit && produced > 0 {
                return Err(Refusal::DecodedTooLarge);
            }
            written += produced;
            match status {
                Status::StreamEnd => return Ok(Stream { consumed, written }),
                // More room, please.
                _ if produced == room_len => {}
                // There was room, so it is input that lacks.
                _ => return Err(Refusal::BadEncoding),
            }
        }
    }
}

fn since(total: u64, before: u64) -> usize {
    // Both lie within slices.
    usize::try_from(total - before).unwrap_or(usize::MAX)
}

/// Whether `input` begins with a header of RFC 1950 section 2.2: method 8, a window of at most 32 KiB, check bits.
fn is_zlib(input: &[u8]) -> bool {
    matches!(input, [method, flags, ..]
        if method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// Length of the header of the member that `input` begins with; `None` when it is none, or not complete.
fn gzip_header_len(input: &[u8]) -> Option<usize> {
    let header = input.first_chunk::<HEADER_BYTES>()?;
    let flags = header[3];
    if !header.starts_with(&ID_AND_METHOD) || flags & flag::RESERVED != 0 {
        return None;
    }
    let mut len = HEADER_BYTES;
    if flags & flag::EXTRA != 0 {
        let extra_len = u16::from_le_bytes(*input[len..].first_chunk()?);
        len += 2 + usize::from(extra_len);
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            len += 1 + memchr::memchr(0, input.get(len..)?)?;
        }
    }
    if flags & flag::HEADER_CRC != 0 {
        let mut checksum = Crc::new();
        checksum.update(input.get(..len)?);
        // The lower half of it.
        if input[len..].first_chunk::<2>()? != checksum.sum().to_le_bytes().first_chunk()? {
            return None;
        }
        len += 2;
    }
    (len <= input.len()).then_some(len)
}
