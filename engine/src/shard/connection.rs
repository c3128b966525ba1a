//! One connection: requests in, answers out, in order.
//!
//! ```text
//!   read head ─▶ parse ─▶ (100) ─▶ read body ─▶ admit, encode ─▶ wait for the outcome ─▶ answer ─▶ next
//!       │          │                   │              │                                    │
//!       └──────────┴───────────────────┴── refuse ────┴──── lingering close ◀── if it must ┘
//! ```
//!
//! Generic over its stream: a socket here, TLS or a simulation elsewhere. Nothing of an answer leaves before the
//! outcome is known, since some SDKs take a cut-off status line for success.

use std::io::Write as _;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use monoio::buf::IoBuf as _;
use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt};

use super::buffer::ReadBuffer;
use super::run::Registration;
use super::state::Shard;
use super::watch::{Cut, Phase, Watch};
use crate::http::{Head, HeadScanner, Refusal};
use crate::limits;
use crate::observe::CloseReason;

/// Why no further request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is of no further use: the client closed it, it broke, or it was idle for too long.
    Gone(CloseReason),
    /// The last answer has been sent and the client is to be let go gently.
    Closing(CloseReason),
}

/// What stops a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It gets this answer.
    Refuse(Refusal),
    /// It gets none: there is nobody to answer.
    End(End),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// An IP address as text, without its port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    text: [u8; Self::LEN_MAX],
    len: u8,
}

impl Peer {
    /// The longest IPv6 address with an embedded IPv4 one.
    const LEN_MAX: usize = 45;

    pub(super) fn new(address: IpAddr) -> Self {
        let mut peer = Self { text: [0; Self::LEN_MAX], len: 0 };
        let mut rest = &mut peer.text[..];
        // It fits: no address is longer.
        let _ = write!(rest, "{}", address.to_canonical());
        let left = rest.len();
        peer.len = u8::try_from(Self::LEN_MAX - left).unwrap_or(0);
        peer
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

/// A connection's own state.
pub(super) struct Connection<S> {
    pub(super) stream: S,
    pub(super) shard: Rc<Shard>,
    pub(super) watch: Rc<Watch>,
    pub(super) buffer: ReadBuffer,
    /// The connection's own block while it reads into a larger one.
    own: Option<ReadBuffer>,
    scanner: HeadScanner,
    /// Requests that were answered.
    pub(super) served: u64,
    /// When the first byte of the running request was read.
    pub(super) began: Instant,
    /// When the last bytes of the running request's head were read.
    pub(super) read_at: Instant,
    /// The client's address, as text.
    pub(super) peer: Peer,
}

impl<S: AsyncReadRent + AsyncWriteRent> Connection<S> {
    pub(super) fn new(stream: S, shard: Rc<Shard>, watch: Rc<Watch>, peer: Peer) -> Self {
        let now = Instant::now();
        Self {
            stream,
            shard,
            watch,
            buffer: ReadBuffer::new(limits::CONNECTION_BUFFER_BYTES),
            own: None,
            scanner: HeadScanner::new(),
            served: 0,
            began: now,
            read_at: now,
            peer,
        }
    }

    /// Serves requests until the connection ends; returns why.
    ///
    /// The registration is dropped before the stream: see [`Registration`].
    pub(super) async fn serve(mut self, registration: Registration) -> CloseReason {
        let reason = loop {
            match self.next_request().await {
                Ok(()) => {}
                Err(End::Gone(reason)) => break reason,
                Err(End::Closing(reason)) => {
                    self.linger().await;
                    break reason;
                }
            }
        };
        drop(registration);
        reason
    }

    /// Answers a connection that is one too many, and closes it.
    pub(super) async fn turn_away(mut self, registration: Registration, refusal: Refusal) -> CloseReason {
        if self.refuse_and_close(None, refusal).await.is_ok() {
            self.linger().await;
        }
        drop(registration);
        CloseReason::Refused
    }

    /// Reads and answers one request. `Ok`: the connection may carry another one.
    async fn next_request(&mut self) -> Result<(), End> {
        let (head, head_len) = match self.read_head().await {
            Ok(head) => head,
            Err(stop) => return self.stop(None, stop).await,
        };
        match self.serve_request(&head, head_len).await {
            Ok(next) => {
                self.turn_over(next);
                Ok(())
            }
            Err(stop) => self.stop(Some(&head), stop).await,
        }
    }

    /// Answers a request that can't be served, if there is somebody to answer. The connection ends.
    async fn stop(&mut self, head: Option<&Head>, stop: Stop) -> Result<(), End> {
        match stop {
            Stop::End(end) => Err(end),
            Stop::Refuse(refusal) => {
                self.refuse_and_close(head, refusal).await?;
                Err(End::Closing(CloseReason::Refused))
            }
        }
    }

    /// The request that ended at `next` is done: what lies behind it is the next one.
    fn turn_over(&mut self, next: usize) {
        self.buffer.discard_front(next);
        self.scanner = HeadScanner::new();
        if self.buffer.is_pooled()
            && self.buffer.filled().len() <= limits::CONNECTION_BUFFER_BYTES
            && let Some(own) = self.own.take()
        {
            drop(self.buffer.move_into(own));
        }
        if !self.buffer.filled().is_empty() {
            self.began = Instant::now();
            self.read_at = self.began;
        }
    }

    /// Reads until a head is complete; returns it and its length. It then begins at the front of the buffer.
    async fn read_head(&mut self) -> Result<(Head, usize), Stop> {
        let (headers_max, head_bytes_max) =
            (self.shard.settings.limits.headers_max, self.shard.settings.limits.head_bytes_max);
        let mut begun = !self.buffer.filled().is_empty();
        self.enter(if begun { Phase::Head } else { Phase::Idle });
        loop {
            if begun {
                if self.scanner.is_fresh()
                    && let Some(found) =
                        Head::at_first_sight(self.buffer.filled(), headers_max, head_bytes_max)
                {
                    return Ok(found);
                }
                if let Some(end) = self.scanner.advance(self.buffer.filled(), head_bytes_max)? {
                    self.buffer.discard_front(end.start);
                    let head_len = end.end - end.start;
                    return Ok((Head::parse(&self.buffer.filled()[..head_len], headers_max)?, head_len));
                }
            }
            if self.buffer.is_full() {
                self.grow(head_bytes_max + limits::FRAMING_SLACK_BYTES)?;
            }
            let read = self.read().await?;
            if read == 0 {
                return Err(self.ended_in_head(begun));
            }
            self.read_at = Instant::now();
            if !begun {
                begun = true;
                self.began = self.read_at;
                self.enter(Phase::Head);
            }
        }
    }

    /// The client sends no more, or was cut, before a head was complete.
    fn ended_in_head(&self, begun: bool) -> Stop {
        match self.watch.cut() {
            Some(Cut::Late(Phase::Head)) => Stop::Refuse(Refusal::HeadTimeout),
            Some(Cut::Late(_) | Cut::Slow) => Stop::End(End::Closing(CloseReason::Idle)),
            Some(Cut::Drain) => Stop::End(End::Closing(CloseReason::Drain)),
            None if begun => Stop::End(End::Gone(CloseReason::Error)),
            None => Stop::End(End::Gone(CloseReason::Peer)),
        }
    }

    /// Reads once into the free part of the buffer; 0: no more will come.
    pub(super) async fn read(&mut self) -> Result<usize, Stop> {
        let buffer = std::mem::take(&mut self.buffer);
        let (read, buffer) = self.stream.read(buffer).await;
        self.buffer = buffer;
        read.map_err(|_| Stop::End(End::Gone(CloseReason::Error)))
    }

    /// Gives the buffer room for `bytes` in all.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.buffer.capacity() {
            return Ok(());
        }
        let larger = self.shard.buffers.take(bytes).ok_or(Refusal::BodyMemoryFull)?;
        let smaller = self.buffer.move_into(larger);
        if !smaller.is_pooled() {
            self.own = Some(smaller);
        }
        Ok(())
    }

