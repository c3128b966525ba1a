//! The generator against servers that follow a script.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use super::*;
use crate::result::LoadResult;
use crate::target::Target;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a scripted server does with the whole request number `n` (over all connections).
type Script = dyn Fn(u64, &mut TcpStream) -> bool + Send + Sync;

/// Answers by script until the process ends; a script that returns false ends the connection.
fn serve(script: Arc<Script>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (script, count) = (Arc::clone(&script), Arc::clone(&count));
            thread::spawn(move || converse(&mut stream.unwrap(), &count, &*script));
        }
    });
    address
}

fn converse(stream: &mut TcpStream, count: &AtomicU64, script: &Script) {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = request_end(&input) {
            input.drain(..end);
            if !script(count.fetch_add(1, Ordering::Relaxed), stream) {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => input.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

fn request_end(input: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(input);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head].lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let end = head + length.map_or(0, |length| length.parse::<usize>().unwrap());
    (input.len() >= end).then_some(end)
}

fn plan(address: SocketAddr, pace: Pace) -> LoadPlan {
    LoadPlan {
        target: Target::resolve(&format!("http://{address}/collect"), false).unwrap(),
        workload: WorkloadSpec { name: "single".into(), seed: 1 },
        pace,
        connections: 8,
        threads: 1,
        cpus: Vec::new(),
        requests_per_connection: 0,
        pipelining: 1,
        timeout: Duration::from_secs(5),
        driver: Driver::Auto,
        run: new_run(),
    }
}

fn always_ok() -> SocketAddr {
    serve(Arc::new(|_, stream: &mut TcpStream| stream.write_all(OK).is_ok()))
}

fn load(plan: &LoadPlan) -> LoadResult {
    run(plan, &Arc::default(), |_| Unobserved).unwrap().0
}

fn outcome(result: &LoadResult, name: &str) -> u64 {
    result.totals.outcomes.iter().find(|count| count.outcome == name).map_or(0, |count| count.count)
}

#[test]
fn every_planned_request_is_sent_once_on_both_drivers() {
    for driver in [Driver::Epoll, Driver::Auto] {
        let plan =
            LoadPlan { driver, threads: 2, ..plan(always_ok(), Pace::Open(Schedule::constant(2000.0, 1.0))) };
        let result = load(&plan);
        let totals = &result.totals;
        assert_eq!(
            (totals.planned, totals.sent, totals.succeeded, totals.failed),
            (2000, 2000, 2000, 0),
            "{result:?}"
        );
        assert_eq!((result.latency.count, result.uncorrected.count), (2000, 2000));
        assert_eq!(result.seconds.iter().map(|second| second.succeeded).sum::<u64>(), 2000);
        assert_eq!((totals.events, totals.connects), (2000, 8));
    }
}

#[test]
fn requests_arrive_at_the_planned_rate() {
    // The server's own clock is the judge: arrivals spread over the second as planned, within 1 % of the count at each tenth.
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&arrivals);
    let script = move |_: u64, stream: &mut TcpStream| {
        log.lock().unwrap().push(Instant::now());
        stream.write_all(OK).is_ok()
    };
    let result = load(&plan(serve(Arc::new(script)), Pace::Open(Schedule::constant(1000.0, 2.0))));
    assert_eq!(result.totals.succeeded, 2000);
    let arrivals = arrivals.lock().unwrap();
    let span = arrivals.iter().max().unwrap().duration_since(*arrivals.iter().min().unwrap()).as_secs_f64();
    let rate: f64 = 1999.0 / span;
    assert!((rate - 1000.0).abs() <= 10.0, "{rate} requests/s");
}

#[test]
fn a_known_delay_is_what_the_histogram_shows() {
    let delay = Duration::from_millis(40);
    let script = move |_: u64, stream: &mut TcpStream| {
        thread::sleep(delay);
        stream.write_all(OK).is_ok()
    };
    let result = load(&plan(serve(Arc::new(script)), Pace::Open(Schedule::constant(100.0, 1.0))));
    assert!(result.latency.min_us >= 40_000, "{:?}", result.latency);
    assert!(result.latency.p50_us < 60_000, "{:?}", result.latency);
}

#[test]
fn a_pause_of_the_server_is_in_the_corrected_histogram_only() {
    // One answer holds up the only connection for a second: one request waits for it, a hundred wait behind it.
    let script = |number: u64, stream: &mut TcpStream| {
        if number == 50 {
            thread::sleep(Duration::from_secs(1));
        }
        stream.write_all(OK).is_ok()
    };
    let pace = Pace::Open(Schedule::constant(100.0, 3.0));
    let result = load(&LoadPlan { connections: 1, ..plan(serve(Arc::new(script)), pace) });
    let above = |distribution: &crate::latency::Distribution, us| {
        distribution.buckets.iter().filter(|bucket| bucket.us >= us).map(|bucket| bucket.count).sum::<u64>()
    };
    assert_eq!(result.totals.succeeded, 300);
    let waited = above(&result.latency, 500_000);
    // A machine that is busy makes the pause longer: what waited has to fit the pause that there was.
    let planned = (result.uncorrected.max_us - 500_000) / 10_000;
    assert!(
        waited.abs_diff(planned) <= 10,
        "{waited} waited for half a second or longer, of {planned} planned until half a second before the pause's end"
    );
    assert_eq!(above(&result.uncorrected, 500_000), 1);
}

#[test]
fn a_ramp_and_its_seconds() {
    let result = load(&plan(always_ok(), Pace::Open(Schedule::ramp(0.0, 1000.0, 2.0))));
    assert_eq!(result.totals.succeeded, 1000);
    let planned: Vec<u64> = result.seconds.iter().map(|second| second.planned).take(2).collect();
    assert!(planned[0].abs_diff(250) <= 2 && planned[1].abs_diff(750) <= 2, "{planned:?}");
}

#[test]
fn a_closed_loop_keeps_every_connection_busy() {
    let result = load(&plan(always_ok(), Pace::Closed(Duration::from_millis(300))));
    assert!(result.totals.succeeded > 8 && result.totals.failed == 0, "{:?}", result.totals);
    assert_eq!(result.plan.schedule, None);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let plan = LoadPlan {
        pipelining: 4,
        connections: 2,
        ..plan(always_ok(), Pace::Closed(Duration::from_millis(300)))
    };
    let result = load(&plan);
    assert!(result.totals.succeeded >= 8 && result.totals.failed == 0, "{:?}", result.totals);
}

#[test]
fn connections_are_made_anew_as_often_as_asked() {
    let pace = Pace::Open(Schedule::constant(200.0, 0.5));
    let result = load(&LoadPlan { requests_per_connection: 1, ..plan(always_ok(), pace) });
    assert_eq!(result.totals.succeeded, 100);
    assert!(result.totals.connects >= 100, "{:?}", result.totals);
}

#[test]
fn every_way_to_end_has_its_name() {
    let script = |number: u64, stream: &mut TcpStream| match number % 5 {
        0 => stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno").is_ok(),
        1 => stream.write_all(b"hello\r\n").is_ok(),
        2 => false,
        3 => {
            thread::sleep(Duration::from_millis(900));
            false
        }
        _ => stream.write_all(OK).is_ok(),
    };
    let plan = plan(serve(Arc::new(script)), Pace::Open(Schedule::constant(50.0, 1.0)));
    let result = load(&LoadPlan { timeout: Duration::from_millis(300), connections: 40, ..plan });
    for name in ["200", "503", "garbled", "reset", "timed_out"] {
        assert_eq!(outcome(&result, name), 10, "{name}: {:?}", result.totals);
    }
    assert_eq!((result.totals.succeeded, result.totals.failed), (10, 40));
}

#[test]
fn what_could_not_be_sent_is_counted_as_waiting() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = LoadPlan {
        timeout: Duration::from_millis(100),
        ..plan(gone, Pace::Open(Schedule::constant(100.0, 0.5)))
    };
    let result = load(&plan);
    assert_eq!(
        (result.totals.sent, result.totals.unsent, outcome(&result, "not_sent")),
        (0, 50, 50),
        "{:?}",
        result.totals
    );
    assert!(result.totals.connect_failures > 0);
    assert_eq!(result.latency.count, 50);
    assert_eq!(result.uncorrected.count, 0);
}

