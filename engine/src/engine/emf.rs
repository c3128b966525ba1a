//! The thread that writes metrics to standard output.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::observe::Metrics;
use crate::observe::interval::Sampler;

/// A running writer.
#[derive(Debug)]
pub(super) struct EmfHandle {
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl EmfHandle {
    /// Writes what the last interval brought, and ends.
    pub(super) fn stop(self) {
        self.end.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

/// Starts writing, every `interval`.
///
/// # Errors
/// When the kernel gives no thread.
pub(super) fn start(
    metrics: Arc<Metrics>,
    namespace: String,
    interval: Duration,
) -> std::io::Result<EmfHandle> {
    let end = Arc::new(AtomicBool::new(false));
    let told = end.clone();
    let thread = std::thread::Builder::new().name("emf".into()).spawn(move || {
        let mut begun = Instant::now();
        let mut sampler = Sampler::new(&metrics, begun);
        loop {
            let due = begun + interval;
            let ends = told.load(Ordering::Acquire);
            let now = Instant::now();
            if now < due && !ends {
                std::thread::park_timeout(due - now);
                continue;
            }
            write(&sampler.take(&metrics, now, unix_ms()).lines(&namespace));
            begun = now;
            if ends {
                return;
            }
        }
    })?;
    Ok(EmfHandle { end, thread })
}

/// Each call writes whole lines. Nobody who reads them: nobody who misses them.
fn write(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all((lines.join("\n") + "\n").as_bytes()).and_then(|()| out.flush());
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
