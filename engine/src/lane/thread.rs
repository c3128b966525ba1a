//! The lane's thread: sleeps until a batch comes in, the sink wakes it, or something is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrun_sinks::{Capabilities, Delivery, FaultKind, OpenError, Sink, Wake};

use super::{Lane, LaneEvents, LaneLimits, LanePort};
use crate::handoff::{ReturnRing, Returned};
use crate::observe::{BreakerState, LaneRecorder};

/// How often figures are published and the sink's own opinion is asked.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// What a lane's thread is given.
pub struct LaneThread {
    /// For the thread's name and the log.
    pub name: String,
    /// The lane's fixed numbers.
    pub limits: LaneLimits,
    /// The shards' side.
    pub port: Arc<LanePort>,
    /// The way back, by shard.
    pub returns: Vec<Arc<ReturnRing>>,
    /// Counters.
    pub metrics: LaneRecorder,
    /// Start of all times in milliseconds that threads exchange.
    pub epoch: Instant,
}

/// A running lane.
#[derive(Debug)]
pub struct LaneHandle {
    /// What its sink takes.
    pub capabilities: Capabilities,
    stop: Arc<Stop>,
    port: Arc<LanePort>,
    thread: std::thread::JoinHandle<usize>,
}

#[derive(Debug)]
struct Stop {
    asked: AtomicBool,
    within_ms: AtomicU64,
}

/// A lane could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sink's configuration can't work.
    #[error("sink.{sink}.{source}")]
    Open {
        /// The sink's name.
        sink: String,
        /// What is wrong.
        source: OpenError,
    },
    /// The kernel gave no thread.
    #[error("sink.{sink}: no thread for its lane: {source}")]
    Thread {
        /// The sink's name.
        sink: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
}

/// Opens the sink on the lane's own thread and starts serving.
///
/// # Errors
/// [`StartError`]. An outage of the destination is none.
pub fn start<S: Sink>(
    lane: LaneThread,
    open: impl FnOnce(Wake) -> Result<S, OpenError> + Send + 'static,
) -> Result<LaneHandle, StartError> {
    let (report, opened) = std::sync::mpsc::sync_channel(1);
    let stop = Arc::new(Stop { asked: AtomicBool::new(false), within_ms: AtomicU64::new(0) });
    let (name, port, stopper) = (lane.name.clone(), lane.port.clone(), stop.clone());
    let thread = std::thread::Builder::new()
        .name(format!("lane-{name}"))
        .spawn(move || {
            let me = std::thread::current();
            lane.port.queue.attach(me.clone());
            let sink = match open(Wake::new(move || me.unpark())) {
                Ok(sink) => sink,
                Err(error) => {
                    let _ = report.send(Err(error));
                    return 0;
                }
            };
            let _ = report.send(Ok(sink.capabilities()));
            drop(report);
            let _guard = EndsWithTheProcess;
            run(lane, sink, &stopper)
        })
        .map_err(|source| StartError::Thread { sink: name.clone(), source })?;
    match opened.recv() {
        Ok(Ok(capabilities)) => Ok(LaneHandle { capabilities, stop, port, thread }),
        Ok(Err(source)) => Err(StartError::Open { sink: name, source }),
        Err(_) => {
            Err(StartError::Thread { sink: name, source: std::io::Error::other("it ended before it began") })
        }
    }
}

/// A lane that panics takes the process with it: its batches would never come back, and a new process can do better.
/// Nothing that was answered is lost by it.
struct EndsWithTheProcess;

impl Drop for EndsWithTheProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a lane panicked: the process ends");
            std::process::exit(1);
        }
    }
}

impl LaneHandle {
    /// Asks the lane to finish what it has `within` this time. Call it when no shard feeds it any more.
    pub fn stop(&self, within: Duration) {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        // Read behind `asked`, which releases it.
        self.stop.within_ms.store(within_ms, Ordering::Relaxed);
        self.stop.asked.store(true, Ordering::Release);
        self.port.queue.wake();
    }

    /// Waits for the lane's end; returns how many batches it had to leave undecided.
    #[must_use]
    pub fn join(self) -> usize {
        self.thread.join().unwrap_or_else(|_| {
            tracing::error!("a lane's thread panicked");
            1
        })
    }
}

fn run<S: Sink>(thread: LaneThread, sink: S, stop: &Stop) -> usize {
    let LaneThread { limits, port, returns, mut metrics, epoch, .. } = thread;
    let mut lane = Lane::new(sink, limits);
    let mut touched = vec![false; returns.len()];
    let mut publish_at = Instant::now();
    let mut end: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let now_ms = u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX);
        while let Some(sealed) = port.queue.pop() {
            lane.accept(sealed, now, &mut metrics);
        }
        lane.turn(now, &port.gate, now_ms, &mut metrics, &mut |returned: Returned| {
            let shard = usize::from(returned.batch.origin().shard);
            returns[shard].push(returned);
            touched[shard] = true;
        });
        for (shard, touched) in touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                returns[shard].ring();
            }
        }
        if now >= publish_at {
            publish_at = now + PUBLISH_EVERY;
            lane.heed_health(&port.gate, now_ms, &mut metrics);
            publish(&metrics, &lane, &port);
        }
        if stop.asked.load(Ordering::Acquire) {
            let end = *end.get_or_insert_with(|| {
                let end = now + Duration::from_millis(stop.within_ms.load(Ordering::Relaxed));
                lane.close(now, end);
                end
            });
            let idle = lane.is_idle() && port.queue.is_empty();
            if idle || now >= end {
                publish(&metrics, &lane, &port);
                return lane.in_flight() + lane.waiting() + port.queue.len();
            }
        }
        sleep(&lane, &port, now, publish_at, end);
    }
}

/// Sleeps until the next thing is due. A wake that came since the queue was looked at is not lost: it is a token
/// that the next park takes.
fn sleep<S: Sink>(lane: &Lane<S>, port: &LanePort, now: Instant, publish_at: Instant, end: Option<Instant>) {
    if !port.queue.is_empty() {
        return;
    }
    // Publishing can wait while nothing happens, but health must not grow old.
    let mut until = publish_at;
    for due in [lane.next_turn(), end].into_iter().flatten() {
        until = until.min(due);
    }
    std::thread::park_timeout(until.saturating_duration_since(now));
}

fn publish<S: Sink>(metrics: &LaneRecorder, lane: &Lane<S>, port: &LanePort) {
    metrics.depth((port.queue.len() + lane.waiting()) as u64, lane.in_flight() as u64);
    metrics.publish(lane.sink().health(), |publish| lane.sink().gauges(publish));
}

impl LaneEvents for LaneRecorder {
    fn submitted(&mut self, records: usize) {
        Self::submitted(self, records as u64);
    }

    fn retried(&mut self, kind: FaultKind) {
        Self::retried(self, kind);
    }

    fn attempt_took(&mut self, took: Duration) {
        Self::attempt_took(self, took);
    }

    fn decided(&mut self, records: usize, delivery: &Delivery) {
        Self::decided(self, records as u64, delivery);
    }

    fn breaker(&mut self, open: bool) {
        Self::breaker(self, if open { BreakerState::Open } else { BreakerState::Closed });
    }
}
