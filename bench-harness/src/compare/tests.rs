//! Whole comparisons of small real targets, and the rows of runs that are made up.

use std::path::Path;

use clap::Parser;

use super::comparison::{Quantity, Run, Which, rows, warnings};
use super::run::{CompareArgs, compare};
use super::table::grouped;
use super::{actor, spec::Spec};
use crate::latency::Distribution;
use crate::result::{Generator, LoadResult, Plan, Totals};

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: CompareArgs,
}

fn args(words: &[&str]) -> Result<CompareArgs, clap::Error> {
    Command::try_parse_from(std::iter::once(&"compare").chain(words)).map(|command| command.args)
}

/// Writes an actor's spec to a file.
fn write(dir: &Path, name: &str, role: &str, more: &str) -> String {
    let Spec { command, url, .. } = actor::spec(role, dir, "");
    let env: Vec<_> = command.env.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
    let words: Vec<_> = command.words().iter().map(|word| format!("'{word}'")).collect();
    let text = format!(
        "name = '{name}'\ncommand = [{}]\nurl = '{url}'\nenv = {{ {} }}\n{more}\n",
        words.join(", "),
        env.join(", ")
    );
    let path = dir.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn two_targets_are_compared_in_changing_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = |event: &str| format!("['sh', '-c', 'echo {event} >> {}/log']", dir.path().display());
    let more = |name: &str| {
        format!(
            "before = {}\nafter = {}\nversion = ['echo', '{name} 1.2']",
            log(&format!("+{name}")),
            log(&format!("-{name}"))
        )
    };
    let (a, b) = (write(dir.path(), "a", "serve", &more("a")), write(dir.path(), "b", "serve", &more("b")));
    let args =
        args(&[&a, &b, "--rounds", "2", "--seconds", "0.2", "--warmup", "0.05", "--closed", "-c", "4"])
            .unwrap();
    let mut steps = Vec::new();
    let comparison = compare(&args, |step| steps.push(step.to_owned())).unwrap();
    assert_eq!(steps, ["round 1 of 2: A, then B", "round 2 of 2: B, then A"]);
    let order: Vec<_> = comparison.runs.iter().map(|run| (run.round, run.of)).collect();
    assert_eq!(order, [(1, Which::A), (1, Which::B), (2, Which::B), (2, Which::A)]);
    let events = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert_eq!(events.lines().collect::<Vec<_>>(), ["+a", "-a", "+b", "-b", "+b", "-b", "+a", "-a"]);
    for run in &comparison.runs {
        assert!(run.cpu_s > 0.0 && run.load.totals.succeeded > 0 && run.peak_rss_bytes > 0, "{run:?}");
        assert!(run.instructions.is_some() != run.instructions_unavailable.is_some());
        assert!(!run.killed);
    }
    assert_eq!(comparison.a.version.as_deref(), Some("a 1.2"));
    for quantity in [Quantity::ThroughputPerS, Quantity::CpuSPerMillion, Quantity::PeakRssBytes] {
        let row = comparison.rows.iter().find(|row| row.quantity == quantity).unwrap();
        let ratio = row.ratio.unwrap();
        assert!(
            ratio.pairs == 2 && ratio.interval.is_some() && row.a.is_some() && row.b.is_some(),
            "{row:?}"
        );
    }
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<super::comparison::Comparison>(&json).unwrap().runs.len(), 4);
    let text = comparison.to_string();
    for words in ["throughput, requests/s", "A/B", "95 % interval", "a (a 1.2)", "closed loop, 4 connections"]
    {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}

#[test]
fn both_can_be_kept_running() {
    let dir = tempfile::tempdir().unwrap();
    let stubborn = "stop = { timeout_s = 0.05 }";
    let (a, b) = (write(dir.path(), "a", "serve", ""), write(dir.path(), "b", "stubborn", stubborn));
    let words = ["--rounds", "1", "--seconds", "0.2", "--warmup", "0", "--rate", "50", "--keep-running"];
    let args = args(&[&[a.as_str(), b.as_str()][..], &words].concat()).unwrap();
    let comparison = compare(&args, |_| ()).unwrap();
    assert!(comparison.kept_running && comparison.runs.len() == 2);
    assert!(comparison.runs.iter().all(|run| run.load.totals.succeeded == 10), "{:?}", comparison.runs);
    assert!(comparison.warnings.iter().any(|warning| warning.starts_with("b: had to be killed")));
    assert!(comparison.warnings.iter().any(|warning| warning.contains("one round")));
    let throughput = &comparison.rows[0];
    assert!(throughput.ratio.unwrap().interval.is_none(), "one pair");
}

