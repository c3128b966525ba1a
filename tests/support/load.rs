//! A closed-loop load: a number of keep-alive connections, each posting one event after another, each event with an
//! id of its own, and never twice. A connection that is lost is made again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http::{Client, NoResponse, Response};
use crate::ledger::{Ledger, Outcome, Silence, body_of};
use crate::request::Request;

/// How long a connection waits before it tries a server again that refused it.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// What is sent, and how much of it.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Path and query.
    pub target: String,
    /// Beginning of every id, to tell the loads of one test apart.
    pub prefix: String,
    /// Connections, a thread each.
    pub connections: usize,
    /// The load ends by itself after this many events.
    pub events_max: u64,
    /// How long a client waits for an answer.
    pub timeout: Duration,
    /// How long a connection rests after a refusal, as clients do: without it, a load spends the machine on being
    /// refused, while the server that it waits for wants to start on the same machine.
    pub refused_pause: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            target: "/collect?appId=load&platform=Web".to_owned(),
            prefix: "e".to_owned(),
            connections: 8,
            events_max: 1_000_000,
            timeout: Duration::from_secs(30),
            refused_pause: Duration::ZERO,
        }
    }
}

/// A load that is running.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Ledger>>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    options: LoadOptions,
    stop: AtomicBool,
    next: AtomicU64,
    answered: AtomicU64,
    stored: AtomicU64,
}

impl Load {
    /// Starts it.
    pub fn start(address: SocketAddr, options: LoadOptions) -> Self {
        let connections = options.connections;
        let shared = Arc::new(Shared {
            address,
            options,
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            stored: AtomicU64::new(0),
        });
        let threads = (0..connections)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.work())
            })
            .collect();
        Self { shared, threads }
    }

    /// Answers of any status so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Answers of 200 so far.
    pub fn stored(&self) -> u64 {
        self.shared.stored.load(Ordering::Relaxed)
    }

    /// Lets every connection finish its request, and returns what they learned.
    pub fn stop(self) -> Ledger {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all events are sent, and returns what was learned.
    pub fn finish(mut self) -> Ledger {
        let mut ledger = Ledger::default();
        for thread in self.threads.drain(..) {
            ledger.absorb(thread.join().expect("a connection's thread"));
        }
        ledger
    }
}

/// A test that fails must not leave a load behind that keeps the machine busy.
impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn work(&self) -> Ledger {
        let mut ledger = Ledger::default();
        let mut connection = None;
        while !self.stop.load(Ordering::Relaxed) {
            let Some(client) = connection.take().or_else(|| self.connect(&mut ledger)) else { continue };
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.options.events_max {
                break;
            }
            connection = self.post(client, number, &mut ledger);
        }
        ledger
    }

    /// A connection; without one, no event is counted as sent.
    fn connect(&self, ledger: &mut Ledger) -> Option<Client> {
        let connected = Client::try_connect(self.address);
        if let Ok(client) = &connected {
            client.set_timeout(self.options.timeout);
        } else {
            ledger.refused_connections += 1;
            thread::sleep(RECONNECT_PAUSE);
        }
        connected.ok()
    }

    /// Posts one event; returns the connection if it can be used again.
    fn post(&self, mut client: Client, number: u64, ledger: &mut Ledger) -> Option<Client> {
        let id = format!("{}-{number}", self.options.prefix);
        let request = Request::post(&self.options.target, body_of(&id));
        let sent = client.try_send(&request.bytes());
        // A server that refuses may answer and close before it has read everything: look for its answer first.
        let (outcome, reusable) = match client.try_read("POST") {
            Ok(response) => self.note(&response, ledger),
            Err(reason) => (Outcome::Unanswered(silence(reason, &sent)), false),
        };
        if matches!(outcome, Outcome::Answered { status: 400.., .. }) {
            thread::sleep(self.options.refused_pause);
        }
        ledger.entries.insert(id, outcome);
        reusable.then_some(client)
    }

    fn note(&self, response: &Response, ledger: &mut Ledger) -> (Outcome, bool) {
        let closes = response.announces_close();
        ledger.closes_announced += u64::from(closes);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.stored.fetch_add(u64::from(response.status == 200), Ordering::Relaxed);
        let retry_after = response.header("Retry-After").is_some();
        (Outcome::Answered { status: response.status, retry_after }, !closes)
    }
}

fn silence(reason: NoResponse, sent: &io::Result<()>) -> Silence {
    match reason {
        NoResponse::Closed if sent.is_ok() => Silence::Closed,
        NoResponse::Closed | NoResponse::Reset => Silence::Reset,
        NoResponse::Cut(received) => Silence::Cut(received),
        NoResponse::TimedOut => Silence::TimedOut,
        NoResponse::Malformed(what) => Silence::Malformed(what),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";

    /// A server that answers each connection's requests with these texts in turn, then closes it.
    fn scripted(connections: Vec<Vec<&'static str>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answers in connections {
                let (mut stream, _) = listener.accept().unwrap();
                for answer in answers {
                    let mut block = [0; 16 * 1024];
                    let mut request = Vec::new();
                    while !request.ends_with(b"]") {
                        let count = stream.read(&mut block).unwrap();
                        request.extend_from_slice(&block[..count]);
                    }
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn every_event_is_in_the_ledger_once_with_what_it_was_answered() {
        let refused = "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let address = scripted(vec![vec![OK, OK, refused], vec![OK, "HTTP/1.1 200"], vec![OK]]);
        let options = LoadOptions { connections: 1, events_max: 6, ..LoadOptions::default() };
        let ledger = Load::start(address, options).finish();
        assert_eq!(ledger.entries.len(), 6);
        assert_eq!(ledger.stored(), 4);
        assert_eq!(ledger.entries["e-2"], Outcome::Answered { status: 503, retry_after: true });
        assert_eq!(ledger.entries["e-4"], Outcome::Unanswered(Silence::Cut("HTTP/1.1 200".to_owned())));
        assert_eq!((ledger.closes_announced, ledger.cut().len()), (1, 1));
    }

    #[test]
    fn a_refused_connection_sends_nothing() {
        let port = crate::port::ReservedPort::take();
        let load = Load::start(port.address, LoadOptions { connections: 1, ..LoadOptions::default() });
        let ledger = load.stop();
        assert!(ledger.entries.is_empty(), "{}", ledger.summary());
    }
}
