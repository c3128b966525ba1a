//! The highest rate that holds an objective: `bench-harness max --slo p99=20ms`.
//!
//! Every step is an open-loop run at a constant rate, with a warm-up that is not counted. [`search`] says which rate is
//! next. When it was the generator that gave up, the answer is "at least", not "max".

pub mod objective;
mod report;
pub mod search;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::host::Host;
use crate::load::{self, LoadError, Pace, Unobserved};
use crate::options::{LoadOptions, not_negative, positive};
use crate::result::LoadResult;
use crate::schedule::Schedule;
use crate::target::{Target, TargetError};
use objective::Objective;
use search::Search;

/// The version this code writes.
pub const VERSION: u32 = 1;

/// The search ends when the bracket is narrower than this.
const PRECISION: f64 = 0.03;

/// `bench-harness max`
#[derive(Clone, Debug, clap::Args)]
pub struct MaximumArgs {
    /// Where the load goes
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// The target may be another machine than this one
    #[arg(long)]
    pub allow_remote: bool,
    /// What must hold: p50, p90, p99, p999, p9999 = TIME, errors = PERCENT, separated by commas
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Objective,
    /// The first rate, in requests per second
    #[arg(long, default_value_t = 1000.0, value_parser = positive)]
    pub from: f64,
    /// Never send more than this many requests per second
    #[arg(long, default_value_t = 10_000_000.0, value_parser = positive)]
    pub ceiling: f64,
    /// Seconds of every step that count
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// Seconds before them that do not
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub warmup: f64,
    /// How often a rate must miss to count as missed
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub tries: u32,
    /// Where the result goes as JSON; - for standard output instead of the curve
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The load
    #[command(flatten)]
    pub load: LoadOptions,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Maximum {
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
    /// Where the load went.
    pub target: String,
    /// What had to hold.
    pub objective: Objective,
    /// The answer.
    pub verdict: Verdict,
    /// Every step, in the order they were made.
    pub points: Vec<Point>,
}

/// The answer. Rates are in requests per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// `rate` holds; `missed` does not, and is less than 3 % higher.
    Max {
        /// The highest that held.
        rate: f64,
        /// The lowest that did not.
        missed: f64,
    },
    /// `rate` holds, and more could not be tried.
    AtLeast {
        /// The highest that held.
        rate: f64,
        /// What stood in the way.
        because: String,
    },
    /// No rate holds.
    Nothing {
        /// What stood in the way.
        because: String,
    },
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Requests per second that were planned.
    pub rate: f64,
    /// Whether it held the objective.
    pub held: bool,
    /// What it missed, in words.
    pub missed: Vec<String>,
    /// What was measured, in full.
    pub load: LoadResult,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum MaximumError {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The result can't be written.
    #[error("write {}: {error}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// Runs the command: the curve on standard output, progress on standard error. Fails (exit status 1) when no rate holds.
///
/// # Errors
/// When a step could not be run, or the JSON not be written.
pub fn run(args: &MaximumArgs) -> Result<ExitCode, MaximumError> {
    let maximum = find(args, |point| eprintln!("{}", report::step(point)))?;
    let to_stdout = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = &args.json {
        let failed = |error| MaximumError::Write { path: path.clone(), error };
        let json = serde_json::to_string(&maximum).map_err(|error| failed(error.into()))?;
        if to_stdout {
            println!("{json}");
        } else {
            std::fs::write(path, json + "\n").map_err(failed)?;
        }
    }
    if !to_stdout {
        print!("{maximum}");
    }
    let found = !matches!(maximum.verdict, Verdict::Nothing { .. });
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the search; `progress` hears of every step.
///
/// # Errors
/// When a step could not be run.
pub fn find(args: &MaximumArgs, progress: impl FnMut(&Point)) -> Result<Maximum, MaximumError> {
    let target = Target::resolve(&args.target, args.allow_remote)?;
    let started_at = OffsetDateTime::now_utc();
    let at = |rate, seconds| {
        let pace = Pace::Open(Schedule::constant(rate, seconds));
        load::run(&args.load.plan(target.clone(), pace, &args.load.cpus), &Arc::default(), |_| Unobserved)
    };
    let step = |rate| {
        if args.warmup > 0.0 {
            at(rate, args.warmup)?;
        }
        at(rate, args.seconds).map(|(result, _)| result)
    };
    let search = Search::new(args.from, args.ceiling, PRECISION, args.tries);
    let (search, points) = climb(search, &args.slo, step, progress)?;
    Ok(Maximum {
        version: VERSION,
        tool: concat!("bench-harness ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: std::env::args().collect(),
        started_at: started_at.format(&Rfc3339).unwrap_or_default(),
        host: Host::read(),
        target: args.target.clone(),
        objective: args.slo.clone(),
        verdict: verdict(&search, &points),
        points,
    })
}

/// Steps until the search knows enough. `step` makes the run at a rate.
fn climb(
    mut search: Search,
    objective: &Objective,
    mut step: impl FnMut(f64) -> Result<LoadResult, LoadError>,
    mut progress: impl FnMut(&Point),
) -> Result<(Search, Vec<Point>), LoadError> {
    let mut points = Vec::new();
    while let Some(rate) = search.next() {
        let load = step(rate)?;
        let missed = objective.missed(&load);
        let point = Point { rate, held: missed.is_empty(), missed, load };
        search.saw(rate, point.held);
        progress(&point);
        points.push(point);
    }
    Ok((search, points))
}

/// What the steps come to.
fn verdict(search: &Search, points: &[Point]) -> Verdict {
    // Only the generator's trouble at the lowest rate that missed stands between us and an answer.
    let bottleneck = search.missed().and_then(|missed| {
        let there = points.iter().filter(|point| point.rate.total_cmp(&missed).is_eq());
        there.filter_map(|point| point.load.generator.bottleneck.clone()).next_back()
    });
    match (search.held(), search.missed(), bottleneck) {
        (Some(rate), _, Some(why)) => Verdict::AtLeast { rate, because: format!("the generator: {why}") },
        (Some(rate), Some(missed), None) => Verdict::Max { rate, missed },
        (Some(rate), None, None) => {
            Verdict::AtLeast { rate, because: "more was not asked for (--ceiling)".to_owned() }
        }
        (None, _, Some(why)) => Verdict::Nothing { because: format!("the generator: {why}") },
        (None, _, None) => {
            let last = points.last().map_or_else(String::new, |point| point.missed.join(", "));
            let rate = points.last().map_or(0.0, |point| point.rate);
            Verdict::Nothing { because: format!("at {rate} requests/s: {last}") }
        }
    }
}
