//! What one request is called, what it should leave in the sink, and how it ended.
//!
//! The id of a request is in its bytes, so that the auditor finds it in whatever the target stored:
//!
//! ```text
//!   bh-1f00c0de-03-00000012ab        bh-<run>-<worker>-<number>, all hexadecimal, always 25 bytes
//!   bh-1f00c0de-03-00000012ab-07     an event of it: `event_id` of the eighth event of that request
//! ```

use std::fmt;

/// The name of a request: unique over runs (by `run`), threads (by `worker`) and time (by `number`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// Drawn at random when a run starts.
    pub run: u32,
    /// The generator thread that sent it.
    pub worker: u8,
    /// Counts up from 0 within the worker; below 2^40.
    pub number: u64,
}

impl RequestId {
    /// Bytes of every id as text.
    pub const LEN: usize = 25;

    /// Reads an id at the start of `text`; `None` when there is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.get(..Self::LEN)?;
        let separated = text.starts_with(b"bh-") && text[11] == b'-' && text[14] == b'-';
        if !separated {
            return None;
        }
        let run = u32::try_from(hexadecimal(&text[3..11])?).ok()?;
        let worker = u8::try_from(hexadecimal(&text[12..14])?).ok()?;
        Some(Self { run, worker, number: hexadecimal(&text[15..])? })
    }

    /// The id's text.
    #[must_use]
    pub fn text(self) -> [u8; Self::LEN] {
        let mut text = *b"bh-00000000-00-0000000000";
        write_hexadecimal(&mut text[3..11], u64::from(self.run));
        write_hexadecimal(&mut text[12..14], u64::from(self.worker));
        write_hexadecimal(&mut text[15..], self.number);
        text
    }

    /// The `event_id` of event `index` of this request: the id, a dash, two or more hexadecimal digits.
    pub fn write_event_id(self, index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text());
        out.push(b'-');
        let digits = if index < 0x100 { 2 } else { 8 };
        let from = out.len();
        out.resize(from + digits, b'0');
        write_hexadecimal(&mut out[from..], u64::from(index));
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for &digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(nibble);
    }
    Some(value)
}

fn write_hexadecimal(out: &mut [u8], mut value: u64) {
    for place in out.iter_mut().rev() {
        *place = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// What a request that is answered with success should leave in the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The body, after its `Content-Encoding` is undone: [`digest`] of those bytes.
    Body(u64),
    /// The request target with its query (`/collect?…`): [`digest`] of it. For requests without a body.
    Target(u64),
    /// Nothing: a preflight, a health check.
    Nothing,
}

/// FNV-1a, 64 bits: tells a changed body from the sent one. Against accidents, not against forgers.
#[must_use]
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What a workload says about the request it just wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Index into [`Workload::kinds`](crate::workload::Workload::kinds).
    pub kind: u16,
    /// Events in it; 0 for a preflight.
    pub events: u32,
    /// What success should leave in the sink.
    pub stored: Stored,
}

/// How a request ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A whole answer with this status came.
    Answered(u16),
    /// The connection ended before a whole answer was read; the request may have been stored.
    Reset,
    /// No whole answer within the timeout; the request may have been stored.
    TimedOut,
    /// What came back is not HTTP.
    Garbled,
    /// No connection could be made within the timeout: the target never saw it.
    NotSent,
}

impl Outcome {
    /// Whether the target said that it has the event.
    #[must_use]
    pub fn acked(self) -> bool {
        matches!(self, Self::Answered(status) if (200..300).contains(&status))
    }

    /// Whether the target said that it has not.
    #[must_use]
    pub fn refused(self) -> bool {
        matches!(self, Self::Answered(_) | Self::NotSent) && !self.acked()
    }

    /// A stable name for results: `200`, `503`, `reset`, `timed_out`, `garbled`, `not_sent`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Answered(status) => status.to_string(),
            Self::Reset => "reset".into(),
            Self::TimedOut => "timed_out".into(),
            Self::Garbled => "garbled".into(),
            Self::NotSent => "not_sent".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_read_back_as_written(run: u32, worker: u8, number in 0_u64..1 << 40) {
            let id = RequestId { run, worker, number };
            prop_assert_eq!(RequestId::parse(&id.text()), Some(id));
            prop_assert_eq!(id.to_string().len(), RequestId::LEN);
        }
    }

    #[test]
    fn what_is_no_id_is_not_read_as_one() {
        for text in [
            "",
            "bh-1f00c0de-03-00000012a",
            "bh-1f00c0de_03-00000012ab",
            "xx-1f00c0de-03-00000012ab",
            "bh-1F00c0de-03-00000012ab",
        ] {
            assert_eq!(RequestId::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn events_are_named_after_their_request() {
        let mut out = Vec::new();
        RequestId { run: 0x1f00_c0de, worker: 3, number: 0x12ab }.write_event_id(7, &mut out);
        assert_eq!(out, b"bh-1f00c0de-03-00000012ab-07");
    }

    #[test]
    fn only_2xx_is_an_ack_and_only_an_answer_is_a_refusal() {
        assert!(Outcome::Answered(200).acked() && Outcome::Answered(204).acked());
        assert!(Outcome::Answered(503).refused() && Outcome::NotSent.refused());
        for unknown in [Outcome::Reset, Outcome::TimedOut, Outcome::Garbled] {
            assert!(!unknown.acked() && !unknown.refused(), "{unknown:?}");
        }
    }
}
