//! A shard's life: its tasks, and the order in which they end.
//!
//! | task | waits for | does |
//! | --- | --- | --- |
//! | accept | a connection | spawns its task, or refuses it |
//! | returns | a byte on the wire | takes decided batches home, wakes their requests |
//! | sealer | the first record of a batch, or its linger | seals, so that requests that came together travel together |
//! | one a journal | a sealed batch | writes and fsyncs, see [`super::journal`]; on epoll a thread does |
//! | sweep | a tick | times out connections and requests, notices the drain |
//! | one a connection | its socket | see [`super::connection`] |

use std::future::Future as _;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use monoio::io::AsyncReadRent;
use monoio::net::{TcpListener, TcpStream, UnixStream};

use super::connection::{Connection, Peer};
use super::journal;
use super::state::Shard;
use super::watch::{Cut, Phase as Waits, Tick, Watch};
use crate::handoff::ReturnRing;
use crate::http::Refusal;
use crate::journal::ShardStream;
use crate::limits;
use crate::observe::Phase;
use crate::observe::{Allowance, CloseReason};

/// What a shard needs from the kernel, made by the main thread so that errors are reported before anything serves.
#[derive(Debug)]
pub struct Sockets {
    /// This shard's listener on the data port (`SO_REUSEPORT`).
    pub listener: std::net::TcpListener,
    /// The end of the wire that wakes this shard.
    pub wire: StdUnixStream,
    /// Where decided batches come back.
    pub returns: Arc<ReturnRing>,
    /// Journals that this shard writes through its own ring, each with its destination.
    pub journals: Vec<(usize, ShardStream<std::fs::File>)>,
}

/// Serves until the process drains and everything that was taken is answered, or until `stop_by` (set once the
/// process stops) has passed. Returns the number of requests that had to be left without an answer.
///
/// # Errors
/// When the driver does not take the sockets.
pub async fn run(shard: Rc<Shard>, sockets: Sockets, stop_by: Duration) -> std::io::Result<usize> {
    let listener = TcpListener::from_std(sockets.listener)?;
    let wire = UnixStream::from_std(sockets.wire)?;
    drop(monoio::spawn(accept(shard.clone(), listener)));
    drop(monoio::spawn(returns(shard.clone(), wire, sockets.returns)));
    drop(monoio::spawn(sealer(shard.clone())));
    for (sink, stream) in sockets.journals {
        drop(monoio::spawn(journal::write(shard.clone(), sink, stream)));
    }
    Ok(sweep(shard, stop_by).await)
}

async fn accept(shard: Rc<Shard>, listener: TcpListener) {
    let mut lines = Allowance::new(1, 5);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&shard, stream, Peer::new(peer.ip())),
            Err(error) => {
                if let Some(suppressed) = lines.admit(Instant::now()) {
                    tracing::warn!(%error, suppressed, "a connection could not be accepted");
                }
                monoio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(shard: &Rc<Shard>, stream: TcpStream, peer: Peer) {
    let (seat, open) = Seat::take(&shard.seats);
    if open >= shard.connections_max + limits::TURNED_AWAY_MAX {
        shard.metrics.connection_accepted();
        shard.metrics.connection_closed(CloseReason::Refused);
        return;
    }
    let refusal = if shard.phase.get() == Phase::Stopped {
        Some(Refusal::Draining)
    } else if open >= shard.connections_max {
        Some(Refusal::TooManyConnections)
    } else {
        None
    };
    drop(monoio::spawn(connection(shard.clone(), stream, peer, refusal, seat)));
}

/// One of the connections that all shards together may have. Counted when they open and close, never for a request.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// A seat, and how many were taken before.
    fn take(seats: &Arc<AtomicUsize>) -> (Self, usize) {
        // Relaxed: the number alone is the message.
        let taken = seats.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(seats)), taken)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection, or answers it with the refusal and closes it without having read a request.
