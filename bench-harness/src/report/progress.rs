//! What is seen while a run goes on: a bar on stderr, or a line every few seconds where stderr is no terminal.
//!
//! It has a thread of its own that only reads atomics and draws a few times a second: the generator must not notice.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::load::Live;
use crate::report::quantity;

const REDRAWN_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The live rate is that of at least this long: it should follow the run, not flicker.
const RATE_OVER: Duration = Duration::from_secs(1);

/// A run's progress on stderr. It ends when told, or when dropped.
#[derive(Debug)]
pub struct Progress {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show `live` of a run that should take `planned`. What can't be shown is not an error.
    #[must_use]
    pub fn start(live: Arc<Live>, planned: Duration) -> Self {
        let (end, ended) = mpsc::channel();
        let show = move || {
            if std::io::stderr().is_terminal() {
                bar(&live, planned, &ended, ProgressDrawTarget::stderr_with_hz(5), REDRAWN_EVERY);
            } else {
                lines(&live, planned, &ended, &mut std::io::stderr(), LINE_EVERY);
            }
        };
        // Without a thread there is no progress to see, but the run is none the worse.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(show).ok();
        Self { end: Some(end), thread }
    }

    /// Ends it and clears the bar; what is written to the terminal afterwards is not disturbed.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that is worth a panic here.
            let _ended = thread.join();
        }
    }
}

/// What is known of a run at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    elapsed: Duration,
    planned: Duration,
    /// Answers per second lately, failures included.
    rate: f64,
    failed: u64,
    p99_us: u64,
}

impl Moment {
    fn text(&self) -> String {
        let Self { elapsed, planned, rate, failed, p99_us } = *self;
        let errors = match failed {
            0 => "no errors".into(),
            1 => "1 error".into(),
            failed => format!("{} errors", quantity::count(failed)),
        };
        #[allow(clippy::cast_precision_loss, reason = "at most an hour")]
        let p99 = if p99_us == 0 { "–".into() } else { quantity::latency(p99_us as f64) };
        let whole = |of: Duration| quantity::duration(of.as_secs_f64().floor());
        let of = quantity::duration(planned.as_secs_f64());
        // Fixed widths: a line that jumps can't be read.
        format!("{:>8} of {of}  {:>9}/s  {errors:>9}  p99 {p99:>8}", whole(elapsed), quantity::number(rate))
    }
}

/// Reads `live` from time to time and knows how fast it grew lately.
struct Meter<'a> {
    live: &'a Live,
    planned: Duration,
    /// When and how many, oldest first: the last one that is at least `RATE_OVER` old, and the younger ones.
    samples: Vec<(Duration, u64)>,
}

impl<'a> Meter<'a> {
    fn new(live: &'a Live, planned: Duration) -> Self {
        Self { live, planned, samples: vec![(Duration::ZERO, 0)] }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    fn read(&mut self, elapsed: Duration) -> Moment {
        let failed = self.live.failed.load(Relaxed);
        let answered = self.live.succeeded.load(Relaxed) + failed;
        let old = |sample: &(Duration, u64)| elapsed.saturating_sub(sample.0) >= RATE_OVER;
        let oldest = self.samples.iter().rposition(old).unwrap_or(0);
        self.samples.drain(..oldest);
        let (then, before) = self.samples[0];
        let seconds = elapsed.saturating_sub(then).as_secs_f64();
        let rate = if seconds > 0.0 { answered.saturating_sub(before) as f64 / seconds } else { 0.0 };
        self.samples.push((elapsed, answered));
        Moment { elapsed, planned: self.planned, rate, failed, p99_us: self.live.p99_us.load(Relaxed) }
    }
}

/// Draws a bar until `ended` is closed, then clears it.
fn bar(
    live: &Live,
    planned: Duration,
    ended: &mpsc::Receiver<()>,
    target: ProgressDrawTarget,
    every: Duration,
) {
    let milliseconds = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(milliseconds(planned).max(1)), target);
    if let Ok(style) = ProgressStyle::with_template("  {bar:28} {msg}") {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    each(
        every,
        ended,
        |elapsed, meter: &mut Meter| {
            bar.set_message(meter.read(elapsed).text());
            bar.set_position(milliseconds(elapsed.min(planned)));
        },
        Meter::new(live, planned),
    );
    bar.finish_and_clear();
}

/// Writes a line from time to time until `ended` is closed.
fn lines(live: &Live, planned: Duration, ended: &mpsc::Receiver<()>, out: &mut impl Write, every: Duration) {
    each(
        every,
        ended,
        |elapsed, meter: &mut Meter| {
            // A closed stderr is no reason to end a run.
            let _closed = writeln!(out, "{}", meter.read(elapsed).text().trim_start());
        },
        Meter::new(live, planned),
    );
}

fn each<'a>(
    every: Duration,
    ended: &mpsc::Receiver<()>,
    mut show: impl FnMut(Duration, &mut Meter<'a>),
    mut meter: Meter<'a>,
) {
    let start = Instant::now();
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        show(start.elapsed(), &mut meter);
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
