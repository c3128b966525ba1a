//! What a comparison found: every number as a pair, with the ratio and its interval. Pure: from runs to rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::statistics::{Ratio, geometric_mean};
use crate::host::Host;
use crate::result::LoadResult;

/// The version this code writes.
pub const VERSION: u32 = 1;

/// Below this share of its CPUs a target in a closed loop is not at its limit.
const BUSY_SHARE_MIN: f64 = 0.8;

/// Two targets, run in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// [`VERSION`].
    pub version: u32,
    /// `bench-harness` and its version.
    pub tool: String,
    /// The exact command line.
    pub command: Vec<String>,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// The machine it ran on.
    pub host: Host,
    /// How the ratios and intervals are made.
    pub method: String,
    /// The first target.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Pairs of runs.
    pub rounds: u32,
    /// Length of a measured run, in seconds.
    pub seconds: f64,
    /// Length of the load before it that is not measured, in seconds.
    pub warmup_seconds: f64,
    /// Both targets ran all the time; else each was started anew for every run.
    pub kept_running: bool,
    /// CPUs of the load generator; empty = not pinned.
    pub generator_cpus: Vec<usize>,
    /// What a reader must know before believing the rows.
    pub warnings: Vec<String>,
    /// One per quantity.
    pub rows: Vec<Row>,
    /// Every run, in the order they were made.
    pub runs: Vec<Run>,
}

/// One of the targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// The file that describes it.
    pub file: String,
    /// What started it.
    pub command: Vec<String>,
    /// What its version command printed.
    pub version: Option<String>,
    /// Where the load went.
    pub url: String,
    /// CPUs of its process tree; empty = all.
    pub cpus: Vec<usize>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Which {
    /// The first.
    A,
    /// The second.
    B,
}

/// One measured run. Everything but `load` is of the target's whole process tree, within the measured window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Counted from 1.
    pub round: u32,
    /// Of which target.
    pub of: Which,
    /// Length of the window, in seconds. It holds the load's connecting, too.
    pub window_s: f64,
    /// CPU time used, in seconds.
    pub cpu_s: f64,
    /// The same as a share of what its CPUs could have given, 0 to 1.
    pub busy_share: f64,
    /// User-space instructions; none when they could not be counted.
    pub instructions: Option<f64>,
    /// Why they could not be counted.
    pub instructions_unavailable: Option<String>,
    /// Sum of the most that each process had resident at once since it was started.
    pub peak_rss_bytes: u64,
    /// The most that was resident in a sample, of one a second.
    pub sampled_rss_bytes: u64,
    /// The same with shared pages divided among their users; 0 = unknown.
    pub sampled_pss_bytes: u64,
    /// It had to be killed, or left processes behind.
    pub killed: bool,
    /// What the client saw.
    pub load: LoadResult,
}

/// A quantity of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// What it is.
    pub quantity: Quantity,
    /// Geometric mean over A's runs; none when a run has no such value.
    pub a: Option<f64>,
    /// Over B's.
    pub b: Option<f64>,
    /// A/B.
    pub ratio: Option<Ratio>,
    /// What the ratio does not say.
    pub note: Option<String>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Requests answered 2xx per second.
    ThroughputPerS,
    /// Median latency in µs.
    LatencyP50Us,
    /// 99 % latency in µs.
    LatencyP99Us,
    /// CPU seconds of the target per million requests answered 2xx.
    CpuSPerMillion,
    /// User-space instructions of the target per request answered 2xx.
    InstructionsPerRequest,
    /// Peak resident memory of the target, in bytes.
    PeakRssBytes,
}

impl Quantity {
    /// All, in the order of the rows.
    pub const ALL: [Self; 6] = [
        Self::ThroughputPerS,
        Self::LatencyP50Us,
        Self::LatencyP99Us,
        Self::CpuSPerMillion,
        Self::InstructionsPerRequest,
        Self::PeakRssBytes,
    ];

    /// Its value in a run.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    pub fn of(self, run: &Run) -> Option<f64> {
        let requests = run.load.totals.succeeded as f64;
        let value = match self {
            Self::ThroughputPerS => run.load.totals.succeeded_per_s,
            Self::LatencyP50Us => run.load.latency.p50_us as f64,
            Self::LatencyP99Us => run.load.latency.p99_us as f64,
            Self::CpuSPerMillion => run.cpu_s * 1e6 / requests,
            Self::InstructionsPerRequest => run.instructions? / requests,
            Self::PeakRssBytes => run.peak_rss_bytes as f64,
        };
        (value > 0.0 && value.is_finite()).then_some(value)
    }
}

