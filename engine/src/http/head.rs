//! A parsed request head: what the engine needs of it, as places in the buffer that it was parsed from.
//!
//! The grammar is httparse's; what lies above the grammar (which framing, which host, which connection) is decided
//! here, and strictly: a head that two servers could read in two ways is refused.

use std::mem::MaybeUninit;

use super::Refusal;
use super::framing::{self, Framing};
use super::target::Target;

/// Most header fields that `limits.headers_max` may allow.
pub const HEADERS_MAX: usize = 128;

/// A place in the buffer, relative to the first byte of the head. No head is longer than 64 KiB, and what is kept of it
/// ends before its empty line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The place of `part`, which lies in `whole`.
    fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        debug_assert!(start + part.len() <= whole.len().min(usize::from(u16::MAX)));
        #[allow(clippy::cast_possible_truncation, reason = "limits.head_bytes_max is at most 64 KiB")]
        Self { start: start as u16, end: (start + part.len()) as u16 }
    }

    /// The bytes at this place of `buffer`, which begins with the head.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[usize::from(self.start)..usize::from(self.end)]
    }
}

/// The values of a field that may come more than once, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    places: [Span; Self::MAX],
    count: u8,
}

impl Spans {
    /// Most fields of one name.
    pub const MAX: usize = 4;

    fn push(&mut self, place: Span) -> Result<(), Refusal> {
        let free = self.places.get_mut(usize::from(self.count)).ok_or(Refusal::BadHeader)?;
        *free = place;
        self.count += 1;
        Ok(())
    }

    /// The values in `buffer`, which begins with the head.
    pub fn of<'buffer>(&self, buffer: &'buffer [u8]) -> impl Iterator<Item = &'buffer [u8]> + Clone {
        let (places, count) = (self.places, usize::from(self.count));
        (0..count).map(move |index| places[index].of(buffer))
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Request methods that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: answered like GET, without the body.
    Head,
    /// POST
    Post,
    /// OPTIONS: a preflight, never recorded.
    Options,
    /// Any other.
    Other,
}

/// A request head.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing that a client said")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The method, as far as it is told apart.
    pub method: Method,
    /// The method's name.
    pub method_name: Span,
    /// Path and query as they were sent, in origin form.
    pub uri: Span,
    /// The path.
    pub path: Span,
    /// What follows the first `?`; `None` without one.
    pub query: Option<Span>,
    /// HTTP/1.0 and not 1.1.
    pub http_1_0: bool,
    /// How the body's end is found.
    pub framing: Framing,
    /// The client wants the connection to go on.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// `Host`
    pub host: Option<Span>,
    /// `X-Forwarded-Proto: http`: a proxy got the request by plain HTTP.
    pub from_http: bool,
    /// `User-Agent`
    pub user_agent: Option<Span>,
    /// `Origin`
    pub origin: Option<Span>,
    /// `X-Forwarded-For`
    pub forwarded_for: Spans,
    /// `Content-Encoding`
    pub content_encoding: Spans,
}

/// What the fields say about framing and connection, before it is judged as a whole.
#[derive(Default)]
struct Claims<'head> {
    host: Option<&'head [u8]>,
    content_length: Option<&'head [u8]>,
    transfer_encoding: Option<&'head [u8]>,
    close: bool,
    keep_alive: bool,
    expect: Option<&'head [u8]>,
}

