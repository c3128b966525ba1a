//! The search over made-up targets of known capacity, and one small real run.

use std::net::TcpListener;

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::compare::actor::converse;
use crate::latency::{Bucket, Distribution};
use crate::result::{Generator, OutcomeCount, Plan, Totals};

/// What a load of this many requests looks like when all of them take `us` and `failed` of them are answered 503.
fn load(planned: u64, us: u64, failed: u64) -> LoadResult {
    let outcome = |outcome: &str, count| OutcomeCount { outcome: outcome.into(), count };
    LoadResult {
        version: 1,
        tool: String::new(),
        command: Vec::new(),
        started_at: String::new(),
        host: Host::default(),
        plan: Plan {
            target: String::new(),
            workload: String::new(),
            seed: 1,
            run: 1,
            schedule: None,
            seconds: 1.0,
            connections: 1,
            threads: 1,
            requests_per_connection: 0,
            pipelining: 1,
            timeout_ms: 1,
            driver: String::new(),
        },
        totals: Totals {
            planned,
            sent: planned,
            succeeded: planned - failed,
            failed,
            outcomes: vec![outcome("200", planned - failed), outcome("503", failed)],
            ..Totals::default()
        },
        latency: Distribution {
            count: planned,
            p99_us: us,
            max_us: us,
            buckets: vec![Bucket { us, count: planned }],
            ..Distribution::default()
        },
        uncorrected: Distribution::default(),
        kinds: Vec::new(),
        seconds: Vec::new(),
        generator: Generator::default(),
    }
}

fn objective(text: &str) -> Objective {
    text.parse().unwrap()
}

#[test]
fn objectives_are_read_and_shown() {
    let read = objective("p99=20ms, p50=1.5ms,p999=1s,errors=0.1%");
    let limits: Vec<_> = read.latencies.iter().map(|limit| (limit.quantile, limit.us_max)).collect();
    assert_eq!(limits, [(0.99, 20_000), (0.5, 1500), (0.999, 1_000_000)]);
    assert_eq!(read.to_string(), "p99 ≤ 20 ms, p50 ≤ 1.5 ms, p999 ≤ 1 s, errors ≤ 0.1 %");
    assert_eq!(objective("p99=800us").to_string(), "p99 ≤ 800 µs, errors ≤ 0.1 %");
    for wrong in [
        "",
        "p99",
        "p99=20",
        "p99=-1ms",
        "p98=1ms",
        "errors=1%",
        "p99=1ms,errors=1",
        "p99=1ms,errors=100%",
        "p99=1ms,p99=2ms",
        "p99=1ms,errors=1%,errors=2%",
        "p99=2h",
    ] {
        let error = wrong.parse::<Objective>().unwrap_err().to_string();
        assert!(error.contains("p99=20ms"), "{wrong}: {error}");
    }
}

#[test]
fn every_way_to_miss_is_said() {
    let objective = objective("p99=20ms,errors=1%");
    assert_eq!(objective.missed(&load(1000, 20_000, 10)), Vec::<String>::new(), "the limits themselves hold");
    assert_eq!(objective.missed(&load(1000, 20_001, 0)), ["p99 20.001 ms"]);
    assert_eq!(objective.missed(&load(1000, 100, 11)), ["errors 1.1 %"]);
    let mut slow = load(1000, 100, 0);
    slow.totals.outcomes[0].count = 989;
    assert_eq!(objective.missed(&slow), ["answered 989 of 1000"]);
    let mut unsent = load(1000, 100, 0);
    unsent.totals.unsent = 1;
    assert_eq!(objective.missed(&unsent), ["1 could not be sent in time"]);
    assert!(!objective.missed(&load(0, 0, 0)).is_empty(), "nothing sent proves nothing");
}

/// A target whose latency explodes above its capacity.
fn simulated(capacity: f64) -> impl FnMut(f64) -> Result<LoadResult, LoadError> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    move |rate| Ok(load(rate as u64, if rate <= capacity { 1000 } else { 1_000_000 }, 0))
}

proptest! {
    #[test]
    fn the_capacity_of_a_simulated_target_is_found(capacity in 10.0_f64..1e6) {
        let search = Search::new(1000.0, 1e7, PRECISION, 2);
        let (search, points) = climb(search, &objective("p99=20ms"), simulated(capacity), |_| ()).unwrap();
        match verdict(&search, &points) {
            Verdict::Max { rate, missed } => {
                prop_assert!(rate <= capacity && capacity < missed && missed <= rate * 1.03);
            }
            other => prop_assert!(false, "{other:?}"),
        }
        for point in &points {
            prop_assert_eq!(point.held, point.rate <= capacity);
        }
    }
}

#[test]
fn a_tired_generator_gives_a_lower_bound() {
    let mut target = simulated(5000.0);
    let step = |rate: f64| {
        let mut load = target(rate)?;
        load.generator.bottleneck = (rate > 4000.0).then(|| "busy".to_owned());
        Ok(load)
    };
    let search = Search::new(1000.0, 1e6, PRECISION, 1);
    let (search, points) = climb(search, &objective("p99=20ms"), step, |_| ()).unwrap();
    let verdict = verdict(&search, &points);
    let Verdict::AtLeast { rate, because } = &verdict else { panic!("{verdict:?}") };
    assert!((4000.0..=5000.0).contains(rate) && because.contains("busy"), "{verdict:?}");
}

#[test]
fn a_ceiling_gives_a_lower_bound_and_a_wreck_nothing() {
    let search = Search::new(1000.0, 3000.0, PRECISION, 1);
    let (search, points) = climb(search, &objective("p99=20ms"), simulated(1e9), |_| ()).unwrap();
    let Verdict::AtLeast { rate, because } = verdict(&search, &points) else { panic!("{points:?}") };
    assert!((rate - 3000.0).abs() < 1e-9 && because.contains("--ceiling"));
    let search = Search::new(1000.0, 3000.0, PRECISION, 1);
    let (search, points) = climb(search, &objective("p99=20ms"), simulated(0.0), |_| ()).unwrap();
    let Verdict::Nothing { because } = verdict(&search, &points) else { panic!("{points:?}") };
    assert!(because.contains("at 1 requests/s: p99 1 s"), "{because}");
}

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: MaximumArgs,
}

/// A real server that answers at once: the ceiling is reached, and the curve shown.
#[test]
fn a_real_search_reaches_its_ceiling() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/collect", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || converse(stream.unwrap(), 200));
        }
    });
    let words =
        ["max", "--target", &url, "--slo", "p50=5s", "--from", "20", "--ceiling", "40", "--seconds", "0.3"];
    let args = Command::try_parse_from(words.into_iter().chain(["--warmup", "0.1", "-c", "2"])).unwrap().args;
    let mut steps = Vec::new();
    let maximum = find(&args, |point| steps.push(report::step(point))).unwrap();
    let Verdict::AtLeast { rate, .. } = maximum.verdict else { panic!("{:?}", maximum.verdict) };
    assert!((rate - 40.0).abs() < 1e-9);
    assert_eq!((maximum.points.len(), steps.len()), (2, 2));
    let text = maximum.to_string();
    assert!(
        text.contains("at least 40 requests/s") && text.contains("p50 ≤ 5 s") && text.contains('█'),
        "{text}"
    );
    let json = serde_json::to_string(&maximum).unwrap();
    assert_eq!(serde_json::from_str::<Maximum>(&json).unwrap().points.len(), 2);
}
