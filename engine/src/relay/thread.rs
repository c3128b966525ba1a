//! The relay's thread: asleep while there is nothing to deliver.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrun_sinks::{Gauge, Health, Source, Wake};

use super::rejected::Rejected;
use super::state::{Relay, RelayLimits, Settlement};
use crate::handoff::{ReturnRing, Returned};
use crate::journal::ConsumerBell;
use crate::lane::LanePort;
use crate::observe::{Allowance, LaneRecorder};

/// How late a relay that has batches in the lane may notice that one of another stream became durable.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How often it looks whether live traffic has passed.
const HELD_BACK_PAUSE: Duration = Duration::from_millis(1);
/// Pause after a refused record could not be set aside.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// How often figures are published.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// What a relay's thread is given.
pub struct RelayThread {
    /// The sink's name: for the thread's name and the log.
    pub name: String,
    /// The relay's fixed numbers.
    pub limits: RelayLimits,
    /// The lane that delivers.
    pub port: Arc<LanePort>,
    /// Where batches come back.
    pub returns: Arc<ReturnRing>,
    /// The end of the wire that wakes this thread.
    pub wire: UnixStream,
    /// Rung by those who write the journal.
    pub bell: ConsumerBell,
    /// Counters of the journal as a destination.
    pub metrics: LaneRecorder,
    /// The sink's directory in the journal.
    pub dir: PathBuf,
}

/// The journal's own view of itself, for `/metrics` and `/sinks`.
pub trait Watch: Send + 'static {
    /// Whether it takes records.
    fn health(&self) -> Health;
    /// The file of refused records, which is in the journal's directory, has so many bytes now.
    fn refused_bytes(&self, bytes: u64);
    /// Its figures.
    fn gauges(&self, publish: &mut dyn FnMut(Gauge));
}

