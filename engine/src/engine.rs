//! Puts the parts together, starts them in the right order and ends them in the right order.
//!
//! ```text
//!  start   files limit ▶ driver ▶ lanes (sinks opened) ▶ memory sum ▶ listeners ▶ admin ▶ shards ▶ serving
//!  stop    draining: /ready fails, answers close ▶ drain_delay ▶ stopping ▶ shards end ▶ lanes end ▶ admin ends
//! ```
//!
//! A destination that is down stops neither.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use millrun_sinks::OpenError;

use crate::admin;
use crate::apps::LiveApps;
use crate::batch::FeedLimits;
use crate::config::{Driver, Loaded, Settings, Sink, SinkKind};
use crate::handoff::{LaneQueue, ReturnRing};
use crate::host::Host;
use crate::lane::thread::{LaneHandle, LaneThread, StartError as LaneStartError};
use crate::lane::{Gate, LaneLimits, LanePort};
use crate::memory::{Available, Demand, DoesNotFit, Part, Plan};
use crate::observe::{MemoryShare, Metrics, Phase, PhaseCell, Shape};
use crate::shard::Sockets;
use crate::shard::driver::{self, Choice};

mod clients;
mod emf;
mod journal_watch;
mod journals;
mod listen;
mod reload;
mod shard_start;
mod signals;
mod writer_thread;

use journals::{Destinations, Journals};
use shard_start::ShardStart;
use signals::Woken;
use writer_thread::WriterThread;

