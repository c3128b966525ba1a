//! Chunked bodies (RFC 9112 section 7.1), decoded in place and resumable at every byte.
//!
//! ```text
//!   size [;ext] CRLF │ payload │ CRLF │ … │ 0 [;ext] CRLF │ [field CRLF]* │ CRLF
//! ```
//!
//! Strict where proxies differ: lines end in CR LF, a size is hexadecimal digits and nothing else, an extension has
//! its grammar, and the framing fields must not come in trailers. What is not payload is bounded.

use super::Refusal;
use crate::limits::{CHUNK_OVERHEAD_BYTES_MAX, TRAILER_BYTES_MAX};

/// What one call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Raw bytes taken from the front.
    pub consumed: usize,
    /// Payload bytes that lie at the front now; never more than `consumed`.
    pub written: usize,
    /// The body is complete: what was not consumed belongs to the next request.
    pub done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// First digit of a size.
    SizeStart,
    Size,
    /// Behind a `;`: a name has to come.
    ExtensionStart,
    ExtensionName,
    /// Behind a `=`: a value has to come.
    ExtensionValueStart,
    ExtensionValue,
    ExtensionQuoted,
    ExtensionEscaped,
    /// Behind a closing quote.
    ExtensionQuotedEnd,
    SizeLf,
    Payload,
    PayloadCr,
    PayloadLf,
    /// First byte of a trailer line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// Decodes one body.
#[derive(Clone, Copy, Debug)]
pub struct Dechunker {
    state: State,
    /// Bytes left in the running chunk, or its size while that is read.
    left: u64,
    /// Payload bytes that may still come.
    budget: u64,
    /// Bytes of size lines and extensions so far.
    overhead: usize,
    trailer: usize,
    name: TrailerName,
}

/// The first bytes of a trailer's name: enough to tell the forbidden ones.
#[derive(Clone, Copy, Debug, Default)]
struct TrailerName {
    bytes: [u8; 20],
    len: usize,
}

/// Fields that frame or route a message must not come behind it (RFC 9110 section 6.5.1).
const FORBIDDEN_TRAILERS: [&[u8]; 10] = [
    b"content-length",
    b"transfer-encoding",
    b"host",
    b"trailer",
    b"connection",
    b"content-encoding",
    b"content-type",
    b"content-range",
    b"te",
    b"authorization",
];

impl TrailerName {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte.to_ascii_lowercase();
        }
        self.len += 1;
    }

    fn is_forbidden(&self) -> bool {
        self.bytes.get(..self.len).is_some_and(|name| FORBIDDEN_TRAILERS.contains(&name))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

impl Dechunker {
    /// A decoder for a payload of at most `body_bytes_max`.
    #[must_use]
    pub fn new(body_bytes_max: u64) -> Self {
        Self {
            state: State::SizeStart,
            left: 0,
            budget: body_bytes_max,
            overhead: 0,
            trailer: 0,
            name: TrailerName::default(),
        }
    }

    /// Takes raw bytes from the front of `raw` and leaves the payload in their place. Consumes everything unless the
    /// body ends before.
    ///
    /// # Errors
    /// [`Refusal::BadChunk`], [`Refusal::BadTrailer`], and [`Refusal::BodyTooLarge`] as soon as a size says so.
    pub fn advance(&mut self, raw: &mut [u8]) -> Result<Progress, Refusal> {
        let (mut consumed, mut written) = (0, 0);
        while consumed < raw.len() && self.state != State::Done {
            if self.state == State::Payload {
                let available = (raw.len() - consumed) as u64;
                #[allow(clippy::cast_possible_truncation, reason = "at most what raw holds")]
                let taken = self.left.min(available) as usize;
                raw.copy_within(consumed..consumed + taken, written);
                consumed += taken;
                written += taken;
                self.left -= taken as u64;
                if self.left == 0 {
                    self.state = State::PayloadCr;
                }
            } else {
                self.state = self.step(raw[consumed])?;
                consumed += 1;
            }
        }
        Ok(Progress { consumed, written, done: self.state == State::Done })
    }

    /// One byte outside of the payload.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match self.state {
            State::PayloadCr if byte == b'\r' => Ok(State::PayloadLf),
            State::PayloadLf if byte == b'\n' => Ok(State::SizeStart),
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::EndLf => self.step_trailer(byte),
            State::Payload | State::PayloadCr | State::PayloadLf | State::Done => Err(Refusal::BadChunk),
            _ => {
                self.overhead += 1;
                if self.overhead > CHUNK_OVERHEAD_BYTES_MAX {
                    return Err(Refusal::BadChunk);
                }
                self.step_size(byte)
            }
        }
    }

    fn step_size(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(Refusal::BadChunk)?;
                let size = self.left.checked_mul(16).ok_or(Refusal::BadChunk)? + u64::from(digit);
                self.left = size;
                State::Size
            }
            (
                State::Size | State::ExtensionName | State::ExtensionValue | State::ExtensionQuotedEnd,
                b'\r',
            ) => State::SizeLf,
            (
                State::Size | State::ExtensionName | State::ExtensionValue | State::ExtensionQuotedEnd,
                b';',
            ) => State::ExtensionStart,
            (State::ExtensionName, b'=') => State::ExtensionValueStart,
            (State::ExtensionStart | State::ExtensionName, byte) if is_token_byte(byte) => {
                State::ExtensionName
            }
            (State::ExtensionValueStart, b'"') => State::ExtensionQuoted,
            (State::ExtensionValueStart | State::ExtensionValue, byte) if is_token_byte(byte) => {
                State::ExtensionValue
            }
            (State::ExtensionQuoted, b'"') => State::ExtensionQuotedEnd,
            (State::ExtensionQuoted, b'\\') => State::ExtensionEscaped,
            (State::ExtensionQuoted | State::ExtensionEscaped, byte) if is_text_byte(byte) => {
                State::ExtensionQuoted
            }
            (State::SizeLf, b'\n') => return self.chunk_begins(),
            _ => return Err(Refusal::BadChunk),
        };
        Ok(next)
    }

    /// A size line is complete.
    fn chunk_begins(&mut self) -> Result<State, Refusal> {
        if self.left == 0 {
            return Ok(State::TrailerStart);
        }
        self.budget = self.budget.checked_sub(self.left).ok_or(Refusal::BodyTooLarge)?;
        Ok(State::Payload)
    }

    fn step_trailer(&mut self, byte: u8) -> Result<State, Refusal> {
        self.trailer += 1;
        if self.trailer > TRAILER_BYTES_MAX {
            return Err(Refusal::BadTrailer);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::TrailerStart, byte) if is_token_byte(byte) => {
                self.name = TrailerName::default();
                self.name.push(byte);
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') if !self.name.is_forbidden() => Ok(State::TrailerValue),
            (State::TrailerName, byte) if is_token_byte(byte) => {
                self.name.push(byte);
                Ok(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, byte) if is_text_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Refusal::BadTrailer),
        }
    }
}

#[cfg(test)]
mod tests;
