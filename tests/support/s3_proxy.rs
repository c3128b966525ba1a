//! What the test server does not do and the real service does: refuse, fail after the fact, cut connections, stall,
//! and answer 200 with an error inside.
//!
//! ```text
//!   sink ──▶ proxy ── what passes ──▶ S3Server
//!     ◀── its answer, another one, or none
//! ```

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::s3::api;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error answer; nothing is done.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code, such as `SlowDown`.
        code: &'static str,
    },
    /// It is done, and answered with an error.
    DoneThenError {
        /// HTTP status.
        status: u16,
        /// Error code, such as `InternalError`.
        code: &'static str,
    },
    /// Nothing is done, and the answer is 200 with an error in its body, as S3 answers when it has begun to answer.
    ErrorInside,
    /// It is done, and the connection is cut before the answer.
    DoneUnanswered,
    /// The connection is reset in the middle of the request's body; nothing is done.
    ResetInBody,
    /// No answer for so long, and nothing is done.
    Stall(Duration),
}

/// A trouble for calls of one operation, or of all.
#[derive(Clone, Debug)]
struct Rule {
    operation: Option<&'static str>,
    trouble: Trouble,
    times: usize,
}

/// One call that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its operation, such as `PutObject`.
    pub operation: &'static str,
    /// The object's key, with its escapes.
    pub key: String,
    /// Status of the answer; none where there was none.
    pub status: Option<u16>,
}

/// A proxy in front of one server. Dropped, it takes no more connections.
#[derive(Debug)]
pub struct S3Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<Call>>,
    is_down: AtomicBool,
    ended: AtomicBool,
}

impl S3Proxy {
    /// A proxy for the server at `server`, without troubles.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            rules: Mutex::default(),
            calls: Mutex::default(),
            is_down: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                if serving.is_down.load(Ordering::Relaxed) {
                    reset(&stream);
                    continue;
                }
                let serving = Arc::clone(&serving);
                // A connection that breaks is the client's affair.
                thread::spawn(move || serving.connection(&stream));
            }
        });
        Self { address, shared }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` calls of `operation` (none: of any) have this trouble. Rules count in the order of their making.
    pub fn trouble(&self, operation: Option<&'static str>, trouble: Trouble, times: usize) {
        lock(&self.shared.rules).push(Rule { operation, trouble, times });
    }

    /// No more troubles.
    pub fn clear(&self) {
        lock(&self.shared.rules).clear();
        self.set_down(false);
    }

    /// Whether it resets every connection.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::Relaxed);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// Calls so far, by operation.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for call in lock(&self.shared.calls).iter() {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Lets the listener's thread see it.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes with a reset: what was not read or sent is thrown away.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a small structure");
    let fd = std::os::fd::AsRawFd::as_raw_fd(stream);
    // SAFETY: `linger` outlives the call and `size` is its size; the descriptor is open.
    let _ =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size) };
}

struct Request {
    head: String,
    operation: &'static str,
    key: String,
    length: usize,
}

impl Shared {
    /// One call; its answer ends the connection.
    fn connection(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let request = read_head(&mut reader)?;
        let trouble = self.trouble_of(request.operation);
        if trouble == Some(Trouble::ResetInBody) {
            let mut half = vec![0; request.length / 2];
            reader.read_exact(&mut half).ok()?;
            self.book(&request, None);
            reset(stream);
            return None;
        }
        let mut body = vec![0; request.length];
        reader.read_exact(&mut body).ok()?;
        let answer = match trouble {
            None => self.forward(&request, &body),
            Some(Trouble::Error { status, code }) => Some(error(status, code)),
            Some(Trouble::DoneThenError { status, code }) => {
                self.forward(&request, &body)?;
                Some(error(status, code))
            }
            Some(Trouble::ErrorInside) => Some(error(200, "InternalError")),
            Some(Trouble::DoneUnanswered) => {
                self.forward(&request, &body)?;
                None
            }
            Some(Trouble::Stall(time)) => {
                self.book(&request, None);
                self.stall(time);
                return None;
            }
            Some(Trouble::ResetInBody) => unreachable!("it was cut above"),
        };
        let status = answer.as_ref().and_then(|answer| api::parse(answer)).map(|reply| reply.status);
        self.book(&request, status);
        let mut out = stream;
        out.write_all(&answer?).ok()?;
        stream.shutdown(Shutdown::Write).ok()
    }

    fn stall(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.ended.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn book(&self, request: &Request, status: Option<u16>) {
        lock(&self.calls).push(Call { operation: request.operation, key: request.key.clone(), status });
    }

    fn trouble_of(&self, operation: &str) -> Option<Trouble> {
        let mut rules = lock(&self.rules);
        let place = rules.iter().position(|rule| rule.operation.is_none_or(|found| found == operation))?;
        let trouble = rules[place].trouble.clone();
        if rules[place].times != usize::MAX {
            rules[place].times -= 1;
        }
        if rules[place].times == 0 {
            rules.remove(place);
        }
        Some(trouble)
    }

    /// The server's answer, as it comes.
    fn forward(&self, request: &Request, body: &[u8]) -> Option<Vec<u8>> {
        let mut server = TcpStream::connect(self.server).ok()?;
        server.write_all(request.head.as_bytes()).ok()?;
        server.write_all(body).ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    }
}

fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message>\
         <RequestId>1</RequestId></Error>"
    );
    let more = if status == 301 { "x-amz-bucket-region: eu-west-1\r\n" } else { "" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\n{more}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The head of the next request, made to end its connection; `None` at the connection's end.
fn read_head(reader: &mut impl BufRead) -> Option<Request> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut parts = first.split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (mut head, mut length) = (first.clone(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => panic!("the sink says how long its bodies are: {line}"),
            "connection" => continue,
            _ => {}
        }
        head.push_str(&line);
    }
    head.push_str("Connection: close\r\n\r\n");
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key).to_owned();
    let operation = operation(&method, query, key.is_empty());
    Some(Request { head, operation, key, length })
}

fn operation(method: &str, query: &str, of_bucket: bool) -> &'static str {
    let has = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    match method {
        "HEAD" if of_bucket => "HeadBucket",
        "HEAD" => "HeadObject",
        "PUT" if has("partNumber") => "UploadPart",
        "PUT" => "PutObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        _ => "other",
    }
}