/// The rows of these runs: the pairs are the rounds.
#[must_use]
pub fn rows(runs: &[Run]) -> Vec<Row> {
    Quantity::ALL.iter().map(|&quantity| row(quantity, runs)).collect()
}

fn row(quantity: Quantity, runs: &[Run]) -> Row {
    let of = |which| runs.iter().filter(move |run| run.of == which);
    let values = |which| of(which).map(|run| quantity.of(run)).collect::<Option<Vec<f64>>>();
    let mean = |which| values(which).and_then(|values| geometric_mean(&values));
    let pairs: Option<Vec<(f64, f64)>> = of(Which::A)
        .map(|a| {
            let b = of(Which::B).find(|b| b.round == a.round)?;
            Some((quantity.of(a)?, quantity.of(b)?))
        })
        .collect();
    Row {
        quantity,
        a: mean(Which::A),
        b: mean(Which::B),
        ratio: pairs.and_then(|pairs| Ratio::of(&pairs)),
        note: note(quantity, runs),
    }
}

/// What the ratio does not say.
fn note(quantity: Quantity, runs: &[Run]) -> Option<String> {
    let limited = runs.iter().filter(|run| run.load.generator.bottleneck.is_some()).count();
    let by_generator = |what: &str| {
        let often = format!("the generator was the limit in {limited} of {} runs", runs.len());
        (limited > 0).then(|| format!("{often}: {what}; compare CPU per request"))
    };
    let open = runs.iter().any(|run| run.load.plan.schedule.is_some());
    match quantity {
        Quantity::ThroughputPerS if open => by_generator("throughput is the generator's")
            .or_else(|| Some("both were sent the same rate: 1 means that both kept up".to_owned())),
        Quantity::ThroughputPerS => by_generator("throughput is the generator's").or_else(|| idle(runs)),
        Quantity::LatencyP50Us | Quantity::LatencyP99Us => {
            by_generator("latency holds the generator's own delay")
        }
        Quantity::InstructionsPerRequest => runs
            .iter()
            .find_map(|run| run.instructions_unavailable.clone())
            .map(|why| format!("not counted: {why}")),
        Quantity::CpuSPerMillion | Quantity::PeakRssBytes => None,
    }
}

/// Said of a closed loop that left the targets' CPUs idle: then their speed is not what was measured.
fn idle(runs: &[Run]) -> Option<String> {
    let busy = |which| {
        let of = runs.iter().filter(|run| run.of == which);
        of.map(|run| run.busy_share).fold(1.0, f64::min)
    };
    let (a, b) = (busy(Which::A), busy(Which::B));
    (a.min(b) < BUSY_SHARE_MIN).then(|| {
        let percent = |share: f64| (share * 100.0).round();
        format!(
            "in a run the CPUs of A were only {} % busy, of B {} %: something else was the limit (the generator, a wait, a single thread); compare CPU per request",
            percent(a),
            percent(b)
        )
    })
}

/// What a reader must know of these runs before believing the rows.
#[must_use]
pub fn warnings(runs: &[Run]) -> Vec<String> {
    let mut warnings = Vec::new();
    for which in [Which::A, Which::B] {
        let of: Vec<&Run> = runs.iter().filter(|run| run.of == which).collect();
        let sum = |count: fn(&Run) -> u64| of.iter().map(|run| count(run)).sum::<u64>();
        let (planned, failed) = (sum(|run| run.load.totals.planned), sum(|run| run.load.totals.failed));
        if failed > 0 {
            warnings.push(format!(
                "{which:?}: {failed} of {planned} requests failed; they are in no other number"
            ));
        }
        let killed = of.iter().filter(|run| run.killed).count();
        if killed > 0 {
            warnings.push(format!("{which:?}: had to be killed, or left processes behind, {killed} times"));
        }
    }
    if runs.iter().all(|run| run.round <= 1) {
        warnings.push("one round: nobody can say how much of a ratio is chance; use --rounds 5".to_owned());
    }
    warnings
}
