//! The thread that carries a journal's records into a bucket, where the sink makes objects of many batches: it takes the
//! relay's place, since no lane could hold so much.
//!
//! ```text
//!   journal ──▶ Shipper ──▶ bucket        relay: journal ──▶ lane ──▶ sink
//! ```
//!
//! At the process's end it ships what the journal still holds, for as long as the drain allows and the bucket answers;
//! what is left then stays in the journal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use millrun_sinks::s3::{JournalShape, Options, Shipper};
use millrun_sinks::{Delivery, Health, OpenError, Source, Wake};

use crate::observe::LaneRecorder;
use crate::relay::thread::Watch;

/// Where a sink keeps the accounts of hours, in its directory of the journal.
pub const ACCOUNTS: &str = "accounts";

/// How often figures are published.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// How long a bucket that does not answer is waited for at the end, so that it does not take all of the drain.
const DOWN_PATIENCE: Duration = Duration::from_secs(2);

/// A running shipper.
#[derive(Debug)]
pub struct ShippingHandle {
    asked: Arc<Asked>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Asked {
    finish: AtomicBool,
    patient: AtomicBool,
    end: AtomicBool,
}

impl ShippingHandle {
    /// Nothing more is written into the journal: ship what it holds.
    pub fn finish(&self) {
        self.asked.finish.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    /// The same, however long the bucket is down.
    pub fn drain(&self) {
        self.asked.patient.store(true, Ordering::Release);
        self.finish();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until everything is shipped, but not beyond `deadline`.
    pub fn join(self, deadline: Instant) {
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.asked.end.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("a shipper's thread panicked; what it had not delivered is in the journal");
        }
    }
}

/// Why shipping does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sink's options can't work.
    #[error("sink.{sink}.{error}")]
    Open {
        /// The sink.
        sink: String,
        /// What can't.
        error: OpenError,
    },
    /// The kernel gives no thread.
    #[error("no thread for a shipper: {0}")]
    Thread(#[from] std::io::Error),
}

/// Starts shipping. `sink` names the thread and the log's lines; `metrics` are those of the journal as a destination.
///
/// # Errors
/// [`StartError`]
pub fn start(
    sink: &str,
    options: &Options,
    source: impl Source + 'static,
    journal: JournalShape<'_>,
    metrics: LaneRecorder,
    watch: impl Watch,
) -> Result<ShippingHandle, StartError> {
    let thread: Arc<OnceLock<Thread>> = Arc::default();
    let sleeper = thread.clone();
    let wake = Wake::new(move || {
        if let Some(thread) = sleeper.get() {
            thread.unpark();
        }
    });
    let shipper = Shipper::open(options, source, journal, wake)
        .map_err(|error| StartError::Open { sink: sink.to_owned(), error })?;
    let asked = Arc::new(Asked::default());
    let told = asked.clone();
    let handle = std::thread::Builder::new()
        .name(format!("ship-{sink}"))
        .spawn(move || run(shipper, &metrics, &watch, &told))?;
    // A wake before this is only a nap that is not cut short.
    let _ = thread.set(handle.thread().clone());
    Ok(ShippingHandle { asked, thread: handle })
}

fn run(mut shipper: Shipper<impl Source>, metrics: &LaneRecorder, watch: &impl Watch, asked: &Asked) {
    let (mut publish_at, mut finishing) = (Instant::now(), None);
    let mut in_hand = 0_u64;
    loop {
        let now = Instant::now();
        if finishing.is_none() && asked.finish.load(Ordering::Acquire) {
            finishing = Some(now);
            shipper.finish();
        }
        let turn = shipper.turn(now, SystemTime::now());
        if turn.read > 0 {
            metrics.submitted(turn.read);
        }
        if turn.delivered > 0 {
            metrics.decided(turn.delivered, &Delivery::All);
        }
        // An object that is made anew is read twice.
        in_hand = (in_hand + turn.read).saturating_sub(turn.delivered);
        let patient = asked.patient.load(Ordering::Acquire);
        let gone = !patient
            && finishing.is_some_and(|since| {
                matches!(shipper.health(), Health::Down(_)) && now > since + DOWN_PATIENCE
            });
        let done = shipper.is_done();
        if now >= publish_at || done {
            publish_at = now + PUBLISH_EVERY;
            metrics.depth(0, in_hand);
            let health = match (watch.health(), shipper.health()) {
                (Health::Up, down @ Health::Down(_)) => down,
                (journal, _) => journal,
            };
            metrics.publish(health, |publish| {
                watch.gauges(publish);
                shipper.gauges(publish);
            });
        }
        if done || gone || asked.end.load(Ordering::Acquire) {
            if !done {
                tracing::warn!(
                    "not everything is shipped: the rest stays in the journal, for the next start"
                );
            }
            return;
        }
        std::thread::park_timeout(turn.next.min(publish_at).saturating_duration_since(Instant::now()));
    }
}

/// Ships everything that a journal without an engine holds, and marks it. Returns the number of records. `keep` is called
/// a few times a second, for whoever keeps the journal.
///
/// # Errors
/// [`OpenError`] when the options can't work. What can pass is waited for.
pub fn ship_all(
    options: &Options,
    source: impl Source,
    journal: JournalShape<'_>,
    mut keep: impl FnMut(),
) -> Result<u64, OpenError> {
    const KEEP_EVERY: Duration = Duration::from_millis(250);
    let me = std::thread::current();
    let mut shipper = Shipper::open(options, source, journal, Wake::new(move || me.unpark()))?;
    shipper.finish();
    let (mut records, mut kept_at) = (0, Instant::now());
    while !shipper.is_done() {
        let turn = shipper.turn(Instant::now(), SystemTime::now());
        records += turn.delivered;
        if kept_at.elapsed() >= KEEP_EVERY {
            kept_at = Instant::now();
            keep();
        }
        std::thread::park_timeout(turn.next.saturating_duration_since(Instant::now()));
    }
    Ok(records)
}
