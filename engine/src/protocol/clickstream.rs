//! The wire contract of Clickstream Analytics on AWS: one request, one record of 17 keys.
//!
//! The body is opaque. What the record says is what the seed system (nginx and Vector) writes, byte by byte, but for
//! these, which its ETL takes as well:
//!
//! | key | here | in the seed system |
//! |---|---|---|
//! | `ingest_time`, `server_ingest_time` | milliseconds | whole seconds times 1000 |
//! | `client_timestamp` | a number where it is one that fits a signed 64-bit integer, as the ETL's schema has it | always a string |
//! | `timestamp` | always 9 digits behind the second | 0, 3, 6 or 9 |
//! | `ip` | see [`super::forwarded`] | `X-Forwarded-For` as the client sent it |
//! | `X_Forwarded_For` | never | left over in dev mode with `fakeIp` |
//!
//! A request without a body is no event, unless it is a `GET` with a query (pixels and third-party trackers).

mod record;

use super::{Answer, Encode, Protocol, Receipt, Request, Wants};
use crate::http::Refusal;
use record::Record;

/// The protocol; it has no state.
#[derive(Clone, Copy, Debug)]
pub struct Clickstream;

impl Protocol for Clickstream {
    fn wants(&self, method: &[u8], _has_query: bool) -> Result<Wants, Refusal> {
        match method {
            // Every SDK posts; pixels and some third-party trackers GET. The seed system recorded any method, which
            // nobody is known to need and which makes records of probes. `OPTIONS` is the connection's own.
            b"POST" | b"GET" => Ok(Wants::Event),
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn records(
        &self,
        request: &Request<'_>,
        receipt: &Receipt<'_>,
        each: &mut dyn FnMut(&dyn Encode) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let event_in_query = request.method == b"GET" && !request.query.is_empty();
        if request.body.is_empty() && !event_in_query {
            return Err(Refusal::EmptyEvent);
        }
        each(&Record::new(request, receipt))
    }

    /// Exactly 200 with an empty body: most SDKs take any other 2xx for a failure.
    fn success(&self) -> Answer {
        Answer { status: 200, content_type: Some("text/plain"), body: b"" }
    }
}

#[cfg(test)]
mod tests;