pub use listen::ListenError;

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Signals can't be waited for.
    #[error("no handler for SIGTERM and SIGINT: {0}; is the limit of open files (ulimit -n) reached?")]
    Signals(#[source] std::io::Error),
    /// The driver that was asked for is not to be had.
    #[error(transparent)]
    Driver(#[from] driver::Unavailable),
    /// A sink's configuration can't work.
    #[error(transparent)]
    Lane(#[from] LaneStartError),
    /// The journal can't be opened.
    #[error("journal: {0}")]
    Journal(#[source] crate::journal::OpenError),
    /// The kernel gives no thread or no socket pair for a journal.
    #[error("a journal's threads can't start: {0}")]
    Relay(#[source] std::io::Error),
    /// A journal can't be shipped from.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    Shipping(crate::shipping::StartError),
    /// The memory sum or the descriptors do not fit.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// The data port can't be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The kernel gives no thread for metrics.
    #[error("no thread for metrics.emf: {0}")]
    Emf(#[source] std::io::Error),
    /// The admin port can't be had.
    #[error("admin.listen = \"{address}\": {source}; choose another address or set admin.listen = \"\"")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The kernel gives no thread or no socket pair.
    #[error("shard {shard} can't start: {source}")]
    Shard {
        /// Its number.
        shard: u16,
        /// The kernel's reason.
        source: std::io::Error,
    },
}

impl StartError {
    /// True when the configuration has to change; false when the machine's state is the reason.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        use crate::journal::OpenError::{BadName, TooSmall};
        matches!(
            self,
            Self::Driver(_)
                | Self::Lane(LaneStartError::Open { .. })
                | Self::DoesNotFit(_)
                | Self::Journal(TooSmall { .. } | BadName(_))
        )
    }
}

/// A running engine.
pub struct Engine {
    settings: Arc<Settings>,
    apps: Arc<LiveApps>,
    effective: Arc<Mutex<String>>,
    phase: Arc<PhaseCell>,
    /// Where the data port really is: differs from the configuration when that says port 0.
    pub address: SocketAddr,
    /// Where the admin port really is.
    pub admin_address: Option<SocketAddr>,
    /// The driver and why.
    pub driver: Choice,
    /// The memory sum.
    pub plan: Plan,
    shards: Vec<std::thread::JoinHandle<std::io::Result<usize>>>,
    lanes: Vec<LaneHandle>,
    writers: Vec<WriterThread>,
    journals: Option<Journals>,
    admin: Option<admin::Handle>,
    ended: tokio::sync::mpsc::UnboundedReceiver<u16>,
    signals: signals::Signals,
    emf: Option<emf::EmfHandle>,
}

/// Starts everything.
///
/// # Errors
/// [`StartError`]; nothing is left running then that would keep the process alive.
pub fn start(loaded: Loaded) -> Result<Engine, StartError> {
    let settings = Arc::new(loaded.settings);
    // Before anything is taken: from here on a signal leads to an orderly end.
    let signals = signals::Signals::listen().map_err(StartError::Signals)?;
    let (host, epoch) = (Host::detect(), Instant::now());
    let driver = driver::choose(settings.server.driver)?;
    let shards = settings.server.shards.unwrap_or_else(|| host.shards_default());
    let destinations = Destinations::of(&settings);
    let shape = Shape::of(&settings, usize::from(shards), destinations.names(&settings));
    let metrics = Metrics::new(shape, SystemTime::now());
    let phase = Arc::new(PhaseCell::default());

    let returns = return_rings(&settings, &destinations, shards)?;
    let relay_rings = destinations.relay_rings(&settings)?;
    let rings: Vec<_> = returns.iter().map(|(ring, _)| ring.clone()).collect();
    let back = |sink: usize| {
        let relay = relay_rings[sink].iter().map(|(ring, _)| ring.clone());
        rings.iter().cloned().chain(relay).collect::<Vec<_>>()
    };
    let (ports, lanes) = start_lanes(&settings, &destinations, shards, &back, &metrics, epoch)?;
    let mut feeds = feed_limits(&settings, &lanes);
    feeds.extend(destinations.feeds(&settings, &feeds));
    let mut extra = destinations.memory(&settings, shards, &feeds);
    extra.extend(clients::memory(&settings, shards, &feeds));
    let plan = plan_memory(&settings, shards, &feeds, extra, &host)?;

    metrics.set_memory(
        plan.parts
            .iter()
            .map(|part| MemoryShare { owner: part.owner.clone(), bytes: part.bytes as u64 })
            .collect(),
    );

    let parts =
        journals::Parts { shards, feeds: &feeds, ports: &ports, rings: relay_rings, metrics: &metrics };
    let journals = Journals::open(&settings, &destinations, parts)?;
    let (listeners, address) = listen::bind(settings.server.listen, shards, settings.server.backlog)?;
    let (apps, effective) = (LiveApps::new(&settings), Arc::new(Mutex::new(loaded.effective)));
    let admin = start_admin(&settings, address, &phase, &metrics, effective.clone())?;
    let admin_address = admin.as_ref().map(admin::Handle::address);

    let (tell, ended) = tokio::sync::mpsc::unbounded_channel();
    let pin = host.pins(shards);
    let seats = Arc::new(AtomicUsize::new(0));
    let (mut threads, mut writers) = (Vec::new(), Vec::new());
    for (number, (listener, (ring, wire))) in (0..shards).zip(listeners.into_iter().zip(returns)) {
        let journal_ports = journals::ports(&destinations, settings.batch.slots());
        let mut streams = journals.as_ref().map_or_else(Vec::new, |journals| journals.streams_of(number));
        if driver.driver == Driver::Epoll {
            for ((sink, stream), port) in streams.drain(..).zip(&journal_ports) {
                let records_max = settings.batch.records_max;
                let writer =
                    WriterThread::start((sink, stream), number, port.clone(), ring.clone(), records_max);
                writers.push(writer.map_err(StartError::Relay)?);
            }
        }
        let start = ShardStart {
            number,
            driver: driver.driver,
            cpu: pin.then(|| host.cpus_allowed[usize::from(number)]),
            settings: settings.clone(),
            phase: phase.clone(),
            connections_max: plan.connections_max,
            seats: seats.clone(),
            body_memory_bytes: settings.limits.body_memory_bytes / usize::from(shards),
            metrics: metrics.clone(),
            apps: apps.clone(),
            ports: ports.iter().cloned().chain(journal_ports).collect(),
            destinations: destinations.clone(),
            feeds: feeds.iter().map(|(_, limits)| FeedLimits { shard: number, ..*limits }).collect(),
            sockets: Sockets { listener, wire, returns: ring, journals: streams },
            epoch,
        };
        let tell = tell.clone();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{number}"))
            .spawn(move || {
                let _told = Told { tell, number };
                start.run()
            })
            .map_err(|source| StartError::Shard { shard: number, source })?;
        threads.push(thread);
    }
    let output = &settings.metrics;
    let emf = output.emf.then(|| emf::start(metrics.clone(), output.namespace.clone(), output.interval));
    let emf = emf.transpose().map_err(StartError::Emf)?;
    phase.advance(Phase::Serving);
    Ok(Engine {
        settings,
        apps,
        effective,
        phase,
        address,
        admin_address,
        driver,
        plan,
        shards: threads,
        lanes,
        writers,
        journals,
        admin,
        emf,
        ended,
        signals,
    })
}

/// Tells the main thread that a shard's thread ended, however it ended.
struct Told {
    tell: tokio::sync::mpsc::UnboundedSender<u16>,
    number: u16,
}

impl Drop for Told {
    fn drop(&mut self) {
        // The main thread may have stopped listening: it is waiting for this very thread then.
        let _ = self.tell.send(self.number);
    }
}

type Returns = Vec<(Arc<ReturnRing>, std::os::unix::net::UnixStream)>;

fn return_rings(
    settings: &Settings,
    destinations: &Destinations,
    shards: u16,
) -> Result<Returns, StartError> {
    let batches = destinations.count() * usize::from(settings.batch.slots());
    (0..shards)
        .map(|shard| {
            let (ring, wire) =
                ReturnRing::new(batches).map_err(|source| StartError::Shard { shard, source })?;
            Ok((Arc::new(ring), wire))
        })
        .collect()
}

fn start_lanes(
    settings: &Settings,
    destinations: &Destinations,
    shards: u16,
    back: &dyn Fn(usize) -> Vec<Arc<ReturnRing>>,
    metrics: &Arc<Metrics>,
    epoch: Instant,
) -> Result<(Vec<Arc<LanePort>>, Vec<LaneHandle>), StartError> {
    let slots = settings.batch.slots();
    let probe_ms = u64::try_from(settings.ack.deadline.as_millis()).unwrap_or(u64::MAX);
    let (mut ports, mut lanes) = (Vec::new(), Vec::new());
    for (number, sink) in (0_u16..).zip(&settings.sinks) {
        let owners = destinations.owners(settings, usize::from(number), shards);
        let port = Arc::new(LanePort {
            queue: LaneQueue::new(usize::from(owners) * usize::from(slots)),
            gate: Gate::new(probe_ms),
        });
        let thread = LaneThread {
            name: sink.name.clone(),
            limits: LaneLimits {
                lane: number,
                shards: owners,
                slots,
                retry_initial: settings.ack.retry_initial,
                retry_max: settings.ack.retry_max,
                breaker_failures: settings.ack.breaker_failures,
                breaker_open: settings.ack.breaker_open,
                seed: fastrand::u64(..),
            },
            port: port.clone(),
            returns: back(usize::from(number)),
            metrics: metrics.lane_recorder(usize::from(number)).expect("each lane is made once"),
            epoch,
        };
        lanes.push(open_lane(thread, sink)?);
        ports.push(port);
    }
    Ok((ports, lanes))
}

/// The one place that knows which kinds of sink there are.
fn open_lane(thread: LaneThread, sink: &Sink) -> Result<LaneHandle, LaneStartError> {
    use crate::lane::thread::start;
    match sink.kind.clone() {
        SinkKind::Null(options) => {
            start(thread, move |wake| Ok::<_, OpenError>(millrun_sinks::null::open(&options, wake)))
        }
        SinkKind::File(options) => {
            start(thread, move |wake| millrun_sinks::file::open(&options, std::time::SystemTime::now, wake))
        }
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => start(thread, move |wake| millrun_sinks::kafka::open(&options, wake)),
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => start(thread, move |wake| millrun_sinks::kinesis::open(&options, wake)),
        #[cfg(feature = "s3")]
        SinkKind::S3(mut options) => {
            options.batches_in_flight_max =
                usize::from(thread.limits.shards) * usize::from(thread.limits.slots);
            start(thread, move |wake| millrun_sinks::s3::open(&options, std::time::SystemTime::now, wake))
        }
    }
}

fn feed_limits(settings: &Settings, lanes: &[LaneHandle]) -> Vec<(String, FeedLimits)> {
    let limits = |sink: &Sink, lane: &LaneHandle| FeedLimits {
        shard: 0,
        arena_bytes: settings.batch.arena_bytes,
        records_max: settings.batch.records_max,
        count: settings.batch.count,
        large_count: settings.batch.large_count,
        record_bytes_max: record_bytes_max(settings).min(lane.capabilities.record_bytes_max),
        linger: sink.linger,
        deadline: settings.ack.deadline,
        gathers: gathers(&sink.kind),
    };
    settings.sinks.iter().zip(lanes).map(|(sink, lane)| (sink.name.clone(), limits(sink, lane))).collect()
}

/// The longest record that can be taken: without arenas of their own for large ones, what an ordinary one holds.
fn record_bytes_max(settings: &Settings) -> usize {
    let limit = settings.limits.record_bytes_max;
    if settings.batch.large_count == 0 { limit.min(settings.batch.arena_bytes - 1) } else { limit }
}

/// Kinds whose every call wakes threads and makes a request: some 100 us of CPU time, however few records it holds.
fn gathers(kind: &SinkKind) -> bool {
    match kind {
        SinkKind::Null(_) | SinkKind::File(_) => false,
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(_) => true,
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(_) => true,
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => true,
    }
}

fn plan_memory(
    settings: &Settings,
    shards: u16,
    feeds: &[(String, FeedLimits)],
    extra: Vec<Part>,
    host: &Host,
) -> Result<Plan, DoesNotFit> {
    let demand = Demand {
        shards,
        feeds,
        extra,
        body_memory_bytes: settings.limits.body_memory_bytes,
        body_decoded_bytes_max: settings.limits.body_decoded_bytes_max,
        connections_max: settings.limits.connections_max,
    };
    let available = match settings.limits.memory_bytes_max {
        Some(memory_bytes) => Available {
            memory_bytes,
            memory_limited_by: "limits.memory_bytes_max",
            files_max: host.files_max,
        },
        None => Available {
            memory_bytes: usize::try_from(host.memory_bytes).unwrap_or(usize::MAX),
            memory_limited_by: host.memory_limited_by,
            files_max: host.files_max,
        },
    };
    Plan::new(&demand, &available)
}

fn start_admin(
    settings: &Settings,
    data: SocketAddr,
    phase: &Arc<PhaseCell>,
    metrics: &Arc<Metrics>,
    effective: Arc<Mutex<String>>,
) -> Result<Option<admin::Handle>, StartError> {
    let Some(address) = settings.admin.listen else { return Ok(None) };
    let path = settings.routes.first().map_or("/", |route| &route.path);
    let state = admin::State::new(metrics.clone(), phase.clone(), effective, format!("http://{data}{path}"));
    admin::start(address, state).map(Some).map_err(|source| StartError::Admin { address, source })
}

/// Lanes end this long before the drain's deadline, so that the end is an orderly one.
const LANE_LEAD: Duration = Duration::from_millis(300);

impl Engine {
    /// Serves until SIGTERM or SIGINT, then drains. Returns true when everything was delivered or answered. `read` reads
    /// the configuration, whenever SIGHUP asks for it.
    #[must_use]
    pub fn serve(mut self, read: &dyn Fn() -> Result<Loaded, String>) -> bool {
        let mut woken = self.signals.wait(&mut self.ended);
        while woken == Woken::ReadAgain {
            self.read_again(read());
            woken = self.signals.wait(&mut self.ended);
        }
        let clean = woken == Woken::End;
        if !clean {
            tracing::error!(
                "a shard ended by itself: the process stops, so that whoever watches it starts a new one"
            );
        }
        self.stop(clean) && clean
    }

    /// Ends at once as [`Engine::serve`] does after a signal. Returns true when nothing is left.
    #[must_use]
    pub fn drain(self) -> bool {
        self.stop(true)
    }

    fn read_again(&mut self, read: Result<Loaded, String>) {
        let read = match read {
            Ok(read) => read,
            Err(problems) => {
                tracing::error!(
                    "the configuration was read again and is wrong, so nothing changes: {problems}"
                );
                return;
            }
        };
        let mut settings = Settings::clone(&self.settings);
        let change = reload::take_over(&mut settings, &read);
        for route in settings.routes.iter().filter(|route| change.routes.contains(&route.name)) {
            tracing::info!(route = route.name, apps = route.app_ids.len(), "app_ids changed");
        }
        for key in &change.waiting {
            tracing::warn!(key, "differs from what is in force: it needs a restart");
        }
        tracing::info!(
            routes = change.routes.len(),
            waiting = change.waiting.len(),
            "the configuration was read again"
        );
        self.apps.replace(&settings);
        *self.effective.lock().unwrap_or_else(PoisonError::into_inner) = crate::config::effective(&settings);
        self.settings = Arc::new(settings);
    }

    fn stop(mut self, patient: bool) -> bool {
        let (server, drain) = (&self.settings.server, &self.settings.drain);
        let journal_waits = patient && drain.waits_for_journal && self.journals.is_some();
        let most = if journal_waits {
            drain.stop_timeout.saturating_sub(crate::config::STOP_LEAD)
        } else {
            server.drain_deadline
        };
        let drain_by = Instant::now() + most;
        self.phase.advance(Phase::Draining);
        if patient && !server.drain_delay.is_zero() {
            tracing::info!(
                delay_ms = server.drain_delay.as_millis(),
                "draining: still serving, /ready fails, answers close their connections"
            );
            self.signals.wait_or(&mut self.ended, server.drain_delay);
        }
        self.phase.advance(Phase::Stopped);
        // Whatever blocks a thread from here on (a disk that does not answer), the process ends in time.
        let watchdog = self.signals.end_process_at(drain_by);
        tracing::info!("stopping: finishing what was taken");
        let mut unanswered = 0;
        for shard in self.shards {
            match shard.join() {
                Ok(Ok(left)) => unanswered += left,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a shard failed");
                    unanswered += 1;
                }
                Err(_) => unanswered += 1,
            }
        }
        self.writers.into_iter().for_each(WriterThread::join);
        let mut left_behind = false;
        if let Some(journals) = &self.journals {
            if journal_waits {
                tracing::info!("delivering the journal");
                left_behind = journals.drain(drain_by.checked_sub(2 * LANE_LEAD).unwrap_or(drain_by));
            }
            journals.finish();
        }
        let left = drain_by.saturating_duration_since(Instant::now()).saturating_sub(LANE_LEAD);
        self.lanes.iter().for_each(|lane| lane.stop(left));
        let undecided: usize = self.lanes.into_iter().map(LaneHandle::join).sum();
        if let Some(journals) = self.journals {
            journals.close(drain_by.checked_sub(LANE_LEAD).unwrap_or(drain_by));
        }
        if let Some(admin) = self.admin {
            admin.stop();
        }
        if let Some(emf) = self.emf {
            emf.stop();
        }
        drop(watchdog);
        if unanswered + undecided == 0 {
            tracing::info!("stopped: every request was answered, every batch decided");
        } else {
            tracing::error!(unanswered, undecided, "stopped at the deadline with requests or batches left");
        }
        unanswered + undecided == 0 && !left_behind
    }
}
