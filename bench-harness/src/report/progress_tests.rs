use super::*;
use std::sync::Mutex;

use indicatif::TermLike;

fn live(succeeded: u64, failed: u64, p99_us: u64) -> Arc<Live> {
    let live = Live::default();
    live.succeeded.store(succeeded, Relaxed);
    live.failed.store(failed, Relaxed);
    live.p99_us.store(p99_us, Relaxed);
    Arc::new(live)
}

/// Keeps what is written, as a file or as a terminal, and tells by a channel that something was.
#[derive(Clone, Debug)]
struct Screen {
    text: Arc<Mutex<String>>,
    written: mpsc::Sender<()>,
}

impl Screen {
    fn new() -> (Self, mpsc::Receiver<()>) {
        let (written, seen) = mpsc::channel();
        (Self { text: Arc::default(), written }, seen)
    }

    fn add(&self, text: &str) {
        self.text.lock().unwrap().push_str(text);
        let _nobody_waits = self.written.send(());
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.add(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        100
    }
    fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn write_line(&self, line: &str) -> std::io::Result<()> {
        self.add(&format!("{line}\n"));
        Ok(())
    }
    fn write_str(&self, text: &str) -> std::io::Result<()> {
        self.add(text);
        Ok(())
    }
    fn clear_line(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_moment_in_words() {
    let moment = |failed, p99_us| Moment {
        elapsed: Duration::from_millis(12_700),
        planned: Duration::from_secs(30),
        rate: 999.6,
        failed,
        p99_us,
    };
    assert_eq!(moment(0, 0).text(), "    12 s of 30 s      1,000/s  no errors  p99        –");
    assert_eq!(moment(1234, 2560).text(), "    12 s of 30 s      1,000/s  1,234 errors  p99  2.56 ms");
}

#[test]
fn the_rate_is_that_of_the_last_second() {
    let live = live(0, 0, 0);
    let mut meter = Meter::new(&live, Duration::from_secs(10));
    assert!(meter.read(Duration::ZERO).rate.abs() < 1e-9);
    // 100/s for five seconds, then 1,000/s: two seconds later nothing is left of the slow start.
    let mut rates = Vec::new();
    for tick in 1..=35_u64 {
        let answered = if tick <= 25 { tick * 20 } else { 500 + (tick - 25) * 200 };
        live.succeeded.store(answered - answered / 10, Relaxed);
        live.failed.store(answered / 10, Relaxed);
        let moment = meter.read(Duration::from_millis(tick * 200));
        assert_eq!(moment.failed, answered / 10);
        rates.push(moment.rate);
    }
    assert!((rates[24] - 100.0).abs() < 1e-6 && (rates[34] - 1000.0).abs() < 1e-6, "{rates:?}");
    assert!(meter.samples.len() <= 8, "{} samples are kept", meter.samples.len());
}

#[test]
fn a_log_gets_lines_until_the_run_ends() {
    let (live, (mut screen, seen)) = (live(10, 3, 1500), Screen::new());
    let (end, ended) = mpsc::channel();
    let out = screen.clone();
    let thread = std::thread::spawn(move || {
        lines(&live, Duration::from_secs(9), &ended, &mut screen, Duration::from_millis(1));
    });
    seen.recv_timeout(Duration::from_mins(1)).unwrap();
    drop(end);
    thread.join().unwrap();
    let text = out.text();
    assert!(text.starts_with("0 s of 9 s") && text.contains("3 errors  p99   1.5 ms\n"), "{text}");
}

#[test]
fn a_terminal_gets_a_bar() {
    let (live, (screen, seen)) = (live(10, 3, 1500), Screen::new());
    let (end, ended) = mpsc::channel();
    let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
    let thread = std::thread::spawn(move || {
        bar(&live, Duration::from_millis(1), &ended, target, Duration::from_millis(1));
    });
    let deadline = Instant::now() + Duration::from_mins(1);
    while !screen.text().contains("3 errors") && Instant::now() < deadline {
        let _more = seen.recv_timeout(Duration::from_secs(1));
    }
    drop(end);
    thread.join().unwrap();
    let text = screen.text();
    assert!(text.contains("3 errors  p99   1.5 ms") && text.contains('█'), "{text}");
}

#[test]
fn it_ends_when_told() {
    Progress::start(Arc::default(), Duration::from_hours(1)).finish();
}
