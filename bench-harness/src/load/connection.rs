//! One connection of the generator: takes turns, sends, reads the answers, and starts over when it is cut.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::TcpStream;

use super::Observer;
use super::answer::{AnswerReader, Garbled};
use super::worker::{Sent, Turn, Worker};
use crate::request::Outcome;

/// Answers of an ingestion endpoint are small.
const READ_BYTES: usize = 8 * 1024;

/// Between attempts to connect to a target that refuses.
const RECONNECT: Duration = Duration::from_millis(20);

/// After so long without a request the server may have closed the connection: look before sending.
const STALE: Duration = Duration::from_millis(50);

/// What the pacer and the sweeper see of a connection.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// What the pacer granted.
    pub(super) granted: Cell<Option<Turn>>,
    pub(super) waker: RefCell<Option<Waker>>,
    /// Since when no request is under way on it.
    pub(super) free_since: Cell<Duration>,
    /// The socket and the time of the oldest request under way.
    waiting: Cell<Option<(RawFd, Duration)>>,
    cut: Cell<bool>,
}

impl Slot {
    /// Gives it a turn (or its end), and wakes it.
    pub(super) fn grant(&self, turn: Turn) {
        self.granted.set(Some(turn));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ends the connection under a request that waits for too long: its read returns.
    pub(super) fn cut_if_older_than(&self, timeout: Duration, now: Duration) {
        let Some((fd, since)) = self.waiting.get() else { return };
        if now.saturating_sub(since) > timeout && !self.cut.replace(true) {
            // SAFETY: no memory is passed. The descriptor is open: `waiting` is cleared before the stream is dropped.
            // An error means that the peer was faster.
            let _already_closed = unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }
}

/// Serves slot `slot` until the run is over.
pub(super) async fn run<O: Observer + 'static>(worker: Rc<Worker<O>>, slot: usize) {
    let mut client = Client {
        slot,
        worker: &worker,
        reader: AnswerReader::default(),
        wire: Vec::new(),
        under_way: VecDeque::new(),
        buffer: Vec::with_capacity(READ_BYTES),
    };
    while let Some(stream) = client.connect().await {
        match client.serve(stream).await {
            Next::Reconnect => {}
            Next::Over => break,
        }
    }
    worker.task_ended();
}

enum Next {
    Reconnect,
    Over,
}

struct Client<'a, O> {
    slot: usize,
    worker: &'a Worker<O>,
    reader: AnswerReader,
    /// The requests' bytes; kept between requests.
    wire: Vec<u8>,
    /// Sent and not yet answered, oldest first; empty between exchanges.
    under_way: VecDeque<Sent>,
    buffer: Vec<u8>,
}

