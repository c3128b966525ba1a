//! The command line: which command, and what its end says to the shell.
//!
//! Exit codes: 0 the run was made (and, for `audit`, nothing acknowledged is lost; for `max`, some rate holds),
//! 1 it was made and the answer is no, or it broke on the way, 2 it was asked for in a way that makes no sense.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::load::{self, Live, LoadPlan, Unobserved};
use crate::options::{LoadOptions, ScheduleOptions};
use crate::report::page::page;
use crate::report::progress::Progress;
use crate::report::schema::schema;
use crate::report::summary::summary;
use crate::result::LoadResult;
use crate::target::Target;
use crate::{compare, maximum};

/// Load, audit and compare HTTP ingestion endpoints: open loop, whole distributions, nothing acknowledged may be lost.
#[derive(Debug, Parser)]
#[command(name = "bench-harness", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send load at planned times and report the whole distribution of answer times
    Load(LoadArgs),
    /// Search the highest rate that holds an objective, as in --slo p99=20ms
    Max(maximum::MaximumArgs),
    /// Start two targets in turn, A B A B, and report ratios with their uncertainty
    Compare(compare::run::CompareArgs),
    /// Print the JSON schema of results
    Schema,
}

/// One run of load.
#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// Where to send: http://HOST[:PORT]/PATH
    #[arg(long, value_name = "URL")]
    target: String,
    /// Send to another host than this one
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    pace: ScheduleOptions,
    #[command(flatten)]
    load: LoadOptions,
    /// Write the result as JSON; - for standard output, instead of the summary
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the result as one HTML page with pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// An error with the exit code that fits it.
#[derive(Debug)]
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn usage(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), code: 2 }
    }

    fn runtime(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), code: 1 }
    }
}

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Load(args) => run_load(&args),
        Command::Max(args) => maximum::run(&args).map_err(Failure::runtime),
        Command::Compare(args) => compare::run::run(&args).map_err(Failure::runtime),
        Command::Schema => {
            print!("{}", schema());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|failure| {
        eprintln!("bench-harness: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

fn run_load(args: &LoadArgs) -> Result<ExitCode, Failure> {
    let target = Target::resolve(&args.target, args.allow_remote).map_err(Failure::usage)?;
    let plan = args.load.plan(target, args.pace.pace(), &args.load.cpus);
    let result = watched(&plan).map_err(Failure::runtime)?;
    if args.json.as_deref() != Some(Path::new("-")) {
        print!("{}", summary(&result));
    }
    write_result(&result, args.json.as_deref(), args.html.as_deref())?;
    // A run in which nothing succeeded is made, but hardly what was wanted.
    Ok(if result.totals.succeeded > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the plan beside a progress bar.
fn watched(plan: &LoadPlan) -> Result<LoadResult, load::LoadError> {
    let live = Arc::new(Live::default());
    let progress = Progress::start(Arc::clone(&live), plan.pace.length());
    let result = load::run(plan, &live, |_| Unobserved);
    progress.finish();
    result.map(|(result, _)| result)
}

fn write_result(result: &LoadResult, json: Option<&Path>, html: Option<&Path>) -> Result<(), Failure> {
    if let Some(file) = json {
        let text = serde_json::to_string(result).map_err(Failure::runtime)?;
        if file == Path::new("-") {
            println!("{text}");
        } else {
            write(file, &text)?;
        }
    }
    if let Some(file) = html {
        write(file, &page(&result.plan.target, &[(&result.plan.target, result)]))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| Failure::runtime(format!("{}: {error}", file.display())))
}
