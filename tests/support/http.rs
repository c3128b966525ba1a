//! A strict HTTP/1.1 client on a plain socket: sends whatever bytes a test wants, in whatever pieces, and takes
//! nothing for granted in what comes back (RFC 9112 and RFC 9110).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::request::Request;

/// How long a client waits for the next byte before it calls the server stuck.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, checked for form.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Field names as they were sent, and values.
    pub headers: Vec<(String, String)>,
    /// The body, of exactly Content-Length bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a field; panics where it was sent more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "`{name}` twice in {self:?}");
        value
    }

    /// Whether a field holds a comma-separated list with this token.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.header(name)
            .is_some_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    }

    /// Whether the server says that it closes the connection.
    pub fn announces_close(&self) -> bool {
        self.lists("Connection", "close")
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// The `error` member of a refusal, whose form is checked: `{"error":"…","message":"…"}` as JSON.
    pub fn error(&self) -> String {
        assert!(self.status >= 400, "no refusal: {self:?}");
        assert_eq!(self.header("Content-Type"), Some("application/json"), "{self:?}");
        let body: serde_json::Value =
            serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let members = body.as_object().unwrap_or_else(|| panic!("no object: {self:?}"));
        let names: Vec<_> = members.keys().map(String::as_str).collect();
        assert_eq!(names, ["error", "message"], "{self:?}");
        assert!(members["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        members["error"].as_str().unwrap_or_else(|| panic!("no name: {self:?}")).to_owned()
    }
}

/// Why no answer was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// The server closed the connection in an orderly way, before the first byte of an answer.
    Closed,
    /// The connection was reset before the first byte of an answer.
    Reset,
    /// The connection ended inside an answer, in whatever way. The worst that a client can see.
    Cut(String),
    /// Nothing came for the whole timeout.
    TimedOut,
    /// What came is not a well-formed answer.
    Malformed(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Orderly, with nothing more sent.
    Closed,
    /// By a reset: what the server sent last may be lost on the way.
    Reset,
    /// Not at all: the server sent these bytes.
    Sent(String),
    /// Not at all within the timeout.
    StillOpen,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Received and not yet taken.
    received: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("connecting to {address}: {error}"))
    }

    /// Connects, or says why not.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Waits at most this long for the next byte.
    pub fn set_timeout(&self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).expect("a timeout above zero");
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("sending {} bytes: {error}", bytes.len()));
    }

    /// Sends all of it, or says why not: a server that has refused a request may have closed already.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends it in pieces of `piece` bytes, each in a packet of its own.
    pub fn send_in_pieces(&mut self, bytes: &[u8], piece: usize) {
        for part in bytes.chunks(piece) {
            self.send(part);
        }
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn finish_sending(&self) {
        // Where the connection is gone already, reading says how it went.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends a request and reads its answer.
    pub fn exchange(&mut self, request: &Request) -> Response {
        self.send(&request.bytes());
        self.read_answer_to(request.method())
    }

    /// Reads one answer to a request that was not HEAD.
    pub fn read_response(&mut self) -> Response {
        self.read_answer_to("GET")
    }

    /// Reads one answer.
    pub fn read_answer_to(&mut self, method: &str) -> Response {
        self.try_read(method).unwrap_or_else(|reason| panic!("no answer to {method}: {reason:?}"))
    }

    /// Reads one answer, or says why there is none.
    pub fn try_read(&mut self, method: &str) -> Result<Response, NoResponse> {
        let head_end = loop {
            if let Some(place) = find(&self.received, b"\r\n\r\n") {
                break place + 4;
            }
            self.receive()?;
        };
        let head = String::from_utf8(self.received[..head_end].to_vec())
            .map_err(|_| NoResponse::Malformed("a head that is not ASCII".to_owned()))?;
        let (status, headers) = parse_head(&head).map_err(NoResponse::Malformed)?;
        let mut response = Response { status, headers, body: Vec::new() };
        let length = body_length(&response, method).map_err(NoResponse::Malformed)?;
        while self.received.len() < head_end + length {
            self.receive()?;
        }
        response.body = self.received[head_end..head_end + length].to_vec();
        self.received.drain(..head_end + length);
        Ok(response)
    }

    /// Reads until the connection ends, and says how.
    pub fn ending(&mut self) -> Ending {
        if !self.received.is_empty() {
            return Ending::Sent(show(&self.received));
        }
        match self.receive() {
            Ok(()) => Ending::Sent(show(&self.received)),
            Err(NoResponse::Reset) => Ending::Reset,
            Err(NoResponse::TimedOut) => Ending::StillOpen,
            Err(_) => Ending::Closed,
        }
    }

    /// Whether the server has sent nothing and has not closed, looked at once without waiting.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_nonblocking(false).expect("a socket");
        self.received.is_empty() && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn receive(&mut self) -> Result<(), NoResponse> {
        let mut block = [0; 16 * 1024];
        let cut = |end: NoResponse, received: &[u8]| {
            if received.is_empty() { end } else { NoResponse::Cut(show(received)) }
        };
        match self.stream.read(&mut block) {
            Ok(0) => Err(cut(NoResponse::Closed, &self.received)),
            Ok(count) => {
                self.received.extend_from_slice(&block[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(NoResponse::TimedOut),
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(cut(NoResponse::Reset, &self.received)),
            },
        }
    }
}

/// Sends one request on a connection of its own.
pub fn exchange(address: SocketAddr, request: &Request) -> Response {
    Client::connect(address).exchange(request)
}

fn parse_head(head: &str) -> Result<(u16, Vec<(String, String)>), String> {
    let mut lines = head.strip_suffix("\r\n\r\n").expect("found by its end").split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3).zip(rest.get(3..)))
        .filter(|(_, reason)| reason.starts_with(' '))
        .and_then(|(code, _)| code.parse::<u16>().ok())
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| format!("the status line {status_line:?}"))?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("the field {line:?}"))?;
        let value = value.trim_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_field_byte) {
            return Err(format!("the field {line:?}"));
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok((status, headers))
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 section 5.5.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The number of body bytes that follow (RFC 9112 section 6.3), after checking that the fields say so.
fn body_length(response: &Response, method: &str) -> Result<usize, String> {
    if response.status < 200 {
        return Ok(0);
    }
    let date = response.header("Date").ok_or_else(|| format!("no Date: {response:?}"))?;
    if !is_http_date(date) {
        return Err(format!("the date {date:?}"));
    }
    if response.header("Transfer-Encoding").is_some() {
        return Err(format!("Transfer-Encoding where a length is expected: {response:?}"));
    }
    let length = response.header("Content-Length");
    if response.status == 204 {
        // RFC 9110 section 8.6: a server must not send it with 204.
        return length.map_or(Ok(0), |_| Err(format!("Content-Length with 204: {response:?}")));
    }
    if method == "HEAD" {
        // Optional there (RFC 9110 section 9.3.2), and never followed by a body.
        return Ok(0);
    }
    let length = length.ok_or_else(|| format!("no Content-Length: {response:?}"))?;
    length.parse().map_err(|_| format!("Content-Length {length:?}"))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn is_http_date(text: &str) -> bool {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    text.len() == 29
        && text.is_ascii()
        && DAYS.contains(&&text[..3])
        && MONTHS.contains(&&text[8..11])
        && crate::record::fits(&text[3..8], ", 99 ")
        && crate::record::fits(&text[11..], " 9999 99:99:99 GMT")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

#[cfg(test)]
mod tests;
