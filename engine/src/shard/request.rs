//! One request from parsed head to answer: where it goes, whether it is taken, what its client is told.

use std::time::Instant;

use monoio::io::{AsyncReadRent, AsyncWriteRent};

use super::body::Body;
use super::connection::{Connection, End, Peer, Stop};
use super::state::{RouteState, Shard};
use super::ticket::{Ticket, refusal_of};
use super::watch::Phase;
use crate::config::Acknowledgement;
use crate::http::{Answer, Content, Head, Method, Refusal, Spans};
use crate::lane::Admission;
use crate::limits;
use crate::observe::{CloseReason, Outcome};
use crate::protocol::{self, Protocol, Receipt, Request, Wants};
use crate::record::RequestId;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Health,
    Ping,
    /// An event that came to a proxy by plain HTTP, where it has to come by HTTPS.
    ToHttps,
    /// Any OPTIONS of a path that is served: never recorded.
    Preflight,
    /// An event for this route.
    Event(usize),
    /// This route's protocol answers by the head alone.
    Head(protocol::Answer),
}

/// An answer without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    outcome: Result<Success, Refusal>,
    retry_after_s: Option<u32>,
    rid: Option<RequestId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Success {
    Protocol(protocol::Answer),
    ToHttps,
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
    rid: RequestId,
    ticket: Option<Ticket>,
}

impl<S: AsyncReadRent + AsyncWriteRent> Connection<S> {
    /// Serves one request whose head lies at the front of the buffer. `Ok`: where the next one begins.
    pub(super) async fn serve_request(&mut self, head: &Head, head_len: usize) -> Result<usize, Stop> {
        let target = self.shard.target(head, self.buffer.filled());
        let (reply, next) = match target {
            Ok(Target::Event(route)) => {
                // A request whose body came with its head is taken when they came: one look at the clock less.
                let came_whole = self.body_at_hand(head, head_len).is_some();
                let body = self.read_body(head, head_len).await?;
                let now = if came_whole { self.read_at } else { Instant::now() };
                self.enter(Phase::Outcome);
                let reply = self.event(head, route, &body, now).await;
                (reply, Some(body.next))
            }
            other => {
                let reply = match other {
                    Ok(Target::ToHttps) => Reply::success(Success::ToHttps),
                    Ok(Target::Preflight) => Reply::success(Success::Preflight),
                    Ok(Target::Ping) => Reply::success(Success::Ping),
                    Ok(Target::Head(answer)) => Reply::success(Success::Protocol(answer)),
                    Ok(Target::Health | Target::Event(_)) => Reply::success(Success::Health),
                    Err(refusal) => Reply::refusal(refusal),
                };
                (reply, self.body_at_hand(head, head_len).map(|body| body.next))
            }
        };
        let route = if let Ok(Target::Event(route)) = target { Some(route) } else { None };
        self.answer(head, route, reply, next).await
    }

