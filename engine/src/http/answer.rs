//! Answers as bytes: everything that can be rendered before a request comes has been.
//!
//! Nothing here allocates when the buffer has room; [`crate::limits::ANSWER_BYTES`] is room for any answer whose
//! origin is not absurdly long.

use std::sync::LazyLock;

use super::Refusal;
use super::cors::Grant;

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Length of an IMF-fixdate (RFC 9110 section 5.6.7).
pub const DATE_LEN: usize = 29;

/// What an answer says, without what the connection adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Status and body of a success. A 204 has neither body nor length.
    Success {
        /// 200 or 204.
        status: u16,
        /// `Content-Type`; none on a 204.
        content_type: Option<&'a str>,
        /// The body.
        body: &'a [u8],
    },
    /// 308 to `https://`, host and target (RFC 9110 section 15.4.9): method and body stay what they are.
    ToHttps {
        /// Without a port: that of the other scheme is another.
        host: &'a [u8],
        /// In origin form.
        uri: &'a [u8],
    },
    /// A row of the table of refusals.
    Refusal {
        /// Which.
        refusal: Refusal,
        /// `Retry-After` in seconds.
        retry_after_s: Option<u32>,
    },
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status, body and what belongs to them.
    pub content: Content<'a>,
    /// The `Date` field.
    pub date: &'a [u8; DATE_LEN],
    /// `X-Request-ID`: the id under which the event is, or would have been, recorded.
    pub request_id: Option<&'a [u8]>,
    /// What CORS grants to this request; `None` where its origin is not known.
    pub cors: Option<Grant<'a>>,
    /// The connection ends behind this answer.
    pub close: bool,
    /// The request was HTTP/1.0: going on has to be said.
    pub http_1_0: bool,
    /// The request was HEAD: the length is told, the body is not sent.
    pub head_only: bool,
}

/// A refusal, rendered: its head up to the date, and its body.
type Rendered = (Box<[u8]>, Box<[u8]>);

/// Every refusal, by number.
static REFUSALS: LazyLock<Vec<Rendered>> = LazyLock::new(|| {
    let render = |refusal: &Refusal| {
        let row = refusal.row();
        let body = format!("{{\"error\":\"{}\",\"message\":\"{}\"}}", row.name, row.message);
        let allow = if *refusal == Refusal::MethodNotAllowed { "Allow: POST, GET, OPTIONS\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {} {}\r\nServer: millrun\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{allow}Date: ",
            row.status,
            reason_phrase(row.status),
            body.len(),
        );
        (head.into_bytes().into_boxed_slice(), body.into_bytes().into_boxed_slice())
    };
    Refusal::ALL.iter().map(render).collect()
});

impl Answer<'_> {
    /// A success without a body on a connection that goes on without a word.
    fn is_stored(&self) -> bool {
        const STORED: Content<'_> =
            Content::Success { status: 200, content_type: Some("text/plain"), body: b"" };
        !self.close && !self.http_1_0 && !self.head_only && self.content == STORED
    }

    /// Appends the answer to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.is_stored() && stored(out, self.date, self.request_id) {
            if let Some(cors) = &self.cors {
                cors.write(out);
            }
            out.extend_from_slice(b"\r\n");
            return;
        }
        let (body, retry_after_s) = match self.content {
            Content::Refusal { refusal, retry_after_s } => {
                let (head, body) = &REFUSALS[refusal as usize];
                out.extend_from_slice(head);
                (&**body, retry_after_s)
            }
            Content::ToHttps { host, uri } => {
                out.extend_from_slice(
                    b"HTTP/1.1 308 Permanent Redirect\r\nServer: millrun\r\nContent-Length: 0\r\nLocation: https://",
                );
                out.extend_from_slice(host);
                out.extend_from_slice(uri);
                out.extend_from_slice(b"\r\nDate: ");
                (&b""[..], None)
            }
            Content::Success { status, content_type, body } => {
                success_head(out, status, content_type, body.len());
                (body, None)
            }
        };
        out.extend_from_slice(self.date);
        if let Some(seconds) = retry_after_s {
            out.extend_from_slice(b"\r\nRetry-After: ");
            out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        }
        if let Some(request_id) = self.request_id {
            out.extend_from_slice(b"\r\nX-Request-ID: ");
            out.extend_from_slice(request_id);
        }
        if self.close {
            out.extend_from_slice(b"\r\nConnection: close");
        } else if self.http_1_0 {
            out.extend_from_slice(b"\r\nConnection: keep-alive");
        }
        out.extend_from_slice(b"\r\n");
        if let Some(cors) = &self.cors {
            cors.write(out);
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only {
            out.extend_from_slice(body);
        }
    }
}

/// The answer that nearly every request gets, with places for its date and its id.
const STORED: &[u8; 164] =
    b"HTTP/1.1 200 OK\r\nServer: millrun\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Request-ID: 00000000000000000000000000000000\r\n";
const STORED_DATE: usize = 85;
const STORED_ID: usize = 130;

