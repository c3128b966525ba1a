//! `Content-Encoding` undone (RFC 9110 section 8.4), with a bound that no input can make it exceed.
//!
//! | coding | format | several in a row |
//! |---|---|---|
//! | `gzip`, `x-gzip` | RFC 1952, checksums compared | members |
//! | `deflate` | RFC 1950 (zlib), or RFC 1951 (raw), as senders and browsers disagree on the name's meaning | no |
//! | `zstd` | RFC 8878, checksums compared; no dictionaries | frames |
//! | `snappy` | the raw format: no frames, no checksum | no |
//!
//! Codings are undone from right to left, as the list says that they were applied from left to right. Input that ends
//! too early, or goes on behind its end, is refused: half an event is no event.
//!
//! ```text
//!   Content-Encoding: gzip, zstd
//!   body ──zstd──▶ buffer 0 ──gzip──▶ buffer 1 ──▶ what the client meant     (a third stage: buffer 0 again)
//!                  └──── none is ever larger than the bound ────┘
//! ```
//!
//! The bound holds for time too, within reason: the worst input found, a million empty zstd frames inside of gzip, takes
//! 30 ms of one core at a bound of 8 MiB; an empty gzip member costs 50 ns.
//!
//! A `zstd` window needs no limit of its own here (RFC 9659 has 8 MiB): frames are decoded in one go into the
//! buffer, which is the window, so that a frame that asks for a larger one costs nothing more.

mod buffer;
mod inflate;
mod list;

use crate::http::Refusal;
use buffer::Buffer;
use inflate::Inflater;
use list::{Coding, Codings};
use zstd::zstd_safe::{self, DCtx};

/// Upper bound of the decoders' own states in bytes: tables, and inflate's window of 32 KiB.
const STATES_BYTES_MAX: usize = 512 * 1024;

/// What one [`ContentDecoder`] may hold, in bytes, while it is never asked for more than `decoded_bytes_max`: two
/// buffers at the bound, half a one while a buffer moves to grow, and the decoders' states.
#[must_use]
pub const fn memory_bytes_max(decoded_bytes_max: usize) -> usize {
    2 * decoded_bytes_max + decoded_bytes_max.div_ceil(2) + STATES_BYTES_MAX
}

/// Decoders and their buffers. One serves a whole shard: decoding never waits, and the result is encoded into a
/// batch before the next request is decoded. Buffers grow on demand and stay, so that a warm decoder allocates nothing.
pub struct ContentDecoder {
    inflater: Inflater,
    zstd: DCtx<'static>,
    snappy: snap::raw::Decoder,
    buffers: [Buffer; 2],
}

impl Default for ContentDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ContentDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentDecoder").field("buffers", &self.buffers).finish_non_exhaustive()
    }
}

impl ContentDecoder {
    /// A decoder whose buffers are still empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inflater: Inflater::new(),
            zstd: DCtx::create(),
            snappy: snap::raw::Decoder::new(),
            buffers: [Buffer::default(), Buffer::default()],
        }
    }

    /// Undoes `codings`, the values of all `Content-Encoding` fields in the order of the head. `None` means that
    /// there is nothing to undo: use `body` as it is. Call it only for a request that has a body: no coding
    /// makes nothing out of something, so an empty `body` is a broken one.
    ///
    /// # Errors
    /// - [`Refusal::UnsupportedEncoding`]: a coding is unknown, or there are more than four.
    /// - [`Refusal::BadEncoding`]: a stage is broken, ends too early, or goes on behind its end.
    /// - [`Refusal::DecodedTooLarge`]: a stage is larger than `decoded_bytes_max`. Nothing beyond it was produced.
    pub fn decode<'a>(
        &mut self,
        codings: impl Iterator<Item = &'a [u8]>,
        body: &[u8],
        decoded_bytes_max: usize,
    ) -> Result<Option<&[u8]>, Refusal> {
        let codings = Codings::parse(codings)?;
        let mut len = None;
        for coding in codings.last_to_first() {
            // Each stage reads what the one before it wrote, and writes the other buffer.
            self.buffers.swap(0, 1);
            let [target, source] = &mut self.buffers;
            let input = len.map_or(body, |len| source.filled(len));
            if input.is_empty() {
                return Err(Refusal::BadEncoding);
            }
            target.limit(decoded_bytes_max);
            len = Some(match coding {
                Coding::Gzip => self.inflater.gzip(input, target)?,
                Coding::Deflate => self.inflater.deflate(input, target)?,
                Coding::Zstd => unzstd(&mut self.zstd, input, target)?,
                Coding::Snappy => unsnappy(&mut self.snappy, input, target)?,
            });
        }
        Ok(len.map(|len| self.buffers[0].filled(len)))
    }
}

/// Returns the decoded length.
fn unzstd(context: &mut DCtx<'static>, input: &[u8], target: &mut Buffer) -> Result<usize, Refusal> {
    const TOO_SMALL: usize =
        (zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();
    // Most frames say how large they are; it is a hint, which only spares attempts with too small a buffer.
    let hint = zstd_safe::get_frame_content_size(input).map_err(|_| Refusal::BadEncoding)?.unwrap_or(0);
    target.reserve(usize::try_from(hint).unwrap_or(usize::MAX))?;
    loop {
        match context.decompress(target.room(0), input) {
            Ok(len) => return Ok(len),
            Err(TOO_SMALL) => target.grow()?,
            Err(_) => return Err(Refusal::BadEncoding),
        }
    }
}

/// Returns the decoded length.
fn unsnappy(decoder: &mut snap::raw::Decoder, input: &[u8], target: &mut Buffer) -> Result<usize, Refusal> {
    let len = snap::raw::decompress_len(input).map_err(|_| Refusal::BadEncoding)?;
    target.reserve(len)?;
    decoder.decompress(input, &mut target.room(0)[..len]).map_err(|_| Refusal::BadEncoding)
}

#[cfg(test)]
mod tests;
