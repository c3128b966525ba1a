//! Requests drawn from the kinds of a workload file.

use std::io::Write as _;

use fastrand::Rng;

use super::Workload;
use super::body::Encoder;
use super::kind::{Encoding, Kind, KindFile};
use super::template::{Template, Values};
use crate::request::{RequestId, Shape, Stored, digest};
use crate::target::Target;

/// The first request's time, in ms since 1970; later ones follow a millisecond apart. Not the clock's: the same seed
/// makes the same bytes.
const FIRST_TIME_MS: u64 = 1_795_411_980_000;

/// Users that events are about.
const USERS: u32 = 100_000;

pub(super) struct Mix {
    names: Vec<String>,
    kinds: Vec<Prepared>,
    /// A kind whose preflight has just been sent.
    preflighted: Option<usize>,
    weights: f64,
    rng: Rng,
    encoder: Encoder,
    plain: Vec<u8>,
    body: Vec<u8>,
    target: Vec<u8>,
}

/// A kind with everything that is the same for all its requests.
struct Prepared {
    weight: f64,
    name: u16,
    get: bool,
    path: Vec<u8>,
    query: Template,
    /// From behind the target to the `Content-Length`.
    head: Vec<u8>,
    /// The number of its preflights' name, and their head behind the target.
    preflight: Option<(u16, Vec<u8>)>,
    events: [u32; 2],
    event_bytes: [usize; 2],
    event: Template,
    encoding: Encoding,
}

impl Mix {
    pub(super) fn new(file: &KindFile, target: &Target, seed: u64, worker: u8) -> Self {
        let mut names = Vec::new();
        let mut number_of = |name: String| {
            names.push(name);
            u16::try_from(names.len() - 1).unwrap_or(u16::MAX)
        };
        let kinds = file.kinds.iter().map(|kind| Prepared::new(kind, target, &mut number_of)).collect();
        Self {
            kinds,
            names,
            preflighted: None,
            weights: file.kinds.iter().map(|kind| kind.weight).sum(),
            // Each worker draws differently, all of them from the one seed.
            rng: Rng::with_seed(seed.wrapping_mul(256).wrapping_add(u64::from(worker))),
            encoder: Encoder::new(),
            plain: Vec::new(),
            body: Vec::new(),
            target: Vec::new(),
        }
    }

    fn draw(&mut self) -> usize {
        let mut at = self.rng.f64() * self.weights;
        let drawn = self.kinds.iter().position(|kind| {
            at -= kind.weight;
            at < 0.0
        });
        drawn.unwrap_or(self.kinds.len() - 1)
    }

    /// The events as a JSON array, in `self.plain`.
    fn write_events(&mut self, kind: usize, count: u32, mut values: Values) {
        let kind = &self.kinds[kind];
        let [smallest, largest] = kind.event_bytes;
        self.plain.clear();
        self.plain.push(b'[');
        for event in 0..count {
            if event > 0 {
                self.plain.push(b',');
            }
            values.event = event;
            values.time_ms += u64::from(event);
            let wanted = self.rng.usize(smallest..=largest);
            let from = self.plain.len();
            // Written without filler first: then the rest of its size is known.
            values.fill_bytes = 0;
            kind.event.write(&values, &mut self.plain);
            let bare = self.plain.len() - from;
            if wanted > bare {
                self.plain.truncate(from);
                values.fill_bytes = wanted - bare;
                kind.event.write(&values, &mut self.plain);
            }
        }
        self.plain.push(b']');
    }
}

impl Workload for Mix {
    fn kinds(&self) -> &[String] {
        &self.names
    }

    fn next(&mut self, id: RequestId, wire: &mut Vec<u8>) -> Shape {
        let preflighted = self.preflighted.take();
        let at = preflighted.unwrap_or_else(|| self.draw());
        let values = Values {
            id,
            event: 0,
            time_ms: FIRST_TIME_MS + id.number,
            user: self.rng.u32(0..USERS),
            fill_bytes: 0,
        };
        let kind = &self.kinds[at];
        self.target.clear();
        self.target.extend_from_slice(&kind.path);
        kind.query.write(&values, &mut self.target);
        if let (Some((name, head)), None) = (&kind.preflight, preflighted) {
            wire.extend_from_slice(b"OPTIONS ");
            wire.extend_from_slice(&self.target);
            wire.extend_from_slice(head);
            self.preflighted = Some(at);
            return Shape { kind: *name, events: 0, stored: Stored::Nothing };
        }
        let (name, encoding) = (kind.name, kind.encoding);
        let count = self.rng.u32(kind.events[0]..=kind.events[1]);
        if kind.get {
            wire.extend_from_slice(b"GET ");
            wire.extend_from_slice(&self.target);
            wire.extend_from_slice(&kind.head);
            wire.extend_from_slice(b"\r\n");
            return Shape { kind: name, events: 1, stored: Stored::Target(digest(&self.target)) };
        }
        self.write_events(at, count, values);
        self.body.clear();
        self.encoder.encode(encoding, &self.plain, &mut self.body);
        wire.extend_from_slice(b"POST ");
        wire.extend_from_slice(&self.target);
        wire.extend_from_slice(&self.kinds[at].head);
        // Writing into a Vec can't fail.
        let _infallible = write!(wire, "Content-Length: {}\r\n\r\n", self.body.len());
        wire.extend_from_slice(&self.body);
        // A server undoes a content encoding, and knows nothing of text that happens to be base64.
        let stored = if encoding == Encoding::Gzip { &self.plain } else { &self.body };
        Shape { kind: name, events: count, stored: Stored::Body(digest(stored)) }
    }
}

impl Prepared {
    fn new(kind: &Kind, target: &Target, number_of: &mut impl FnMut(String) -> u16) -> Self {
        let mut head = format!(" HTTP/1.1\r\nHost: {}\r\n", target.host);
        for (name, value) in &kind.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if kind.encoding == Encoding::Gzip {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        let origin = kind.headers.get("Origin").map_or("https://example.com", String::as_str);
        let preflight_head = format!(
            " HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\nOrigin: {origin}\r\n\r\n",
            target.host
        );
        let separator = if kind.query.is_empty() { "" } else { "?" };
        let name = number_of(kind.name.clone());
        let preflight = kind
            .preflight
            .then(|| (number_of(format!("{}-preflight", kind.name)), preflight_head.into_bytes()));
        Self {
            weight: kind.weight,
            name,
            get: kind.method == "GET",
            path: format!("{}{separator}", target.path).into_bytes(),
            query: Template::new(&kind.query),
            head: head.into_bytes(),
            preflight,
            events: kind.events,
            event_bytes: kind.event_bytes,
            event: Template::new(kind.event.text()),
            encoding: kind.encoding,
        }
    }
}