/// Writes [`STORED`] up to the fields of CORS in one piece. False, and nothing written, without an id of 32 bytes.
fn stored(out: &mut Vec<u8>, date: &[u8; DATE_LEN], request_id: Option<&[u8]>) -> bool {
    let Some(request_id) = request_id.and_then(<[u8]>::as_array::<32>) else { return false };
    let mut answer = *STORED;
    answer[STORED_DATE..STORED_DATE + DATE_LEN].copy_from_slice(date);
    answer[STORED_ID..STORED_ID + 32].copy_from_slice(request_id);
    out.extend_from_slice(&answer);
    true
}

/// Up to and including `Date: `.
fn success_head(out: &mut Vec<u8>, status: u16, content_type: Option<&str>, len: usize) {
    // The hot answer, and the one to a preflight, in one copy each.
    match (status, content_type, len) {
        (200, Some("text/plain"), 0) => {
            out.extend_from_slice(
                b"HTTP/1.1 200 OK\r\nServer: millrun\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nDate: ",
            );
        }
        (204, ..) => out.extend_from_slice(b"HTTP/1.1 204 No Content\r\nServer: millrun\r\nDate: "),
        _ => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
            out.extend_from_slice(b" ");
            out.extend_from_slice(reason_phrase(status).as_bytes());
            out.extend_from_slice(b"\r\nServer: millrun\r\n");
            if let Some(content_type) = content_type {
                out.extend_from_slice(b"Content-Type: ");
                out.extend_from_slice(content_type.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
            out.extend_from_slice(b"\r\nDate: ");
        }
    }
}

const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AllowedOrigin, Cors};
    use crate::http::cors::CorsPolicy;
    use std::time::Duration;

    const DATE: &[u8; DATE_LEN] = b"Thu, 18 Jan 2024 07:33:09 GMT";
    const STORED: Content<'_> = Content::Success { status: 200, content_type: Some("text/plain"), body: b"" };

    fn answer(content: Content<'_>) -> Answer<'_> {
        Answer {
            content,
            date: DATE,
            request_id: None,
            cors: None,
            close: false,
            http_1_0: false,
            head_only: false,
        }
    }

    fn text(answer: Answer<'_>) -> String {
        let mut out = vec![];
        answer.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_answer_in_one_piece_is_the_answer_in_pieces() {
        let answer = Answer { request_id: Some(b"0123456789abcdef0123456789abcdef"), ..answer(STORED) };
        let (mut piece, mut pieces) = (Vec::new(), Vec::new());
        answer.encode(&mut piece);
        // Closing is said in pieces: apart from that the two are the same.
        Answer { close: true, ..answer }.encode(&mut pieces);
        let pieces = String::from_utf8(pieces).unwrap().replace("Connection: close\r\n", "");
        assert_eq!(String::from_utf8(piece).unwrap(), pieces);
    }

    #[test]
    fn stored() {
        let answer = Answer { request_id: Some(b"0123"), ..answer(STORED) };
        assert_eq!(
            text(answer),
            "HTTP/1.1 200 OK\r\nServer: millrun\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\
             Date: Thu, 18 Jan 2024 07:33:09 GMT\r\nX-Request-ID: 0123\r\n\r\n"
        );
    }

    #[test]
    fn no_content_has_no_length() {
        let answer = answer(Content::Success { status: 204, content_type: None, body: b"" });
        assert!(!text(answer).contains("Content-Length"));
    }

    #[test]
    fn a_head_request_is_told_the_length_and_gets_no_body() {
        let content =
            Content::Success { status: 200, content_type: Some("application/json"), body: b"{\"ok\":true}" };
        let whole = text(answer(content));
        assert!(whole.ends_with("\r\n\r\n{\"ok\":true}") && whole.contains("Content-Length: 11\r\n"));
        let head = text(Answer { head_only: true, ..answer(content) });
        assert_eq!(whole, format!("{head}{{\"ok\":true}}"));
    }

    #[test]
    fn every_refusal_is_json_with_its_own_length() {
        for refusal in Refusal::ALL {
            let text =
                text(Answer { close: true, ..answer(Content::Refusal { refusal, retry_after_s: Some(7) }) });
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())) && !head.contains("Unknown"),
                "{head}"
            );
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(head.contains("Retry-After: 7\r\n") && head.ends_with("Connection: close"));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"], refusal.name());
            assert_eq!(head.contains("Allow:"), refusal.status() == 405);
        }
    }

    #[test]
    fn the_longest_answer_fits_its_buffer() {
        let origin = format!("https://{}.example.com", "a".repeat(230));
        let policy =
            CorsPolicy::new(&Cors { origins: vec![AllowedOrigin::Any], max_age: Duration::from_hours(2) });
        for refusal in Refusal::ALL {
            let answer = Answer {
                request_id: Some(&[b'0'; 32]),
                close: true,
                cors: Some(policy.grant(Some(origin.as_bytes()), true)),
                ..answer(Content::Refusal { refusal, retry_after_s: Some(u32::MAX) })
            };
            assert!(text(answer).len() <= crate::limits::ANSWER_BYTES, "{refusal:?}");
        }
    }
}
