//! A made-up result with everything in it, for tests: 30 s at 1,000/s with a stall of 300 ms in second 12.

use std::time::Duration;

use crate::host::Host;
use crate::latency::Latencies;
use crate::result::{Generator, KindResult, LoadResult, OutcomeCount, Plan, Second, Totals, VERSION};
use crate::schedule::Schedule;

/// The sample.
pub(super) fn result() -> LoadResult {
    serde_json::from_str(include_str!("../../tests/sample-result.json")).unwrap()
}

/// What `tests/sample-result.json` was made with: kept so that it can be made again when the types change.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small positive numbers"
)]
fn make() -> LoadResult {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut corrected, mut uncorrected) = (Latencies::default(), Latencies::default());
    let mut seconds: Vec<(Second, Latencies)> = (0..30)
        .map(|second| (Second { second, planned: 1000, ..Second::default() }, Latencies::default()))
        .collect();
    for number in 0..30_000_u64 {
        let due_us = number * 1000;
        // A skewed service time: most near 400 µs, few at tens of milliseconds. `sqrt` as it is the same everywhere.
        let service_us = 250.0 / (1.0 - random.f64()).sqrt() + 150.0 * random.f64();
        let service = coarse(service_us as u64);
        let stalled = (12_400_000..12_700_000).contains(&due_us);
        let waited = coarse(if stalled { 12_700_000 - due_us } else { 0 });
        corrected.record(service + waited);
        uncorrected.record(if number == 12_400 { service + waited } else { service });
        let (second, latencies) = &mut seconds[(number / 1000) as usize];
        if (12_650..12_700).contains(&number) || number % 6007 == 0 {
            second.failed += 1;
        } else {
            second.succeeded += 1;
        }
        latencies.record(service + waited);
    }
    let seconds: Vec<Second> = seconds
        .into_iter()
        .map(|(second, of)| Second { p50_us: of.at(0.5), p99_us: of.at(0.99), max_us: of.at(1.0), ..second })
        .collect();
    let succeeded: u64 = seconds.iter().map(|second| second.succeeded).sum();
    let kind = |kind: &str, every: u64| KindResult {
        kind: kind.into(),
        sent: 30_000 / every,
        succeeded: succeeded / every,
        latency: corrected.distribution(),
    };
    let mut lateness = Latencies::default();
    (0..30_000).for_each(|_| lateness.record(Duration::from_micros(random.u64(3..60))));
    LoadResult {
        version: VERSION,
        tool: "bench-harness 0.1.0".into(),
        command: ["bench-harness", "load", "--target", "http://127.0.0.1:8088/collect", "--rate", "1000"]
            .map(str::to_owned)
            .into(),
        started_at: "2026-11-23T08:00:00Z".into(),
        host: Host {
            kernel: "Linux 6.12.0".into(),
            cpu: "Example CPU @ 2.60GHz".into(),
            cores: 2,
            memory_bytes: 8 << 30,
            governor: "performance".into(),
        },
        plan: Plan {
            target: "http://127.0.0.1:8088/collect".into(),
            workload: "sdk-mix".into(),
            seed: 7,
            run: 0x1f00_c0de,
            schedule: Some(Schedule::constant(1000.0, 30.0)),
            seconds: 30.0,
            connections: 64,
            threads: 1,
            requests_per_connection: 0,
            pipelining: 1,
            timeout_ms: 5000,
            driver: "io_uring".into(),
        },
        totals: Totals {
            planned: 30_000,
            sent: 30_000,
            succeeded,
            failed: 30_000 - succeeded,
            unsent: 0,
            events: succeeded * 3,
            outcomes: vec![
                OutcomeCount { outcome: "200".into(), count: succeeded },
                OutcomeCount { outcome: "503".into(), count: 50 },
                OutcomeCount { outcome: "reset".into(), count: 30_000 - succeeded - 50 },
            ],
            connects: 69,
            connect_failures: 0,
            bytes_sent: 41_205_112,
            bytes_received: 2_551_000,
            elapsed_s: 30.004,
            succeeded_per_s: succeeded as f64 / 30.004,
        },
        latency: corrected.distribution(),
        uncorrected: uncorrected.distribution(),
        kinds: vec![kind("web", 2), kind("preflight", 4), kind("android", 4)],
        seconds,
        generator: Generator {
            busiest_thread_share: 0.31,
            cpu_s: 9.4,
            late_sends: 0,
            lateness: lateness.distribution(),
            bottleneck: None,
        },
    }
}

/// The four leading binary digits: few buckets, so that the file is small.
fn coarse(us: u64) -> Duration {
    let shift = us.max(1).ilog2().saturating_sub(3);
    Duration::from_micros(us >> shift << shift)
}

#[test]
fn the_sample_is_the_one_that_is_made_here() {
    let made = serde_json::to_string(&make()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sample-result.json");
    if std::env::var_os("MAKE_SAMPLE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(
        include_str!("../../tests/sample-result.json"),
        made,
        "run it with MAKE_SAMPLE=1 to make it anew"
    );
}