    /// Takes an event and waits for its outcome as its route promises.
    async fn event(&mut self, head: &Head, route: usize, body: &Body, now: Instant) -> Reply {
        let success = Success::Protocol(self.shard.routes[route].protocol.success());
        match self.shard.take(head, route, self.buffer.filled(), body, &self.peer, now) {
            Err(reply) => reply,
            Ok(Taken { rid, ticket: None }) => Reply { rid: Some(rid), ..Reply::success(success) },
            Ok(Taken { rid, ticket: Some(ticket) }) => {
                let outcome = self.shard.outcome(ticket).await;
                self.shard
                    .metrics
                    .acknowledgement_took(self.shard.settled_at().saturating_duration_since(now));
                let reply = match outcome {
                    Ok(()) => Reply::success(success),
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
        let bytes = self.shard.encode(head, self.buffer.filled(), &reply, close);
        self.write(bytes).await.map_err(Stop::End)?;
        self.shard.count(route, &reply);
        self.shard.metrics.request_took(self.began.elapsed());
        match next {
            Some(next) if !close => Ok(next),
            _ => Err(Stop::End(End::Closing(if drains {
                CloseReason::Drain
            } else if exhausted {
                CloseReason::RequestsLimit
            } else if closes || next.is_none() {
                CloseReason::Refused
            } else {
                CloseReason::Peer
            }))),
        }
    }

    /// Answers a request that ends its connection. Without a head there is nobody whose origin could be echoed.
    pub(super) async fn refuse_and_close(
        &mut self,
        head: Option<&Head>,
        refusal: Refusal,
    ) -> Result<(), End> {
        let reply = Reply::refusal(refusal);
        let bytes = match head {
            Some(head) => self.shard.encode(head, self.buffer.filled(), &reply, true),
            None => self.shard.encode_refusal(refusal),
        };
        self.write(bytes).await?;
        self.shard.count(None, &reply);
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
        match (route, health, ping) {
            (Some(_), ..) if head.from_http && self.settings.server.redirect_to_https => {
                // Only HTTP/1.0 may come without; there is no URL to name then.
                if head.host.is_some() { Ok(Target::ToHttps) } else { Err(Refusal::MissingHost) }
            }
            (Some(route), ..) => {
                let query = head.query.map(|query| query.of(buffer));
                if !self.apps.borrow()[route].takes(query) {
                    return Err(Refusal::AppNotAllowed);
                }
                let method = head.method_name.of(buffer);
                match self.routes[route].protocol.wants(method, head.query.is_some())? {
                    Wants::Event => Ok(Target::Event(route)),
                    Wants::Answer(answer) => Ok(Target::Head(answer)),
                }
            }
            (None, true, _) => Ok(Target::Health),
            (None, false, true) => Ok(Target::Ping),
            (None, false, false) => Err(Refusal::NotFound),
        }
    }

    /// Encodes the records of an event into its route's open batch. What is not taken has its reply.
    fn take(
        &self,
        head: &Head,
        route: usize,
        buffer: &[u8],
        body: &Body,
        peer: &Peer,
        now: Instant,
    ) -> Result<Taken, Reply> {
        let RouteState { protocol, ack, key, .. } = &self.routes[route];
        let raw = &buffer[body.payload.clone()];
        self.metrics.received(raw.len() as u64);
        let mut coding = self.decoder.borrow_mut();
        let decoded_bytes_max = self.settings.limits.body_decoded_bytes_max;
        let plain = if head.content_encoding.is_empty() {
            None
        } else {
            coding.decode(head.content_encoding.of(buffer), raw, decoded_bytes_max).map_err(Reply::refusal)?
        };
        let mut forwarded_for: [&[u8]; Spans::MAX] = [&[]; Spans::MAX];
        let mut forwarded_count = 0;
        for (place, value) in forwarded_for.iter_mut().zip(head.forwarded_for.of(buffer)) {
            *place = value;
            forwarded_count += 1;
        }
        let request = Request {
            method: head.method_name.of(buffer),
            uri: head.uri.of(buffer),
            path: head.path.of(buffer),
            query: head.query.map_or(&[], |query| query.of(buffer)),
            user_agent: head.user_agent.map(|agent| agent.of(buffer)),
            forwarded_for: &forwarded_for[..forwarded_count],
            peer: peer.as_bytes(),
            body: plain.unwrap_or(raw),
        };
        let sink = self.admit(&self.routes[route], now)?;
        let rid = self.rids.borrow_mut().next_id();
        let moment = self.timestamps.borrow_mut().at(self.unix_nanos_at(now));
        let receipt = Receipt {
            rid: &rid,
            moment: &moment,
            key,
            dev_mode: self.settings.server.dev_mode,
            trusted_proxies: self.settings.server.trusted_proxies,
        };
        // What is in memory is tried until the sink has it. A journal may be full, so its word is waited for.
        let spilled = sink >= self.settings.sinks.len();
        let wanted = *ack != Acknowledgement::Accepted || spilled;
        let ticket = self.append(*protocol, &request, &receipt, (route, sink), wanted, now)?;
        Ok(Taken { rid, ticket })
    }

    /// Lets the protocol write its records; all of them wait on one ticket.
    fn append(
        &self,
        protocol: &dyn Protocol,
        request: &Request<'_>,
        receipt: &Receipt<'_>,
        (route, sink): (usize, usize),
        wanted: bool,
        now: Instant,
    ) -> Result<Option<Ticket>, Reply> {
        let ticket = wanted.then(|| self.tickets.borrow_mut().open());
        let mut feeds = self.feeds.borrow_mut();
        let result = protocol.records(request, receipt, &mut |record| {
            let bytes = feeds[sink].append(record, ticket, now, &mut self.launch(sink))?;
            if let Some(ticket) = ticket {
                self.tickets.borrow_mut().add(ticket);
            }
            self.metrics.record_accepted(route, bytes as u64);
            Ok(())
        });
        if let Some(ticket) = ticket {
            let mut tickets = self.tickets.borrow_mut();
            tickets.seal(ticket);
            if result.is_err() {
                tickets.abandon(ticket);
            }
        }
        self.ring_sealer();
        result.map(|()| ticket).map_err(Reply::refusal)
    }

    /// Asks the breaker: where the records go.
    fn admit(&self, route: &RouteState, now: Instant) -> Result<usize, Reply> {
        // A gate that is shut is the exception: only then the time is worth working out.
        if !self.lanes[route.sink].gate.is_open() {
            return Ok(route.sink);
        }
        let now_ms = self.ms(now);
        let mut retry_after_ms = u64::MAX;
        for sink in [Some(route.sink), route.standby].into_iter().flatten() {
            match self.lanes[sink].gate.admit(now_ms) {
                Admission::Pass | Admission::Probe => return Ok(sink),
                Admission::Refused { retry_after_ms: after } => retry_after_ms = retry_after_ms.min(after),
            }
        }
        let seconds = u32::try_from(retry_after_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        Err(Reply { retry_after_s: Some(seconds), ..Reply::refusal(Refusal::SinkUnavailable) })
    }

    /// Books an answer that was sent.
    fn count(&self, route: Option<usize>, reply: &Reply) {
        match reply.outcome {
            Ok(Success::Ping) => self.metrics.ping_answered(),
            Ok(Success::Health) => self.metrics.health_answered(),
            Ok(Success::ToHttps) => self.metrics.answered(route, Outcome::Redirected),
            Ok(Success::Preflight) => self.metrics.answered(route, Outcome::NoContent),
            Ok(Success::Protocol(_)) => self.metrics.answered(route, Outcome::Ok),
            Err(refusal) => self.metrics.answered(route, Outcome::Refused(refusal)),
        }
    }

    /// The bytes of an answer.
    fn encode(&self, head: &Head, buffer: &[u8], reply: &Reply, close: bool) -> Vec<u8> {
        let mut ping = [0; PING_BYTES_MAX];
        let content = match reply.outcome {
            Err(refusal) => Content::Refusal { refusal, retry_after_s: reply.retry_after_s },
            Ok(Success::ToHttps) => {
                let host = head.host.map_or(&[][..], |host| host.of(buffer));
                Content::ToHttps { host: without_port(host), uri: head.uri.of(buffer) }
            }
            Ok(Success::Preflight) => Content::Success { status: 204, content_type: None, body: &[] },
            Ok(Success::Protocol(protocol::Answer { status, content_type, body })) => {
                Content::Success { status, content_type, body }
            }
            Ok(Success::Health) => json(b"{\"ok\":true}"),
            Ok(Success::Ping) => json(ping_body(Self::unix_nanos(), &mut ping)),
        };
        let preflight = matches!(reply.outcome, Ok(Success::Preflight));
        let origin = head.origin.map(|origin| origin.of(buffer));
        let mut bytes = self.answer_buffer();
        Answer {
            content,
            date: &self.date(),
            request_id: reply.rid.as_ref().map(|rid| &rid.as_bytes()[..]),
            cors: Some(self.cors.grant(origin, preflight)),
            close,
            http_1_0: head.http_1_0,
            head_only: head.method == Method::Head,
        }
        .encode(&mut bytes);
        bytes
    }

    /// The bytes of a refusal to a request whose head could not be read, or to a connection without a request.
    pub(super) fn encode_refusal(&self, refusal: Refusal) -> Vec<u8> {
        let mut bytes = self.answer_buffer();
        Answer {
            content: Content::Refusal { refusal, retry_after_s: Reply::refusal(refusal).retry_after_s },
            date: &self.date(),
            request_id: None,
            cors: None,
            close: true,
            http_1_0: false,
            head_only: false,
        }
        .encode(&mut bytes);
        bytes
    }
}

/// `Host` (RFC 9110 section 7.2) without its port, which is that of plain HTTP.
fn without_port(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|byte| *byte == b':');
    // The colons of an IPv6 address stand in brackets.
    match colon {
        Some(colon) if !host[colon..].contains(&b']') => &host[..colon],
        _ => host,
    }
}

fn json(body: &[u8]) -> Content<'_> {
    Content::Success { status: 200, content_type: Some("application/json"), body }
}

/// `{"timestamp": ` + 10 digits + `.` + 3 digits + `}`, with room for a longer epoch.
const PING_BYTES_MAX: usize = 40;

/// The clock in seconds with three decimals, as the system that this engine replaces writes it.
fn ping_body(unix_nanos: u64, buffer: &mut [u8; PING_BYTES_MAX]) -> &[u8] {
    use std::io::Write;
    let ms = unix_nanos / 1_000_000;
    let mut rest = &mut buffer[..];
    // Writing into a slice fails only where it ends: 35 bytes are the most that 20 digits make of it.
    let _ = write!(rest, "{{\"timestamp\": {}.{:03}}}", ms / 1000, ms % 1000);
    let left = rest.len();
    &buffer[..PING_BYTES_MAX - left]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_is_cut_off() {
        for (host, name) in [
            (&b"in.example.com"[..], &b"in.example.com"[..]),
            (b"in.example.com:8088", b"in.example.com"),
            (b"10.0.0.1:80", b"10.0.0.1"),
            (b"[::1]", b"[::1]"),
            (b"[::1]:80", b"[::1]"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn the_clock_has_three_decimals() {
        let mut buffer = [0; PING_BYTES_MAX];
        assert_eq!(ping_body(1_795_411_980_908_123_456, &mut buffer), b"{\"timestamp\": 1795411980.908}");
        assert_eq!(ping_body(1_000_007_000_000, &mut buffer), b"{\"timestamp\": 1000.007}");
        assert!(ping_body(u64::MAX, &mut buffer).ends_with(b"}"));
    }
}