    /// The connection waits for `phase` from now on.
    pub(super) fn enter(&self, phase: Phase) {
        let timeouts = &self.shard.timeouts;
        let timeout = match phase {
            // A connection is kept for what comes next; one that never said anything has to hurry.
            Phase::Idle if self.served == 0 => timeouts.head.min(timeouts.idle),
            Phase::Idle => timeouts.idle,
            Phase::Head => timeouts.head,
            Phase::Body => timeouts.body,
            Phase::Outcome => 0,
            Phase::Answer => timeouts.answer,
            Phase::Linger => timeouts.linger,
        };
        self.watch.enter(phase, self.shard.tick() + timeout);
    }

    /// Writes all of `bytes` and recycles the buffer.
    pub(super) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), End> {
        self.enter(Phase::Answer);
        let len = bytes.len();
        // An answer nearly always goes out in one piece.
        let (written, bytes) = self.stream.write(bytes).await;
        let (complete, bytes) = match written {
            Ok(count) if count == len => (true, bytes),
            Ok(count) if count > 0 => {
                let (written, rest) = self.stream.write_all(bytes.slice(count..)).await;
                (written.is_ok(), rest.into_inner())
            }
            Ok(_) | Err(_) => (false, bytes),
        };
        self.shard.recycle_answer(bytes);
        if !complete {
            return Err(End::Gone(CloseReason::Error));
        }
        self.shard.metrics.sent(len as u64);
        Ok(())
    }

    /// Says that no more comes, and reads what the client still sends until it closes: a close with unread bytes
    /// would be a reset, which can take our last answer with it (RFC 9112 section 9.6).
    async fn linger(&mut self) {
        self.enter(Phase::Linger);
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut left = limits::LINGER_BYTES_MAX;
        while left > 0 {
            self.buffer.discard_front(self.buffer.filled().len());
            match self.read().await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    }
}
