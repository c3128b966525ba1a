//! The seam between HTTP and records: a protocol turns a request into records, and an outcome into an answer.
//!
//! ```text
//!   head complete ──▶ wants() ──▶ Event ──▶ body read and decoded ──▶ records() ──▶ one Encode per record
//!                        │                                                             │
//!                        ├──▶ Answer: sent as it is, nothing recorded                  ▼
//!                        └──▶ Refusal                              Batch::append_with(|free| encode(free))
//!                                                                                      ▼
//!                                             every record delivered ──▶ success()   else a Refusal
//! ```
//!
//! A protocol is pure: no socket, no clock, no allocation, no state. `OPTIONS` never reaches one: the
//! connection answers it, as CORS needs.

pub mod clickstream;
pub mod forwarded;
pub mod query;

use crate::config::settings::{self, RecordKey};
use crate::http::Refusal;
use crate::record::{Moment, RequestId};

/// A request as a protocol sees it: borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, as received: methods are case-sensitive (RFC 9110 section 9.1), and tokens: there is nothing to escape.
    pub method: &'a [u8],
    /// Path and query as received, nothing decoded.
    pub uri: &'a [u8],
    /// Path as received, without the query: its route's, which has nothing to escape (RFC 3986 section 3.3).
    pub path: &'a [u8],
    /// What follows the first `?`, as received; empty when there is none.
    pub query: &'a [u8],
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// The values of all `X-Forwarded-For` fields, in the order of the head.
    pub forwarded_for: &'a [&'a [u8]],
    /// Address of the connection's other end, without the port, as text.
    pub peer: &'a [u8],
    /// The body after `Content-Encoding` is undone; empty when there is none.
    pub body: &'a [u8],
}

/// What the engine adds to a request when it takes it.
#[derive(Clone, Copy, Debug)]
pub struct Receipt<'a> {
    /// The request's id.
    pub rid: &'a RequestId,
    /// When the request was complete.
    pub moment: &'a Moment,
    /// Which field is the partitioning key.
    pub key: &'a RecordKey,
    /// [`settings::Server::dev_mode`].
    pub dev_mode: bool,
    /// [`settings::Server::trusted_proxies`]; see [`forwarded`].
    pub trusted_proxies: u8,
}

/// One record that can be written as often as needed: it borrows the request and owns nothing.
#[allow(clippy::len_without_is_empty, reason = "a record is never empty")]
pub trait Encode {
    /// Upper bound of key and value together in bytes. Costs a few additions; up to six times [`Encode::len`].
    fn len_max(&self) -> usize;

    /// Exact length of key and value together in bytes. Costs a pass over the request.
    fn len(&self) -> usize;

    /// Writes the key and right behind it the value to the start of `free`, and returns `(key_len, value_len)`
    /// in bytes: what [`millrun_sinks::Batch::append_with`] wants. `None` exactly when `free` is shorter than
    /// [`Encode::len`].
    fn encode(&self, free: &mut [u8]) -> Option<(usize, usize)>;
}

/// What a request is for, as far as its head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Read the body, then ask [`Protocol::records`].
    Event,
    /// Nothing is recorded: discard the body and answer this.
    Answer(Answer),
}

/// An answer whose every byte is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code (RFC 9110 section 15).
    pub status: u16,
    /// `Content-Type`, where there is a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: &'static [u8],
}

/// How requests of one kind become records, and outcomes answers.
pub trait Protocol: Sync {
    /// Decides by the head, before a body is read.
    ///
    /// # Errors
    /// [`Refusal::MethodNotAllowed`] where the protocol has no use for the method.
    fn wants(&self, method: &[u8], has_query: bool) -> Result<Wants, Refusal>;

    /// Hands every record of `request` to `each`, in order, until `each` refuses one. All are of one outcome to the
    /// client: it is answered when the last of them is decided.
    ///
    /// # Errors
    /// What `each` answered; otherwise why the request holds no record, in which case `each` was not called.
    fn records(
        &self,
        request: &Request<'_>,
        receipt: &Receipt<'_>,
        each: &mut dyn FnMut(&dyn Encode) -> Result<(), Refusal>,
    ) -> Result<(), Refusal>;

    /// The answer once every record is stored as promised.
    fn success(&self) -> Answer;
}

/// The protocol that a route names.
#[must_use]
pub fn of(protocol: settings::Protocol) -> &'static dyn Protocol {
    match protocol {
        settings::Protocol::Clickstream => &clickstream::Clickstream,
    }
}
