//! What the tasks of one shard share. One thread: cells, no locks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use millrun_sinks::{Fate, Fault};
use slab::Slab;

use super::buffer::BufferPool;
use super::ticket::{Ticket, Tickets};
use super::watch::{Tick, Watch, ticks};
use crate::apps::{self, LiveApps};
use crate::batch::Feed;
use crate::config::{Acknowledgement, RecordKey, Settings};
use crate::handoff::{Returned, Sealed};
use crate::http::{ContentDecoder, CorsPolicy, DATE_LEN};
use crate::lane::LanePort;
use crate::limits;
use crate::observe::{Allowance, Phase, PhaseCell, SealReason, ShardRecorder};
use crate::protocol::Protocol;
use crate::record::{RequestIds, Timestamps};

/// One route, as a shard uses it.
pub struct RouteState {
    /// Exact path.
    pub path: Box<[u8]>,
    /// How requests become records.
    pub protocol: &'static dyn Protocol,
    /// Where its records go: index of the feed, the lane and the destination. All three count alike: first the sinks,
    /// then their journals.
    pub sink: usize,
    /// Where they go while the breaker of that one is open.
    pub standby: Option<usize>,
    /// What a 200 promises.
    pub ack: Acknowledgement,
    /// Partitioning key of its sink.
    pub key: RecordKey,
}

/// Sweep deadlines, computed once.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the first byte of a request.
    pub idle: Tick,
    /// For the rest of a head.
    pub head: Tick,
    /// For the rest of a body.
    pub body: Tick,
    /// For the client to take an answer.
    pub answer: Tick,
    /// For the client to stop sending.
    pub linger: Tick,
}

/// Everything a shard is made of. Built on the main thread's data, on the shard's own thread.
pub struct Shard {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Where the process is in its life.
    pub phase: Arc<PhaseCell>,
    /// Routes in the order of the configuration.
    pub routes: Vec<RouteState>,
    /// The apps of each route, as this shard knows them, and where a change shows.
    pub apps: RefCell<apps::Table>,
    live_apps: Arc<LiveApps>,
    apps_seen: Cell<u64>,
    /// Who may read our answers.
    pub cors: CorsPolicy,
    /// Sweep deadlines.
    pub timeouts: Timeouts,
    /// Connections that this shard may have at a time.
    pub connections_max: usize,
    /// Connections of all shards, those that are turned away included.
    pub seats: Arc<AtomicUsize>,
    /// This shard's counters.
    pub metrics: ShardRecorder,
    /// The lanes, by destination. A journal's is this shard's alone.
    pub lanes: Vec<Arc<LanePort>>,
    /// Wakes the task that writes a journal through the ring, by destination; `None` where a thread takes the batches.
    bells: Vec<Option<Bell>>,
    /// This shard's feeds, by destination.
    pub feeds: RefCell<Vec<Feed<Ticket>>>,
    /// Requests that wait for their records.
    pub tickets: RefCell<Tickets>,
    /// Larger read buffers.
    pub buffers: Rc<BufferPool>,
    /// Undoes `Content-Encoding`; one for the shard, as decoding never waits.
    pub decoder: RefCell<ContentDecoder>,
    /// Formats the time.
    pub timestamps: RefCell<Timestamps>,
    /// Makes request ids.
    pub rids: RefCell<RequestIds>,
    /// Open connections.
    pub connections: RefCell<Slab<Rc<Watch>>>,
    /// Start of all times in milliseconds that threads exchange.
    pub epoch: Instant,
    tick: Cell<Tick>,
    /// Lines about records that were lost after their answer.
    loss_lines: RefCell<Allowance>,
    /// What the wall clock showed at `epoch`, in nanoseconds since 1970.
    epoch_unix_nanos: Cell<u64>,
    /// When the last batch came home.
    settled_at: Cell<Instant>,
    /// The `Date` of answers: the sweep keeps it, late by at most a tick.
    date: Cell<[u8; DATE_LEN]>,
    answers: RefCell<Vec<Vec<u8>>>,
    sealer: Bell,
}

/// What a shard is made from; see the fields of [`Shard`].
pub struct ShardParts {
    /// See [`Shard::settings`].
    pub settings: Arc<Settings>,
    /// See [`Shard::phase`].
    pub phase: Arc<PhaseCell>,
    /// See [`Shard::routes`].
    pub routes: Vec<RouteState>,
    /// See [`Shard::apps`].
    pub apps: Arc<LiveApps>,
    /// See [`Shard::connections_max`].
    pub connections_max: usize,
    /// See [`Shard::seats`].
    pub seats: Arc<AtomicUsize>,
    /// Bytes for larger read buffers.
    pub body_memory_bytes: usize,
    /// See [`Shard::metrics`].
    pub metrics: ShardRecorder,
    /// See [`Shard::lanes`].
    pub lanes: Vec<Arc<LanePort>>,
    /// Destinations that are journals written through the ring.
    pub ring_journals: Vec<usize>,
    /// See [`Shard::feeds`].
    pub feeds: Vec<Feed<Ticket>>,
    /// See [`Shard::epoch`].
    pub epoch: Instant,
}

