//! Requests that were recorded, sent again in order and from the beginning when they are through.
//!
//! One JSON object a line: `{"method":"POST","path":"/collect?appId=x","headers":{"User-Agent":"…"},"body":"…"}`, or
//! `"body_base64"` for bytes that are no text. Only the method and path are required; the path's query is kept, the path
//! itself is the target's. Each request gets its id as a further query parameter, `rid`, so that it can be found in the sink.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Workload, WorkloadError};
use crate::request::{RequestId, Shape, Stored, digest};
use crate::target::Target;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
}

/// A recorded request, but for its id.
struct Recorded {
    /// Method and target up to the id.
    start: Vec<u8>,
    /// The target's place in `start`.
    target_at: usize,
    /// From behind the id to the end of the body.
    rest: Vec<u8>,
    /// What is stored of it: the body's digest; none for a request without one.
    body: Option<u64>,
    /// Nothing is stored of it.
    nothing: bool,
}

pub(super) struct Replay {
    kinds: Vec<String>,
    requests: Vec<Recorded>,
    next: usize,
    target: Vec<u8>,
}

impl Replay {
    /// Reads `text`; the seed and the worker say where in it this worker begins.
    pub(super) fn new(
        file: &str,
        text: &str,
        target: &Target,
        seed: u64,
        worker: u8,
    ) -> Result<Self, WorkloadError> {
        let mut requests = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |problem: String| WorkloadError::Form {
                file: file.to_owned(),
                problem: format!("line {number}: {problem}"),
            };
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            requests.push(Recorded::new(line, target).map_err(wrong)?);
        }
        if requests.is_empty() {
            let problem = "holds no request; one JSON object a line is expected".to_owned();
            return Err(WorkloadError::Form { file: file.to_owned(), problem });
        }
        let begin = seed.wrapping_sub(1).wrapping_add(u64::from(worker) * 7919);
        let next = usize::try_from(begin % requests.len() as u64).unwrap_or(0);
        Ok(Self { kinds: vec!["replay".into()], requests, next, target: Vec::new() })
    }
}

impl Workload for Replay {
    fn kinds(&self) -> &[String] {
        &self.kinds
    }

    fn next(&mut self, id: RequestId, wire: &mut Vec<u8>) -> Shape {
        let request = &self.requests[self.next];
        self.next = (self.next + 1) % self.requests.len();
        wire.extend_from_slice(&request.start);
        wire.extend_from_slice(&id.text());
        wire.extend_from_slice(&request.rest);
        self.target.clear();
        self.target.extend_from_slice(&request.start[request.target_at..]);
        self.target.extend_from_slice(&id.text());
        let stored = match request.body {
            _ if request.nothing => Stored::Nothing,
            Some(body) => Stored::Body(body),
            None => Stored::Target(digest(&self.target)),
        };
        Shape { kind: 0, events: u32::from(!request.nothing), stored }
    }
}

impl Recorded {
    fn new(line: Line, target: &Target) -> Result<Self, String> {
        let Line { method, path, headers, body, body_base64 } = line;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("method {method:?}: capital letters are expected, as in POST"));
        }
        let query = path.split_once('?').map(|(_, query)| query);
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(format!("path {path:?}: must begin with / and be printable ASCII"));
        }
        let body = match (body, body_base64) {
            (Some(_), Some(_)) => return Err("body and body_base64: give one of them".into()),
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|error| format!("body_base64: {error}"))?,
            (None, None) => Vec::new(),
        };
        let coding = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"))
            .map(|(_, value)| value.as_str());
        let plain = decoded(coding, &body)?;
        let start = match query {
            Some(query) if !query.is_empty() => format!("{method} {}?{query}&rid=", target.path),
            _ => format!("{method} {}?rid=", target.path),
        };
        let mut rest = format!(" HTTP/1.1\r\nHost: {}\r\n", target.host).into_bytes();
        for (name, value) in headers.iter().filter(|(name, _)| !is_own(name)) {
            if !value.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
                return Err(format!("header {name}: the value is not printable ASCII"));
            }
            rest.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() || method == "POST" {
            // Writing into a Vec can't fail.
            let _infallible = write!(rest, "Content-Length: {}\r\n", body.len());
        }
        rest.extend_from_slice(b"\r\n");
        rest.extend_from_slice(&body);
        let has_body = !body.is_empty();
        Ok(Self {
            target_at: method.len() + 1,
            start: start.into_bytes(),
            rest,
            body: has_body.then(|| digest(&plain)),
            nothing: method == "OPTIONS" || method == "HEAD",
        })
    }
}

/// What a server that undoes the content encoding stores.
fn decoded(coding: Option<&str>, body: &[u8]) -> Result<Vec<u8>, String> {
    match coding {
        None | Some("identity") => Ok(body.to_vec()),
        Some("gzip") => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(body);
            std::io::Read::read_to_end(&mut decoder, &mut plain)
                .map_err(|error| format!("body: is not gzip, as its Content-Encoding says: {error}"))?;
            Ok(plain)
        }
        Some(other) => {
            Err(format!("Content-Encoding {other:?}: only gzip can be replayed; record it decoded"))
        }
    }
}

/// Fields that are written anew, or that belong to the connection it was recorded on.
fn is_own(name: &str) -> bool {
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
    ]
    .iter()
    .any(|own| name.eq_ignore_ascii_case(own))
}
