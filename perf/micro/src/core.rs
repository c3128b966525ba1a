//! Bytes to record: head, query, chunks, encoding.

use std::hint::black_box;

use millrun::config::settings::RecordKey;
use millrun::http::{Dechunker, HeadScanner};
use millrun::protocol::clickstream::Clickstream;
use millrun::protocol::query::Parameters;
use millrun::protocol::{Protocol as _, Receipt, Request};
use millrun::record::{Moment, RequestId, RequestIds, Timestamps};

use crate::input;

const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Finds the end of a head and parses it.
#[derive(Debug)]
pub struct Head(String);

impl Head {
    /// Three fields.
    #[must_use]
    pub fn plain() -> Self {
        Self(input::plain_head())
    }

    /// Nineteen fields and a query.
    #[must_use]
    pub fn browser() -> Self {
        Self(input::browser_head())
    }

    /// # Panics
    /// When the head is refused.
    #[must_use]
    pub fn run(&self) -> usize {
        let bytes = black_box(self.0.as_bytes());
        let end =
            HeadScanner::new().advance(bytes, HEAD_BYTES_MAX).expect("a good head").expect("a whole head");
        let head = millrun::http::Head::parse(&bytes[end.start..end.end], HEADERS_MAX).expect("a good head");
        black_box(&head);
        end.end
    }
}

/// Reads a query's parameters.
#[derive(Debug)]
pub struct Query(&'static str);

impl Query {
    /// The web SDK's.
    #[must_use]
    pub fn web() -> Self {
        Self(input::QUERY)
    }

    /// # Panics
    /// When a parameter is not found.
    #[must_use]
    pub fn run(&self) -> usize {
        let parameters = black_box(Parameters::parse(black_box(self.0.as_bytes())));
        parameters.app_id.expect("it is in the query").len_max()
    }
}

/// Takes the framing out of a body in chunks of 4 KiB. The copy of the raw bytes, in whose place the payload comes to
/// stand, is part of it: a `memcpy`.
#[derive(Debug)]
pub struct Chunked {
    raw: Vec<u8>,
    place: Vec<u8>,
}

impl Chunked {
    /// `payload_bytes` of payload.
    #[must_use]
    pub fn new(payload_bytes: usize) -> Self {
        let raw = input::chunked(&input::json(payload_bytes), 4096);
        Self { place: raw.clone(), raw }
    }

    /// # Panics
    /// When the body is refused.
    pub fn run(&mut self) -> usize {
        self.place.copy_from_slice(black_box(&self.raw));
        let progress = Dechunker::new(BODY_BYTES_MAX).advance(&mut self.place).expect("good chunks");
        assert!(progress.done, "all chunks are there");
        black_box(&self.place);
        progress.written
    }
}

/// Makes a record of a browser's request: parses the query and writes 17 keys, the body escaped.
#[derive(Debug)]
pub struct Encode {
    uri: String,
    body: Vec<u8>,
    rid: RequestId,
    moment: Moment,
    arena: Vec<u8>,
}

impl Encode {
    /// With a body of so many bytes.
    #[must_use]
    pub fn new(body_bytes: usize) -> Self {
        Self {
            uri: format!("/collect?{}", input::QUERY),
            body: input::json(body_bytes),
            rid: RequestIds::from_seeds(1, 2).next_id(),
            moment: Timestamps::new().at(1_795_411_980_908_000_000),
            arena: vec![0; 8 * body_bytes + 4096],
        }
    }

    /// The record is written where a batch would have it written, into memory that was written before.
    ///
    /// # Panics
    /// When the request is refused.
    pub fn run(&mut self) -> usize {
        let Self { uri, body, rid, moment, arena } = self;
        let mut written = 0;
        with_record(uri, body, rid, moment, |record| {
            let (key_len, value_len) = record.encode(arena).expect("room for it");
            written = key_len + value_len;
        });
        black_box(&self.arena);
        written
    }
}

/// Hands the one record of a browser's request to `each`.
pub(crate) fn with_record(
    uri: &str,
    body: &[u8],
    rid: &RequestId,
    moment: &Moment,
    mut each: impl FnMut(&dyn millrun::protocol::Encode),
) {
    let (path, query) = uri.split_once('?').expect("a query");
    let request = Request {
        method: b"POST",
        uri: uri.as_bytes(),
        path: path.as_bytes(),
        query: query.as_bytes(),
        user_agent: Some(input::USER_AGENT.as_bytes()),
        forwarded_for: &[b"198.51.100.23"],
        peer: b"10.0.0.7",
        body: black_box(body),
    };
    let receipt = Receipt { rid, moment, key: &RecordKey::None, dev_mode: false, trusted_proxies: 1 };
    let taken = Clickstream.records(&request, &receipt, &mut |record| {
        each(record);
        Ok(())
    });
    assert!(taken.is_ok(), "refused: {taken:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_what_it_says() {
        assert_eq!(Head::plain().run(), input::plain_head().len());
        assert_eq!(Head::browser().run(), input::browser_head().len());
        assert_eq!(Query::web().run(), "shopping_app_0001".len());
        assert_eq!((Chunked::new(32 * 1024).run(), Chunked::new(10).run()), (32 * 1024, 10));
        for body_bytes in [1024, 32 * 1024] {
            let mut encode = Encode::new(body_bytes);
            let quotes = encode.body.split(|byte| *byte == b'"').count() - 1;
            assert!((body_bytes / 9..body_bytes / 6).contains(&quotes), "{quotes} quotes");
            let len = encode.run();
            let record = std::str::from_utf8(&encode.arena[..len]).unwrap();
            assert!(
                record.starts_with("{\"appId\":\"shopping_app_0001\"") && record.ends_with('}'),
                "{record}"
            );
            assert!(len > body_bytes + quotes);
        }
    }
}