#[test]
fn a_target_that_comes_back_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        let listener = TcpListener::bind(address).unwrap();
        for stream in listener.incoming() {
            let count = AtomicU64::new(0);
            thread::spawn(move || {
                converse(&mut stream.unwrap(), &count, &|_, stream| stream.write_all(OK).is_ok());
            });
        }
    });
    let result = load(&plan(address, Pace::Open(Schedule::constant(100.0, 1.0))));
    assert_eq!((result.totals.succeeded, result.totals.failed), (100, 0), "{:?}", result.totals);
    assert!(result.latency.max_us >= 200_000, "the early ones waited: {:?}", result.latency);
}

#[test]
fn a_run_can_be_stopped() {
    let live = Arc::new(Live::default());
    live.stop.store(true, Ordering::Relaxed);
    let (result, _) =
        run(&plan(always_ok(), Pace::Open(Schedule::constant(10.0, 3600.0))), &live, |_| Unobserved).unwrap();
    assert!(result.totals.sent <= 1, "{:?}", result.totals);
}

/// Remembers what it heard.
#[derive(Default)]
struct Ears(Vec<(RequestId, Option<Outcome>)>);

impl Observer for Ears {
    fn sending(&mut self, id: RequestId, _: &Shape) {
        self.0.push((id, None));
    }

    fn ended(&mut self, id: RequestId, _: &Shape, outcome: Outcome) {
        let heard = self.0.iter_mut().find(|heard| heard.0 == id).unwrap();
        assert_eq!(heard.1.replace(outcome), None, "{id} ended twice");
    }
}

#[test]
fn an_observer_hears_every_request_begin_and_end() {
    let plan = LoadPlan { threads: 2, ..plan(always_ok(), Pace::Open(Schedule::constant(500.0, 0.4))) };
    let (result, ears) = run(&plan, &Arc::default(), |_| Ears::default()).unwrap();
    assert_eq!(ears.len(), 2);
    for (worker, ears) in (0..).zip(&ears) {
        assert!(ears.0.iter().all(|(id, outcome)| id.worker == worker
            && id.run == plan.run
            && *outcome == Some(Outcome::Answered(200))));
    }
    assert_eq!(ears.iter().map(|ears| ears.0.len() as u64).sum::<u64>(), result.totals.sent);
}