impl Shard {
    /// A shard that serves nobody yet.
    #[must_use]
    pub fn new(parts: ShardParts) -> Rc<Self> {
        let settings = parts.settings;
        let limits = &settings.limits;
        let timeouts = Timeouts {
            idle: ticks(limits.idle_timeout),
            head: ticks(limits.head_timeout),
            body: ticks(limits.body_timeout),
            answer: ticks(limits::WRITE_TIMEOUT),
            linger: ticks(limits::LINGER_TIMEOUT),
        };
        Rc::new(Self {
            phase: parts.phase,
            routes: parts.routes,
            apps: RefCell::new(parts.apps.table()),
            live_apps: parts.apps,
            apps_seen: Cell::new(0),
            cors: CorsPolicy::new(&settings.cors),
            timeouts,
            connections_max: parts.connections_max,
            seats: parts.seats,
            metrics: parts.metrics,
            bells: (0..parts.lanes.len())
                .map(|sink| parts.ring_journals.contains(&sink).then(Bell::default))
                .collect(),
            lanes: parts.lanes,
            feeds: RefCell::new(parts.feeds),
            tickets: RefCell::new(Tickets::with_capacity(1024)),
            buffers: BufferPool::new(parts.body_memory_bytes),
            decoder: RefCell::new(ContentDecoder::new()),
            timestamps: RefCell::new(Timestamps::new()),
            rids: RefCell::new(RequestIds::from_os()),
            connections: RefCell::new(Slab::new()),
            epoch: parts.epoch,
            tick: Cell::new(0),
            loss_lines: RefCell::new(Allowance::new(1, 5)),
            epoch_unix_nanos: Cell::new(
                Self::unix_nanos()
                    .saturating_sub(u64::try_from(parts.epoch.elapsed().as_nanos()).unwrap_or(0)),
            ),
            settled_at: Cell::new(Instant::now()),
            date: Cell::new(*Timestamps::new().http_date(Self::unix_nanos())),
            answers: RefCell::new(Vec::new()),
            sealer: Bell::default(),
            settings,
        })
    }

    /// The sweep's time.
    pub fn tick(&self) -> Tick {
        self.tick.get()
    }

    /// The `Date` of an answer.
    pub fn date(&self) -> [u8; DATE_LEN] {
        self.date.get()
    }

    /// The sweep's time moves on.
    pub fn advance_tick(&self) -> Tick {
        self.tick.set(self.tick.get() + 1);
        let unix_nanos = Self::unix_nanos();
        self.epoch_unix_nanos.set(unix_nanos.saturating_sub(self.nanos(Instant::now())));
        self.date.set(*self.timestamps.borrow_mut().http_date(unix_nanos));
        let mut seen = self.apps_seen.get();
        if let Some(table) = self.live_apps.changed(&mut seen) {
            *self.apps.borrow_mut() = table;
            self.apps_seen.set(seen);
        }
        self.tick.get()
    }