/// A running relay.
#[derive(Debug)]
pub struct RelayHandle {
    asked: Arc<Asked>,
    returns: Arc<ReturnRing>,
    thread: std::thread::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Asked {
    drain: AtomicBool,
    stop: AtomicBool,
    end: AtomicBool,
}

impl RelayHandle {
    /// Nothing more is written into the journal: it ends by itself once everything is delivered.
    pub fn drain(&self) {
        self.asked.drain.store(true, Ordering::Release);
        self.returns.ring();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Asks for no more to be handed over. Call it before the lane is stopped.
    pub fn stop(&self) {
        self.asked.stop.store(true, Ordering::Release);
        self.returns.ring();
    }

    /// Waits for its end. Call it when the lane has ended: what is not back by then stays in the journal.
    pub fn join(self) {
        // One that has batches in the lane looks by itself; one that has none ended when it was stopped.
        self.asked.end.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::error!("a relay's thread panicked; what it had not delivered is in the journal");
        }
    }
}

/// Starts delivering.
///
/// # Errors
/// When the kernel gives no thread.
pub fn start(
    relay: RelayThread,
    source: impl Source + 'static,
    watch: impl Watch,
) -> std::io::Result<RelayHandle> {
    let asked = Arc::new(Asked::default());
    let (told, returns, ring) = (asked.clone(), relay.returns.clone(), relay.returns.clone());
    relay.bell.attach(Wake::new(move || ring.ring()));
    relay.wire.set_nonblocking(false)?;
    let name = format!("relay-{}", relay.name);
    let thread = std::thread::Builder::new().name(name).spawn(move || run(relay, source, &watch, &told))?;
    Ok(RelayHandle { asked, returns, thread })
}

fn run(thread: RelayThread, source: impl Source, watch: &impl Watch, asked: &Asked) {
    let RelayThread { name, limits, port, returns, mut wire, bell, mut metrics, dir } = thread;
    let mut relay = Relay::new(source, limits);
    let rejected = Rejected::new(&dir);
    let mut stuck: Vec<Returned> = Vec::new();
    let (mut publish_at, mut not_before) = (Instant::now(), Instant::now());
    let mut lines = Allowance::new(1, 5);
    loop {
        let now = Instant::now();
        // Read before the ring: what the lane gave back before it ended is seen below.
        let ends = asked.end.load(Ordering::Acquire);
        let stopping = asked.stop.load(Ordering::Acquire);
        // Read before the journal: what was written before this was set is seen below.
        let draining = asked.drain.load(Ordering::Acquire);
        returns.answer();
        while let Some(returned) = returns.pop() {
            stuck.push(returned);
        }
        if now >= not_before || ends {
            for returned in std::mem::take(&mut stuck) {
                if let Some(returned) = settle(&mut relay, returned, &rejected, &mut metrics, &mut lines) {
                    not_before = now + ERROR_PAUSE;
                    stuck.push(returned);
                }
            }
        }
        let (mut more, mut failed) = (false, false);
        if !stopping && now >= not_before {
            bell.falls_asleep();
            let live = !port.queue.is_empty();
            let turn = relay.turn(now, live, &mut |sealed| {
                metrics.submitted(sealed.batch.len() as u64);
                port.queue.push(sealed);
            });
            match turn {
                Ok(again) => more = again,
                Err(error) => {
                    failed = true;
                    if let Some(suppressed) = lines.admit(now) {
                        tracing::error!(sink = name, %error, suppressed, "the journal can't be read; trying again");
                    }
                }
            }
        }
        let idle = !more && !failed && relay.under_way() == 0 && stuck.is_empty() && now >= not_before;
        let drained = draining && idle && !relay.is_in_trouble();
        if now >= publish_at || drained {
            publish_at = now + PUBLISH_EVERY;
            watch.refused_bytes(rejected.bytes());
            metrics.depth(0, relay.under_way() as u64);
            metrics.publish(watch.health(), |publish| watch.gauges(publish));
        }
        if drained || stopping && (relay.under_way() == 0 || ends) {
            return;
        }
        let busy = more || relay.under_way() > 0;
        if busy {
            bell.stays_awake();
        }
        let pause = match (more, relay.under_way()) {
            (true, 0) => HELD_BACK_PAUSE,
            (_, 1..) => BUSY_PAUSE,
            (false, 0) if draining => HELD_BACK_PAUSE,
            (false, 0) => publish_at.saturating_duration_since(now).max(HELD_BACK_PAUSE),
        };
        sleep(&mut wire, pause);
    }
}

/// Waits for a returned batch, at most this long.
fn sleep(wire: &mut UnixStream, pause: Duration) {
    // Neither call fails on a socket pair whose other end this process holds, but by its time.
    let _ = wire.set_read_timeout(Some(pause));
    let _ = wire.read(&mut [0; 64]);
}

/// Books a batch that came back; gives it back when a record of it could not be set aside.
fn settle<S: Source>(
    relay: &mut Relay<S>,
    returned: Returned,
    rejected: &Rejected,
    metrics: &mut LaneRecorder,
    lines: &mut Allowance,
) -> Option<Returned> {
    match Relay::<S>::settlement(&returned) {
        Settlement::Left => {
            relay.left(returned.batch);
            None
        }
        Settlement::Done { rejected: refused, .. } => {
            if !refused.is_empty() {
                let now = Instant::now();
                let written = rejected.set_aside(&returned.batch, &refused);
                if let Some(suppressed) = lines.admit(now) {
                    let (records, file) = (refused.len(), rejected.path().display());
                    match &written {
                        Ok(()) => tracing::error!(
                            records, %file, suppressed,
                            "the sink refused journaled records for good; they are in this file"
                        ),
                        Err(error) => tracing::error!(
                            records, %file, %error, suppressed,
                            "the sink refused journaled records for good, and they can't be written; trying again"
                        ),
                    }
                }
                if written.is_err() {
                    return Some(returned);
                }
            }
            metrics.decided(returned.batch.len() as u64, &returned.delivery);
            relay.done(returned.batch);
            None
        }
    }
}