impl Head {
    /// Parses `bytes`: exactly one head, as the scanner found it.
    ///
    /// # Errors
    /// The refusal that fits; each of them closes the connection.
    pub fn parse(bytes: &[u8], headers_max: usize) -> Result<Self, Refusal> {
        let mut fields = [MaybeUninit::uninit(); HEADERS_MAX];
        let fields = &mut fields[..headers_max.min(HEADERS_MAX)];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, fields) {
            Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
            Ok(_) => return Err(Refusal::BadHeader),
            Err(error) => return Err(refusal_of(error, bytes)),
        }
        Self::of_request(&request, bytes)
    }

    /// Parses the head that `buffer` begins with, and says how long it is, where one look is enough: the head is there
    /// as a whole, within `head_bytes_max`, and there is nothing to say against it. Most heads are like that, and need
    /// not be scanned first. `None` decides nothing: scan, then parse.
    #[must_use]
    pub fn at_first_sight(buffer: &[u8], headers_max: usize, head_bytes_max: usize) -> Option<(Self, usize)> {
        let mut fields = [MaybeUninit::uninit(); HEADERS_MAX];
        let fields = &mut fields[..headers_max.min(HEADERS_MAX)];
        let mut request = httparse::Request::new(&mut []);
        let Ok(httparse::Status::Complete(len)) = request.parse_with_uninit_headers(buffer, fields) else {
            return None;
        };
        let head = &buffer[..len];
        // httparse skips empty lines in front and takes a lone LF for a line's end. We skip few, and do not.
        let begins = request.method.is_some_and(|method| method.as_ptr() == head.as_ptr());
        let strict = || {
            head.ends_with(b"\r\n\r\n")
                && request.headers.iter().all(|field| {
                    let line = field.name.as_ptr().addr() - head.as_ptr().addr();
                    head.get(line.wrapping_sub(2)) == Some(&b'\r')
                })
        };
        if len > head_bytes_max || !begins || !strict() {
            return None;
        }
        Self::of_request(&request, head).ok().map(|head| (head, len))
    }

    fn of_request(request: &httparse::Request<'_, '_>, bytes: &[u8]) -> Result<Self, Refusal> {
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Err(Refusal::BadRequestLine);
        };
        let mut head = Self::of_request_line(bytes, method, target, version == 0)?;
        let mut claims = Claims::default();
        for field in &*request.headers {
            head.take_field(bytes, field, &mut claims)?;
        }
        head.judge(&claims)?;
        Ok(head)
    }

    fn of_request_line(bytes: &[u8], method: &str, target: &str, http_1_0: bool) -> Result<Self, Refusal> {
        let place = |part: &[u8]| Span::within(bytes, part);
        let kind = match method {
            "POST" => Method::Post,
            "GET" => Method::Get,
            "OPTIONS" => Method::Options,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let target = Target::parse(target.as_bytes(), method)?;
        Ok(Self {
            method: kind,
            method_name: place(method.as_bytes()),
            uri: place(target.uri),
            path: place(target.path),
            query: target.query.map(place),
            http_1_0,
            framing: Framing::Length(0),
            keep_alive: !http_1_0,
            expect_continue: false,
            host: None,
            from_http: false,
            user_agent: None,
            origin: None,
            forwarded_for: Spans::default(),
            content_encoding: Spans::default(),
        })
    }

    /// Sorts one field. The length of its name tells nearly all fields apart that matter.
    fn take_field<'head>(
        &mut self,
        bytes: &[u8],
        field: &httparse::Header<'head>,
        claims: &mut Claims<'head>,
    ) -> Result<(), Refusal> {
        let (name, value) = (field.name.as_bytes(), field.value);
        match name.len() {
            4 if is_name(name, b"host") => {
                once(&mut claims.host, value, Refusal::DuplicateHost)?;
                self.host = Some(Span::within(bytes, value));
            }
            6 if is_name(name, b"expect") => once(&mut claims.expect, value, Refusal::ExpectationFailed)?,
            6 if is_name(name, b"origin") => self.origin = Some(Span::within(bytes, value)),
            10 if is_name(name, b"user-agent") => self.user_agent = Some(Span::within(bytes, value)),
            10 if is_name(name, b"connection") => {
                for option in framing::list(value) {
                    claims.close |= option.eq_ignore_ascii_case(b"close");
                    claims.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is_name(name, b"content-length") => {
                once(&mut claims.content_length, value, Refusal::BadContentLength)?;
            }
            15 if is_name(name, b"x-forwarded-for") => self.forwarded_for.push(Span::within(bytes, value))?,
            16 if is_name(name, b"content-encoding") => {
                self.content_encoding.push(Span::within(bytes, value))?;
            }
            17 if is_name(name, b"transfer-encoding") => {
                once(&mut claims.transfer_encoding, value, Refusal::BadTransferEncoding)?;
            }
            17 if is_name(name, b"x-forwarded-proto") => self.from_http = value.eq_ignore_ascii_case(b"http"),
            _ => {}
        }
        Ok(())
    }

    fn judge(&mut self, claims: &Claims<'_>) -> Result<(), Refusal> {
        match claims.host {
            Some(host) if framing::is_host(host) => {}
            Some(_) => return Err(Refusal::BadHost),
            None if self.http_1_0 => {}
            None => return Err(Refusal::MissingHost),
        }
        self.framing = Framing::of(claims.content_length, claims.transfer_encoding, self.http_1_0)?;
        self.keep_alive = !claims.close && (!self.http_1_0 || claims.keep_alive);
        // An HTTP/1.0 client can't wait for an interim answer (RFC 9110 section 10.1.1).
        if let Some(expect) = claims.expect.filter(|_| !self.http_1_0) {
            if !expect.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::ExpectationFailed);
            }
            self.expect_continue = true;
        }
        Ok(())
    }
}

/// Whether `name`, a token, is `known` in any case. `known` has lower-case letters and dashes only, and four at least,
/// so that it is enough to set the bit that tells the cases apart: no other byte of a token becomes one of these.
#[inline]
fn is_name<const LEN: usize>(name: &[u8], known: &[u8; LEN]) -> bool {
    const CASE: u32 = 0x2020_2020;
    let Some(name) = name.as_array::<LEN>() else { return false };
    let word = |bytes: &[u8; LEN], at: usize| {
        bytes[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes) | CASE)
    };
    // The last word overlaps the one before it.
    let last = LEN.saturating_sub(4);
    (0..last).step_by(4).chain([last]).all(|at| word(name, at) == word(known, at))
}

fn once<'head>(place: &mut Option<&'head [u8]>, value: &'head [u8], twice: Refusal) -> Result<(), Refusal> {
    if place.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

/// httparse says where in the grammar it stopped.
fn refusal_of(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::Version => version_refusal(bytes),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refusal::BadHeader,
        // Behind a version that is one, something other than CR LF: a bare CR.
        httparse::Error::NewLine if has_version(bytes) => Refusal::BadLineEnding,
        httparse::Error::NewLine | httparse::Error::Token | httparse::Error::Status => {
            Refusal::BadRequestLine
        }
    }
}

/// A version that is written like one but is not served is told apart from one that is none.
fn version_refusal(bytes: &[u8]) -> Refusal {
    if has_version(bytes) { Refusal::UnsupportedVersion } else { Refusal::BadRequestLine }
}

/// True when the request line ends in `HTTP/` digit `.` digit.
fn has_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ').skip(2);
    match parts.next().unwrap_or_default() {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
