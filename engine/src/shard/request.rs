//! One request from parsed head to answer: where it goes, whether it is taken, what its client is told.

use std::time::Instant;

use monoio::io::{AsyncReadRent, AsyncWriteRent};

use super::body::Body;
use super::connection::{Connection, End, Stop};
use super::state::{RouteState, Shard};
use super::ticket::{Ticket, refusal_of};
use super::watch::Phase;
use crate::config::Acknowledgement;
use crate::http::{Head, Method, Refusal};
use crate::lane::Admission;
use crate::limits;
use crate::observe::{Closed, Outcome};
use crate::protocol::{Receipt, Request};
use crate::record::Rid;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Health,
    Ping,
    /// Any OPTIONS of a path that is served: never recorded.
    Preflight,
    /// An event for this route.
    Event(usize),
}

/// An answer without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply {
    outcome: Result<Success, Refusal>,
    retry_after_s: Option<u32>,
    rid: Option<Rid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Success {
    Stored,
    Preflight,
    Health,
    Ping,
}

impl Reply {
    fn success(success: Success) -> Self {
        Self { outcome: Ok(success), retry_after_s: None, rid: None }
    }

    fn refusal(refusal: Refusal) -> Self {
        let retry_after_s = (refusal.status() == 503).then_some(limits::OVERLOAD_RETRY_AFTER_S);
        Self { outcome: Err(refusal), retry_after_s, rid: None }
    }
}

/// Records that were taken, and who waits for them.
struct Taken {
    rid: Rid,
    ticket: Option<Ticket>,
}

impl<S: AsyncReadRent + AsyncWriteRent> Connection<S> {
    /// Serves one request whose head lies at the front of the buffer. `Ok`: where the next one begins.
    pub(super) async fn serve_request(&mut self, head: &Head, head_len: usize) -> Result<usize, Stop> {
        let target = self.shard.target(head, self.buffer.filled());
        let (reply, next) = match target {
            Ok(Target::Event(route)) => {
                let body = self.read_body(head, head_len).await?;
                self.enter(Phase::Outcome);
                let reply = self.event(head, route, &body).await;
                (reply, Some(body.next))
            }
            Ok(target) => {
                let success = match target {
                    Target::Preflight => Success::Preflight,
                    Target::Ping => Success::Ping,
                    Target::Health | Target::Event(_) => Success::Health,
                };
                (Reply::success(success), self.body_at_hand(head, head_len).map(|body| body.next))
            }
            Err(refusal) => {
                (Reply::refusal(refusal), self.body_at_hand(head, head_len).map(|body| body.next))
            }
        };
        let route = if let Ok(Target::Event(route)) = target { Some(route) } else { None };
        self.answer(head, route, reply, next).await
    }

    /// Takes an event and waits for its outcome as its route promises.
    async fn event(&mut self, head: &Head, route: usize, body: &Body) -> Reply {
        let now = Instant::now();
        let taken = self.shard.take(head, route, self.buffer.filled(), body, now);
        match taken {
            Err(reply) => reply,
            Ok(Taken { rid, ticket: None }) => Reply { rid: Some(rid), ..Reply::success(Success::Stored) },
            Ok(Taken { rid, ticket: Some(ticket) }) => {
                let outcome = self.shard.outcome(ticket).await;
                self.shard.metrics.acknowledged(now.elapsed());
                let reply = match outcome {
                    Ok(()) => Reply::success(Success::Stored),
                    Err(fault) => Reply::refusal(refusal_of(fault)),
                };
                Reply { rid: Some(rid), ..reply }
            }
        }
    }

    /// Writes the answer. The connection goes on if both sides want it to and agree where the next request begins.
    async fn answer(
        &mut self,
        head: &Head,
        route: Option<usize>,
        reply: Reply,
        next: Option<usize>,
    ) -> Result<usize, Stop> {
        self.served += 1;
        let requests_max = self.shard.settings.limits.requests_per_connection_max;
        let exhausted = requests_max != 0 && self.served >= requests_max;
        let drains = self.shard.drains();
        let closes = reply.outcome.is_err_and(|refusal| refusal.row().closes);
        let close = !head.keep_alive || exhausted || drains || closes || next.is_none();
        let bytes = self.shard.encode(head, self.buffer.filled(), reply, close);
        self.write(bytes).await.map_err(Stop::End)?;
        let outcome = match reply.outcome {
            Ok(Success::Preflight) => Outcome::NoContent,
            Ok(_) => Outcome::Ok,
            Err(refusal) => refusal.into(),
        };
        self.shard.metrics.answered(route, outcome, Some(self.began.elapsed()));
        match next {
            Some(next) if !close => Ok(next),
            _ => Err(Stop::End(End::Closing(if drains {
                Closed::Drain
            } else if exhausted {
                Closed::Requests
            } else if closes || next.is_none() {
                Closed::Refused
            } else {
                Closed::Peer
            }))),
        }
    }