impl<O: Observer + 'static> Client<'_, O> {
    /// A connection, however often it takes; `None` when the run is over.
    async fn connect(&mut self) -> Option<TcpStream> {
        loop {
            if self.worker.is_over(self.worker.now()) {
                return None;
            }
            let attempt = TcpStream::connect_addr(self.worker.plan.target.address);
            let connected = match monoio::time::timeout(self.worker.plan.timeout, attempt).await {
                Ok(result) => result,
                Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
            };
            if let Ok(stream) = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                self.worker.tally.borrow_mut().totals.connects += 1;
                return Some(stream);
            }
            self.worker.tally.borrow_mut().totals.connect_failures += 1;
            monoio::time::sleep(RECONNECT).await;
        }
    }

    /// Sends and reads until the connection is used up.
    async fn serve(&mut self, mut stream: TcpStream) -> Next {
        let mut served = 0;
        self.reader.reset();
        let limit = self.worker.plan.requests_per_connection;
        loop {
            let asked = self.worker.now();
            let Some(due) = self.worker.wait_turn(self.slot).await else { return Next::Over };
            let stale = self.worker.now().saturating_sub(asked) > STALE && is_closed(&stream);
            if stale {
                match self.connect().await {
                    Some(fresh) => stream = fresh,
                    None => return Next::Over,
                }
                self.reader.reset();
                served = 0;
            }
            let room = if limit == 0 { u64::MAX } else { limit - served };
            served += self.gather(due, room);
            let keeps = self.exchange(&mut stream).await;
            if !keeps || (limit > 0 && served >= limit) {
                return Next::Reconnect;
            }
        }
    }

    /// Writes the request that is due then, and with pipelining those that are due as well; says how many.
    fn gather(&mut self, due: Duration, room: u64) -> u64 {
        self.wire.clear();
        let free_since = self.slot().free_since.get();
        self.under_way.push_back(self.worker.write_request(due, free_since, &mut self.wire));
        while (self.under_way.len() as u64) < u64::from(self.worker.plan.pipelining).min(room) {
            let Turn::Send(due) = self.worker.turn(self.worker.now()) else { break };
            self.under_way.push_back(self.worker.write_request(due, free_since, &mut self.wire));
        }
        self.under_way.len() as u64
    }

    /// One write, and reads until all are answered; whether the connection can be used again. Every request
    /// under way has ended when it returns.
    async fn exchange(&mut self, stream: &mut TcpStream) -> bool {
        let since = self.under_way.front().map_or(Duration::ZERO, |request| request.at);
        self.slot().cut.set(false);
        self.slot().waiting.set(Some((stream.as_raw_fd(), since)));
        let (written, wire) = stream.write_all(std::mem::take(&mut self.wire)).await;
        self.wire = wire;
        // A server may answer and close before it has read all (413): what it said counts, so read in any case.
        let keeps = self.read_answers(stream).await && written.is_ok();
        self.slot().waiting.set(None);
        keeps
    }

    async fn read_answers(&mut self, stream: &mut TcpStream) -> bool {
        let mut keeps = true;
        while !self.under_way.is_empty() {
            let (read, buffer) = stream.read(std::mem::take(&mut self.buffer)).await;
            self.buffer = buffer;
            match read {
                Ok(count) if count > 0 => {
                    self.worker.tally.borrow_mut().totals.bytes_received += count as u64;
                    if self.take_answers(count, &mut keeps).is_err() {
                        return self.fail(Outcome::Garbled);
                    }
                }
                Ok(_) | Err(_) => {
                    if let Some(answer) = self.reader.end() {
                        self.end_first(Outcome::Answered(answer.status));
                    }
                    let cut = self.slot().cut.get();
                    return self.fail(if cut { Outcome::TimedOut } else { Outcome::Reset });
                }
            }
        }
        // More than was asked for, or a next answer that nobody asked for: not a connection to go on with.
        keeps && self.reader.is_between()
    }

    fn take_answers(&mut self, count: usize, keeps: &mut bool) -> Result<(), Garbled> {
        let mut from = 0;
        while from < count {
            let (taken, answer) = self.reader.feed(&self.buffer[from..count])?;
            from += taken;
            if let Some(answer) = answer {
                *keeps &= answer.keep_alive;
                if !self.end_first(Outcome::Answered(answer.status)) {
                    return Err(Garbled);
                }
            }
        }
        Ok(())
    }

    /// The oldest request has ended; false when none was under way.
    fn end_first(&mut self, outcome: Outcome) -> bool {
        let Some(request) = self.under_way.pop_front() else { return false };
        self.worker.ended(&request, outcome);
        // The next one of a pipeline has been waiting since it was sent; it gets the timeout for itself.
        if let (Some((fd, _)), Some(next)) = (self.slot().waiting.get(), self.under_way.front()) {
            self.slot().waiting.set(Some((fd, next.at)));
        }
        true
    }

    /// All that are under way have ended like this; the connection is of no more use.
    fn fail(&mut self, outcome: Outcome) -> bool {
        while self.end_first(outcome) {}
        self.slot().waiting.set(None);
        false
    }

    fn slot(&self) -> &Slot {
        &self.worker.slots[self.slot]
    }
}

/// Whether the server has closed an idle connection (or sent something that nobody asked for).
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = 0_u8;
    // SAFETY: one byte is written at most, into `byte`; the descriptor is open, and the call does not block.
    let peeked = unsafe {
        libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT)
    };
    !(peeked < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock)
}
