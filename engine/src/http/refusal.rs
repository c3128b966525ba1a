//! Every answer that is not a success, in one table: status, stable name, text, whether a retry can help and
//! whether the connection survives. The document `docs/errors.md` is checked against this table by a test.

/// A request that is not answered with success.
///
/// Everything a client reads is static: a refusal costs no allocation, however many a second there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the table below is the documentation of each")]
pub enum Refusal {
    BadRequestLine,
    BadTarget,
    BadHeader,
    BadLineEnding,
    UnsupportedVersion,
    UriTooLong,
    HeadTooLarge,
    TooManyHeaders,
    MissingHost,
    DuplicateHost,
    BadHost,
    LengthAndTransferEncoding,
    BadContentLength,
    BadTransferEncoding,
    UnsupportedTransferEncoding,
    BadChunk,
    BadTrailer,
    ExpectationFailed,
    HeadTimeout,
    BodyTimeout,
    BodyTooSlow,
    BodyTooLarge,
    DecodedTooLarge,
    RecordTooLarge,
    UnsupportedEncoding,
    BadEncoding,
    NotFound,
    AppNotAllowed,
    MethodNotAllowed,
    EmptyEvent,
    TooManyConnections,
    BodyMemoryFull,
    Overloaded,
    SinkUnavailable,
    RecordRejected,
    DeliveryFailed,
    DeliveryUnknown,
    Draining,
    Internal,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Status code (RFC 9110 section 15).
    pub status: u16,
    /// Stable name: the `error` member of the answer and a label value in the metrics.
    pub name: &'static str,
    /// For a person: what is wrong and what would be right.
    pub message: &'static str,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// Whether the connection is closed behind the answer: where the two sides may disagree on where the request ends.
    pub closes: bool,
}

const fn row(status: u16, name: &'static str, closes: bool, retryable: bool, message: &'static str) -> Row {
    Row { status, name, message, retryable, closes }
}

const CLOSES: bool = true;
const KEEPS: bool = false;
const RETRY: bool = true;
const FINAL: bool = false;

impl Refusal {
    /// Every refusal, in the order of its number: `ALL[refusal as usize] == refusal`.
    pub const ALL: [Self; 39] = [
        Self::BadRequestLine,
        Self::BadTarget,
        Self::BadHeader,
        Self::BadLineEnding,
        Self::UnsupportedVersion,
        Self::UriTooLong,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::MissingHost,
        Self::DuplicateHost,
        Self::BadHost,
        Self::LengthAndTransferEncoding,
        Self::BadContentLength,
        Self::BadTransferEncoding,
        Self::UnsupportedTransferEncoding,
        Self::BadChunk,
        Self::BadTrailer,
        Self::ExpectationFailed,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::BodyTooSlow,
        Self::BodyTooLarge,
        Self::DecodedTooLarge,
        Self::RecordTooLarge,
        Self::UnsupportedEncoding,
        Self::BadEncoding,
        Self::NotFound,
        Self::AppNotAllowed,
        Self::MethodNotAllowed,
        Self::EmptyEvent,
        Self::TooManyConnections,
        Self::BodyMemoryFull,
        Self::Overloaded,
        Self::SinkUnavailable,
        Self::RecordRejected,
        Self::DeliveryFailed,
        Self::DeliveryUnknown,
        Self::Draining,
        Self::Internal,
    ];