    /// Answers a request that ends its connection. Without a head there is nobody whose origin could be echoed.
    pub(super) async fn refuse_and_close(&mut self, head: Option<&Head>, refusal: Refusal) -> Result<(), End> {
        let reply = Reply::refusal(refusal);
        let bytes = match head {
            Some(head) => self.shard.encode(head, self.buffer.filled(), reply, true),
            None => {
                let mut bytes = self.shard.answer_buffer();
                self.shard.encode_refusal(refusal, &mut bytes);
                bytes
            }
        };
        self.write(bytes).await?;
        self.shard.metrics.answered(None, refusal.into(), Some(self.began.elapsed()));
        Ok(())
    }
}

impl Shard {
    /// Where a request goes.
    fn target(&self, head: &Head, buffer: &[u8]) -> Result<Target, Refusal> {
        let path = head.path.of(buffer);
        let route = self.routes.iter().position(|route| *route.path == *path);
        let health = path == b"/health";
        let ping = path == self.settings.server.ping_path.as_bytes();
        if head.method == Method::Options {
            let served = route.is_some() || health || ping || path == b"*";
            return if served { Ok(Target::Preflight) } else { Err(Refusal::NotFound) };
        }
        if let Some(route) = route {
            self.routes[route].protocol.admits(head.method_name.of(buffer))?;
            return Ok(Target::Event(route));
        }
        match (health, ping) {
            (true, _) => Ok(Target::Health),
            (_, true) => Ok(Target::Ping),
            _ => Err(Refusal::NotFound),
        }
    }

    /// Encodes the records of an event into its route's open batch. What is not taken has its reply.
    fn take(
        &self,
        head: &Head,
        route: usize,
        buffer: &[u8],
        body: &Body,
        now: Instant,
    ) -> Result<Taken, Reply> {
        let RouteState { protocol, sink, ack, key, .. } = &self.routes[route];
        let raw = &buffer[body.payload.clone()];
        let mut decoder = self.decoder.borrow_mut();
        let decoded = decoder
            .decode(head.content_encoding.of(buffer), raw, self.settings.limits.body_decoded_bytes_max)
            .map_err(Reply::refusal)?;
        let request = Request {
            method: head.method_name.of(buffer),
            uri: head.uri.of(buffer),
            path: head.path.of(buffer),
            query: head.query.map(|query| query.of(buffer)),
            user_agent: head.user_agent.map(|agent| agent.of(buffer)),
            forwarded_for: head.forwarded_for,
            body: decoded.unwrap_or(raw),
        };
        self.admit(*sink, now)?;
        let rid = self.rids.borrow_mut().next();
        let mut timestamps = self.timestamps.borrow_mut();
        let receipt = Receipt {
            rid: &rid,
            moment: timestamps.at(Self::unix_nanos()),
            key: *key,
            dev_mode: self.settings.server.dev_mode,
            trusted_proxies: self.settings.server.trusted_proxies,
        };
        let ticket = (*ack == Acknowledgement::Delivered).then(|| self.tickets.borrow_mut().open());
        let result = {
            let feed = &mut self.feeds.borrow_mut()[*sink];
            protocol.records(&request, &receipt, &mut |record| {
                feed.append(record, ticket, now, &mut self.launch(*sink))?;
                if let Some(ticket) = ticket {
                    self.tickets.borrow_mut().add(ticket);
                }
                Ok(())
            })
        };
        if let Some(ticket) = ticket {
            let mut tickets = self.tickets.borrow_mut();
            tickets.seal(ticket);
            if result.is_err() {
                tickets.abandon(ticket);
            }
        }
        self.ring_sealer();
        result.map_err(Reply::refusal)?;
        self.metrics.accepted(route, raw.len());
        Ok(Taken { rid, ticket })
    }

    /// Asks the breaker.
    fn admit(&self, sink: usize, now: Instant) -> Result<(), Reply> {
        match self.lanes[sink].gate.admit(self.ms(now)) {
            Admission::Pass | Admission::Probe => Ok(()),
            Admission::Refused { retry_after_ms } => {
                let seconds = u32::try_from(retry_after_ms.div_ceil(1000)).unwrap_or(u32::MAX);
                Err(Reply { retry_after_s: Some(seconds), ..Reply::refusal(Refusal::SinkUnavailable) })
            }
        }
    }
}

impl Shard {
    fn encode(&self, _h: &Head, _b: &[u8], r: Reply, close: bool) -> Vec<u8> { let mut v = self.answer_buffer(); match r.outcome { Ok(_) => { v.extend_from_slice(b"HTTP/1.1 200 OK\r\nServer: millrun\r\nDate: Mon, 23 Nov 2026 09:26:49 GMT\r\nContent-Length: 0\r\nContent-Type: text/plain\r\nX-Request-ID: 0123456789abcdef0123456789abcdef\r\n"); if close { v.extend_from_slice(b"Connection: close\r\n"); } v.extend_from_slice(b"\r\n"); } Err(r) => self.encode_refusal(r, &mut v) } v }
    pub(super) fn encode_refusal(&self, r: Refusal, v: &mut Vec<u8>) { use std::io::Write; write!(v, "HTTP/1.1 {} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", r.status(), r.name().len(), r.name()).unwrap(); }
}