#[test]
fn a_target_that_takes_nothing_is_no_comparison() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (write(dir.path(), "a", "serve", ""), write(dir.path(), "b", "refuse", ""));
    let args = args(&[&a, &b, "--seconds", "0.1", "--warmup", "0", "--rate", "50"]).unwrap();
    let error = compare(&args, |_| ()).unwrap_err().to_string();
    assert!(error.contains("b: none of 5 requests") && error.contains("503: 5"), "{error}");
}

#[test]
fn the_pace_must_be_chosen() {
    assert!(args(&["a", "b"]).unwrap_err().to_string().contains("--rate"));
    assert!(args(&["a", "b", "--rate", "5", "--closed"]).is_err());
    assert!(args(&["a", "b", "--closed", "--rounds", "0"]).is_err());
    assert!(args(&["a", "b", "--closed", "--seconds", "0"]).is_err());
    assert!(args(&["a", "b", "--closed", "--cpus", "0,1", "--warmup", "0"]).is_ok());
}

/// A run with these numbers.
fn run(round: u32, of: Which, succeeded: u64, cpu_s: f64) -> Run {
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let totals =
        Totals { planned: succeeded, succeeded, succeeded_per_s: succeeded as f64, ..Totals::default() };
    let plan = Plan {
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
    };
    let load = LoadResult {
        version: 1,
        tool: String::new(),
        command: Vec::new(),
        started_at: String::new(),
        host: crate::host::Host::default(),
        plan,
        totals,
        latency: Distribution { p50_us: 100, p99_us: 200, ..Distribution::default() },
        uncorrected: Distribution::default(),
        kinds: Vec::new(),
        seconds: Vec::new(),
        generator: Generator::default(),
    };
    Run {
        round,
        of,
        window_s: 1.0,
        cpu_s,
        busy_share: 0.95,
        instructions: None,
        instructions_unavailable: Some("no counters here".into()),
        peak_rss_bytes: 1 << 20,
        sampled_rss_bytes: 1 << 20,
        sampled_pss_bytes: 0,
        killed: false,
        load,
    }
}

#[test]
fn rows_pair_the_runs_of_a_round() {
    let runs = [
        run(1, Which::A, 1000, 0.5),
        run(1, Which::B, 500, 1.0),
        run(2, Which::B, 400, 1.0),
        run(2, Which::A, 800, 0.5),
    ];
    let rows = rows(&runs);
    let of = |quantity| rows.iter().find(|row| row.quantity == quantity).unwrap();
    let throughput = of(Quantity::ThroughputPerS).ratio.unwrap();
    assert!((throughput.ratio - 2.0).abs() < 1e-9 && throughput.differs(), "{throughput:?}");
    let cpu = of(Quantity::CpuSPerMillion);
    assert!((cpu.ratio.unwrap().ratio - 0.25).abs() < 1e-9, "{cpu:?}");
    let instructions = of(Quantity::InstructionsPerRequest);
    assert_eq!((instructions.a, instructions.ratio), (None, None));
    assert_eq!(instructions.note.as_deref(), Some("not counted: no counters here"));
    assert!(of(Quantity::LatencyP50Us).note.is_none());
    assert!(warnings(&runs).is_empty());
}

#[test]
fn what_makes_rows_doubtful_is_said() {
    let mut runs = [run(1, Which::A, 1000, 0.5), run(1, Which::B, 500, 1.0)];
    runs[0].load.generator.bottleneck = Some("busy".into());
    runs[1].load.totals.failed = 3;
    runs[1].killed = true;
    let rows = rows(&runs);
    let note = rows[0].note.as_deref().unwrap();
    assert!(note.contains("throughput is the generator's; compare CPU per request"), "{note}");
    assert!(rows[1].note.as_deref().unwrap().contains("1 of 2 runs"));
    runs[0].load.generator.bottleneck = None;
    runs[1].busy_share = 0.3;
    let note = super::comparison::rows(&runs)[0].note.clone().unwrap();
    assert!(note.contains("A were only 95 % busy, of B 30 %"), "{note}");
    let warnings = warnings(&runs);
    assert!(warnings[0].starts_with("B: 3 of 500 requests failed"), "{warnings:?}");
    assert!(warnings[1].contains("killed"), "{warnings:?}");
}

#[test]
fn numbers_are_short_and_grouped() {
    for (value, text) in [
        (1_234_567.8, "1,234,568"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.012_34, "0.0123"),
        (0.0, "0"),
    ] {
        assert_eq!(grouped(value), text);
    }
}