    /// The row of the table.
    #[must_use]
    #[rustfmt::skip]
    pub const fn row(self) -> Row {
        match self {
            Self::BadRequestLine => row(400, "bad_request_line", CLOSES, FINAL, "the request line is not METHOD TARGET HTTP/1.x"),
            Self::BadTarget => row(400, "bad_target", CLOSES, FINAL, "the request target is neither a path nor an http URL"),
            Self::BadHeader => row(400, "bad_header", CLOSES, FINAL, "a header field is malformed: folded, with a space before its colon, or with a control character"),
            Self::BadLineEnding => row(400, "bad_line_ending", CLOSES, FINAL, "a line of the head does not end in CR LF"),
            Self::UnsupportedVersion => row(505, "unsupported_version", CLOSES, FINAL, "only HTTP/1.0 and HTTP/1.1 are served"),
            Self::UriTooLong => row(414, "uri_too_long", CLOSES, FINAL, "the request line is longer than limits.head_bytes_max"),
            Self::HeadTooLarge => row(431, "head_too_large", CLOSES, FINAL, "the head is larger than limits.head_bytes_max"),
            Self::TooManyHeaders => row(431, "too_many_headers", CLOSES, FINAL, "there are more header fields than limits.headers_max"),
            Self::MissingHost => row(400, "missing_host", CLOSES, FINAL, "HTTP/1.1 needs a Host header"),
            Self::DuplicateHost => row(400, "duplicate_host", CLOSES, FINAL, "there is more than one Host header"),
            Self::BadHost => row(400, "bad_host", CLOSES, FINAL, "the Host header is not a host with an optional port"),
            Self::LengthAndTransferEncoding => row(400, "length_and_transfer_encoding", CLOSES, FINAL, "Content-Length and Transfer-Encoding exclude each other"),
            Self::BadContentLength => row(400, "bad_content_length", CLOSES, FINAL, "Content-Length is not one decimal number"),
            Self::BadTransferEncoding => row(400, "bad_transfer_encoding", CLOSES, FINAL, "Transfer-Encoding must be exactly chunked, in HTTP/1.1"),
            Self::UnsupportedTransferEncoding => row(501, "unsupported_transfer_encoding", CLOSES, FINAL, "the only transfer coding served is chunked"),
            Self::BadChunk => row(400, "bad_chunk", CLOSES, FINAL, "a chunk's size, extension or end is malformed"),
            Self::BadTrailer => row(400, "bad_trailer", CLOSES, FINAL, "a trailer field is malformed, too long, or not allowed in trailers"),
            Self::ExpectationFailed => row(417, "expectation_failed", CLOSES, FINAL, "the only expectation served is 100-continue"),
            Self::HeadTimeout => row(408, "head_timeout", CLOSES, RETRY, "the head did not arrive within limits.head_timeout_ms"),
            Self::BodyTimeout => row(408, "body_timeout", CLOSES, RETRY, "the body did not arrive within limits.body_timeout_ms"),
            Self::BodyTooSlow => row(408, "body_too_slow", CLOSES, RETRY, "the body arrived slower than limits.body_rate_min"),
            Self::BodyTooLarge => row(413, "body_too_large", CLOSES, FINAL, "the body is larger than limits.body_bytes_max"),
            Self::DecodedTooLarge => row(413, "decoded_too_large", CLOSES, FINAL, "the decoded body is larger than limits.body_decoded_bytes_max"),
            Self::RecordTooLarge => row(413, "record_too_large", KEEPS, FINAL, "the record is larger than its sink takes: send fewer events a request, or compress them"),
            Self::UnsupportedEncoding => row(415, "unsupported_encoding", KEEPS, FINAL, "Content-Encoding is none of identity, gzip, deflate, zstd, snappy"),
            Self::BadEncoding => row(400, "bad_encoding", KEEPS, FINAL, "the body is not what its Content-Encoding says"),
            Self::NotFound => row(404, "not_found", KEEPS, FINAL, "no route has this path"),
            Self::AppNotAllowed => row(403, "app_not_allowed", KEEPS, FINAL, "the query's appId is none of the route's app_ids"),
            Self::MethodNotAllowed => row(405, "method_not_allowed", KEEPS, FINAL, "this path does not serve this method"),
            Self::EmptyEvent => row(400, "empty_event", KEEPS, FINAL, "an event is a body, or a GET with a query"),
            Self::TooManyConnections => row(503, "too_many_connections", CLOSES, RETRY, "limits.connections_max is reached"),
            Self::BodyMemoryFull => row(503, "body_memory_full", CLOSES, RETRY, "limits.body_memory_bytes is in use"),
            Self::Overloaded => row(503, "overloaded", KEEPS, RETRY, "no batch is free: the sink takes less than arrives"),
            Self::SinkUnavailable => row(503, "sink_unavailable", KEEPS, RETRY, "the sink is down; nothing was stored"),
            Self::RecordRejected => row(400, "record_rejected", KEEPS, FINAL, "the sink does not take this event, now or later"),
            Self::DeliveryFailed => row(503, "delivery_failed", KEEPS, RETRY, "the sink did not store the event"),
            Self::DeliveryUnknown => row(503, "delivery_unknown", KEEPS, RETRY, "the sink did not confirm in time; the event may be stored"),
            Self::Draining => row(503, "draining", CLOSES, RETRY, "this server is shutting down"),
            Self::Internal => row(500, "internal", CLOSES, RETRY, "a defect in the server; its log has the reason"),
        }
    }

    /// Status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let mut names = Vec::new();
        for (number, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*refusal as usize, number);
            let row = refusal.row();
            assert!((400..600).contains(&row.status), "{row:?}");
            assert!(!row.message.contains(['"', '\\']), "the text goes into JSON as it is: {row:?}");
            assert_eq!(
                row.retryable,
                matches!(row.status, 408 | 500 | 503),
                "SDKs decide by status: {row:?}"
            );
            names.push(row.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len(), "names differ");
    }

    #[test]
    fn the_document_has_every_row_and_no_other() {
        let document = include_str!("../../../docs/errors.md");
        let mut documented: Vec<_> = document.lines().filter(|line| line.starts_with("| `")).collect();
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        for refusal in Refusal::ALL {
            let Row { status, name, message, retryable, closes } = refusal.row();
            let line = format!("| `{name}` | {status} | {} | {} | {message} |", yes(retryable), yes(closes));
            assert!(documented.contains(&&*line), "docs/errors.md lacks: {line}");
            documented.retain(|documented| *documented != line);
        }
        assert!(documented.is_empty(), "docs/errors.md has rows of no error: {documented:?}");
    }
}
