//! A server that follows a script of lies: a thread per connection, records in the clickstream form.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Stores it and answers 200.
    Honest,
    /// Answers 200 and stores nothing.
    ThrowAway,
    /// Stores it twice and answers 200.
    Twice,
    /// Stores it with one bit of the body flipped and answers 200.
    Flip,
    /// Stores the first half of the record as a line and answers 200.
    Cut,
    /// Answers 503.
    Refuse,
    /// Stores it and answers 503.
    StoreAndRefuse,
    /// Neither stores nor answers.
    Silent,
    /// Stores it and does not answer.
    StoreSilently,
    /// Answers 200 and stores it half a second later.
    Later,
    /// Stores it under the id of a request that was never sent, and answers 200.
    Misname,
    /// Dies before it stores anything; another server starts at the same address a moment later.
    Die,
    /// Stores it, and dies before it answers.
    StoreAndDie,
}

/// Where records go.
pub(super) type Sink = dyn Fn(Vec<u8>) + Send + Sync;

pub(super) struct Liar {
    pub(super) address: SocketAddr,
    script: Box<dyn Fn(u64) -> Act + Send + Sync>,
    sink: Arc<Sink>,
    requests: AtomicU64,
    life: Mutex<Life>,
    /// Keeps the port while no server is there; never listens.
    _port: Socket,
}

#[derive(Default)]
struct Life {
    /// How often it died.
    deaths: u64,
    connections: Vec<TcpStream>,
}

/// How long it is dead.
const DEAD: Duration = Duration::from_millis(150);

impl Liar {
    /// Starts one. `script` says what it does with the nth request, over all connections and lives.
    pub(super) fn start(script: impl Fn(u64) -> Act + Send + Sync + 'static, sink: Arc<Sink>) -> Arc<Self> {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        port.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let (requests, life) = (AtomicU64::new(0), Mutex::default());
        let liar = Arc::new(Self { address, script: Box::new(script), sink, requests, life, _port: port });
        liar.live(TcpListener::bind(address).unwrap(), 0);
        liar
    }

    /// Serves until its death number `life`.
    fn live(self: &Arc<Self>, listener: TcpListener, life: u64) {
        let liar = Arc::clone(self);
        thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                let mut state = liar.life.lock().unwrap();
                if state.deaths != life {
                    return;
                }
                state.connections.push(stream.try_clone().unwrap());
                let liar = Arc::clone(&liar);
                thread::spawn(move || liar.converse(stream));
            }
        });
    }

    fn converse(self: &Arc<Self>, mut stream: TcpStream) {
        let (mut input, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            while let Some(end) = request_end(&input) {
                let request: Vec<u8> = input.drain(..end).collect();
                let act = (self.script)(self.requests.fetch_add(1, Ordering::SeqCst));
                self.play(act, &request, &mut stream);
            }
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 => input.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
    }

    fn play(self: &Arc<Self>, act: Act, request: &[u8], stream: &mut TcpStream) {
        if request.starts_with(b"OPTIONS ") {
            return answer(stream, "204 No Content");
        }
        let record = record(request);
        let store = |record: &str| (self.sink)(record.as_bytes().to_vec());
        match act {
            Act::Honest | Act::StoreAndRefuse | Act::StoreSilently | Act::StoreAndDie => store(&record),
            Act::Twice => (0..2).for_each(|_| store(&record)),
            // "shoes" is in every body of the workload.
            Act::Flip => store(&record.replacen("hoes", "hoer", 1)),
            Act::Cut => store(&record[..record.len() / 2]),
            Act::Misname => store(&record.replacen("-00000000", "-fffffff0", 1)),
            Act::Later => {
                let sink = Arc::clone(&self.sink);
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(500));
                    sink(record.into_bytes());
                });
            }
            Act::ThrowAway | Act::Refuse | Act::Silent | Act::Die => {}
        }
        match act {
            Act::Silent | Act::StoreSilently => {}
            Act::Die | Act::StoreAndDie => self.die(),
            Act::Refuse | Act::StoreAndRefuse => answer(stream, "503 Service Unavailable"),
            _ => answer(stream, "200 OK"),
        }
    }

    /// Cuts every connection, and comes back.
    fn die(self: &Arc<Self>) {
        let mut state = self.life.lock().unwrap();
        state.deaths += 1;
        let life = state.deaths;
        for connection in state.connections.drain(..) {
            let _already_closed = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        // The listener is in `accept`: this connection ends it.
        drop(TcpStream::connect(self.address));
        let liar = Arc::clone(self);
        thread::spawn(move || {
            thread::sleep(DEAD);
            let listener = loop {
                match TcpListener::bind(liar.address) {
                    Ok(listener) => break listener,
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            };
            liar.live(listener, life);
        });
    }
}

fn answer(stream: &mut TcpStream, status: &str) {
    // A client that is gone is no matter.
    let _gone = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
}

fn head_end(input: &[u8]) -> Option<usize> {
    memchr::memmem::find(input, b"\r\n\r\n").map(|at| at + 4)
}

fn request_end(input: &[u8]) -> Option<usize> {
    let head = head_end(input)?;
    let text = std::str::from_utf8(&input[..head]).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let end = head + length.map_or(0, |length| length.parse::<usize>().unwrap());
    (input.len() >= end).then_some(end)
}

/// A clickstream record, with as many of its keys as matter here.
fn record(request: &[u8]) -> String {
    let (head, body) = request.split_at(head_end(request).unwrap());
    let head = std::str::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let mut text = String::new();
    if head.contains("Content-Encoding: gzip") {
        flate2::read::MultiGzDecoder::new(body).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(body).unwrap());
    }
    serde_json::json!({ "appId": "shop", "compression": null, "data": text, "method": "POST", "uri": target })
        .to_string()
}