    /// Milliseconds since the epoch that all threads share.
    pub fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the epoch that all threads share.
    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
    }

    /// Nanoseconds since 1970 at `now`: the wall clock as the last sweep saw it, and what has passed since. It spares a
    /// look at the clock, and follows the wall clock's corrections a sweep later.
    #[must_use]
    pub fn unix_nanos_at(&self, now: Instant) -> u64 {
        self.epoch_unix_nanos.get() + self.nanos(now)
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub fn unix_nanos() -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// True once answers have to close their connections.
    pub fn drains(&self) -> bool {
        self.phase.get() >= Phase::Draining
    }

    /// An empty buffer for an answer.
    pub fn answer_buffer(&self) -> Vec<u8> {
        self.answers.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(limits::ANSWER_BYTES))
    }

    /// Takes an answer's buffer back.
    pub fn recycle_answer(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.answers.borrow_mut().push(buffer);
    }

    /// The way of a sealed batch into its lane.
    pub fn launch(&self, sink: usize) -> impl FnMut(Sealed, SealReason) + '_ {
        move |sealed, reason| {
            self.metrics.batch_sealed(sink, reason, sealed.batch.len() as u64);
            self.lanes[sink].queue.push(sealed);
            if let Some(bell) = &self.bells[sink] {
                bell.ring();
            }
        }
    }

    /// Waits for batches of a journal that is written through the ring.
    ///
    /// # Panics
    /// For any other destination.
    pub fn journal_bell(&self, sink: usize) -> &Bell {
        self.bells[sink].as_ref().expect("only a journal of the ring has a writer here")
    }

    /// Makes the sealer look at the feeds once the tasks that are ready now have run: requests that came in together
    /// share a batch.
    pub fn ring_sealer(&self) {
        self.sealer.ring();
    }

    /// Waits for [`Shard::ring_sealer`].
    pub fn sealer_bell(&self) -> &Bell {
        &self.sealer
    }

    /// Seals what is due and says when to look again.
    pub fn seal_due(&self, now: Instant) -> Option<Instant> {
        let drains = self.phase.get() == Phase::Stopped;
        let all_wait = self.tickets.borrow().len() >= self.connections.borrow().len();
        let mut feeds = self.feeds.borrow_mut();
        let mut next: Option<Instant> = None;
        for (sink, feed) in feeds.iter_mut().enumerate() {
            if drains {
                feed.seal(now, SealReason::Drain, &mut self.launch(sink));
            } else {
                feed.seal_due(now, all_wait, &mut self.launch(sink));
            }
            if let Some(at) = feed.next_seal() {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    /// When the requests that are woken now were decided: one look at the clock a batch, not one a request.
    pub fn settled_at(&self) -> Instant {
        self.settled_at.get()
    }

    /// A decided batch is home: its requests are woken.
    pub fn take_home(&self, returned: Returned) {
        self.settled_at.set(Instant::now());
        let sink = usize::from(returned.lane);
        let mut tickets = self.tickets.borrow_mut();
        let mut unknown = 0;
        let mut resolve = |ticket, outcome: Result<(), Fault>| {
            unknown += u64::from(outcome.is_err_and(|fault| fault.fate == Fate::Unknown));
            tickets.decide(ticket, outcome);
        };
        let homecoming = self.feeds.borrow_mut()[sink].returned(returned, &mut resolve);
        if unknown > 0 {
            self.metrics.delivery_unknown(sink, unknown);
        }
        if homecoming.late_deliveries > 0 {
            self.metrics.delivered_late(sink, homecoming.late_deliveries as u64);
        }
        if homecoming.lost_after_answer > 0 {
            self.metrics.lost_after_answer(sink, homecoming.lost_after_answer as u64);
            let suppressed = self.loss_lines.borrow_mut().admit(self.settled_at.get());
            if let Some(suppressed) = suppressed {
                tracing::error!(
                    sink = sink,
                    records = homecoming.lost_after_answer,
                    suppressed,
                    "records that were answered 200 by a route with ack = \"accepted\" have failed for good"
                );
            }
        }
    }

    /// Answers the requests whose time is up.
    pub fn expire(&self, now: Instant) {
        self.settled_at.set(now);
        let mut tickets = self.tickets.borrow_mut();
        for (sink, feed) in self.feeds.borrow_mut().iter_mut().enumerate() {
            let expired = feed.expire(now, &mut |ticket, outcome| tickets.decide(ticket, outcome));
            if expired > 0 {
                self.metrics.delivery_unknown(sink, expired as u64);
            }
        }
    }

    /// Publishes what readers can't read from the counters themselves.
    pub fn publish(&self) {
        for (sink, feed) in self.feeds.borrow().iter().enumerate() {
            self.metrics.pool(sink, feed.free() as u64, u64::from(feed.has_open()));
        }
        self.metrics.publish();
    }

    /// True when no record of this shard is anywhere but in a sink.
    pub fn is_empty(&self) -> bool {
        self.feeds.borrow().iter().all(|feed| feed.in_flight() == 0 && !feed.has_open())
    }

    /// Waits until every record of `ticket` is decided.
    pub async fn outcome(&self, ticket: Ticket) -> Result<(), Fault> {
        let guard = Abandon { shard: self, ticket };
        let outcome = std::future::poll_fn(|cx| self.tickets.borrow_mut().poll(ticket, cx.waker())).await;
        std::mem::forget(guard);
        outcome
    }
}

/// Keeps the account straight when a request stops waiting.
struct Abandon<'shard> {
    shard: &'shard Shard,
    ticket: Ticket,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.shard.tickets.borrow_mut().abandon(self.ticket);
    }
}

/// Wakes one task of the same thread.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    /// Wakes the task that waits, now or when it next does.
    pub fn ring(&self) {
        if !self.rung.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Ready once it was rung since the last time it was ready.
    pub fn poll(&self, waker: &Waker) -> Poll<()> {
        if self.rung.replace(false) {
            return Poll::Ready(());
        }
        let mut registered = self.waker.borrow_mut();
        if !registered.as_ref().is_some_and(|registered| registered.will_wake(waker)) {
            *registered = Some(waker.clone());
        }
        Poll::Pending
    }
}