async fn connection(shard: Rc<Shard>, stream: TcpStream, peer: Peer, refusal: Option<Refusal>, _seat: Seat) {
    let deadline = shard.tick() + shard.timeouts.idle;
    let watch = Rc::new(Watch::new(Some(stream.as_raw_fd()), deadline));
    if refusal.is_some() {
        watch.turn_away();
    }
    let registration = Registration::new(shard.clone(), watch.clone());
    shard.metrics.connection_accepted();
    let connection = Connection::new(stream, shard.clone(), watch, peer);
    let reason = match refusal {
        None => connection.serve(registration).await,
        Some(refusal) => connection.turn_away(registration, refusal).await,
    };
    shard.metrics.connection_closed(reason);
}

/// A watch's place in the registry. It is taken out before the stream is closed: whoever owns the stream drops the
/// registration first, so that the sweep never touches a descriptor that is closed or somebody else's.
pub(super) struct Registration {
    shard: Rc<Shard>,
    key: usize,
}

impl Registration {
    fn new(shard: Rc<Shard>, watch: Rc<Watch>) -> Self {
        let key = shard.connections.borrow_mut().insert(watch);
        Self { shard, key }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shard.connections.borrow_mut().remove(self.key);
    }
}

async fn returns(shard: Rc<Shard>, mut wire: UnixStream, ring: Arc<ReturnRing>) {
    let mut bytes = vec![0; 64];
    loop {
        let (read, buffer) = wire.read(bytes).await;
        bytes = buffer;
        // The other end lives as long as the lanes, which outlive every shard.
        if !matches!(read, Ok(1..)) {
            tracing::error!(?read, "the wire from the lanes is broken");
            return;
        }
        ring.answer();
        while let Some(returned) = ring.pop() {
            shard.take_home(returned);
        }
        shard.ring_sealer();
    }
}

async fn sealer(shard: Rc<Shard>) {
    let far = Duration::from_hours(1);
    let mut timer = std::pin::pin!(monoio::time::sleep(far));
    loop {
        let next = shard.seal_due(Instant::now());
        let armed = next.is_some();
        if let Some(next) = next {
            timer.as_mut().reset(next.into());
        }
        std::future::poll_fn(|cx| {
            if shard.sealer_bell().poll(cx.waker()).is_ready() {
                return Poll::Ready(());
            }
            if armed { timer.as_mut().poll(cx) } else { Poll::Pending }
        })
        .await;
    }
}

/// Histograms and gauges are published once a second.
const PUBLISH_TICKS: Tick = 10;

async fn sweep(shard: Rc<Shard>, stop_by: Duration) -> usize {
    let mut stopping_since: Option<Instant> = None;
    loop {
        monoio::time::sleep(limits::TICK).await;
        let (tick, now) = (shard.advance_tick(), Instant::now());
        shard.expire(now);
        if tick % PUBLISH_TICKS == 0 {
            shard.publish();
        }
        let stopping = shard.phase.get() == Phase::Stopped;
        sweep_connections(&shard, tick, stopping);
        if stopping {
            shard.ring_sealer();
            let since = *stopping_since.get_or_insert(now);
            // Connections that come in now are only turned away. Clients that come back at once would otherwise hold
            // the process until its deadline.
            let serves = shard.connections.borrow().iter().any(|(_, watch)| !watch.is_turned_away());
            if (!serves && shard.is_empty()) || now >= since + stop_by {
                return shard.tickets.borrow().len();
            }
        }
    }
}

fn sweep_connections(shard: &Shard, tick: Tick, stopping: bool) {
    let body_rate_min = shard.settings.limits.body_rate_min;
    for (key, watch) in shard.connections.borrow().iter() {
        if stopping && matches!(watch.phase(), Waits::Idle) {
            watch.cut_off(Cut::Drain);
        } else if key as u64 % limits::SWEEP_SLICES == tick % limits::SWEEP_SLICES
            && let Some(cut) = watch.overdue(tick, body_rate_min)
        {
            watch.cut_off(cut);
        }
    }
}
