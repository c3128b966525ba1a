//! The command line: which command, and what its end says to the shell.
//!
//! Exit codes: 0 the run was made (and, for `audit`, nothing acknowledged is lost; for `max`, some rate holds),
//! 1 it was made and the answer is no, or it broke on the way, 2 it was asked for in a way that makes no sense.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::audit::record::RecordForm;
use crate::audit::run::audit;
use crate::audit::store;
use crate::load::{self, Live, LoadPlan, Unobserved};
use crate::options::{LoadOptions, ScheduleOptions, not_negative};
use crate::report::page::page;
use crate::report::progress::Progress;
use crate::report::schema::schema;
use crate::report::summary::summary;
use crate::result::LoadResult;
use crate::target::Target;
use crate::{compare, evil, maximum};

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
    /// Send load, read the sink back, and say what the answers were worth; exit 1 if anything acknowledged is lost
    Audit(AuditArgs),
    /// Search the highest rate that holds an objective, as in --slo p99=20ms
    Max(maximum::MaximumArgs),
    /// Start two targets in turn, A B A B, and report ratios with their uncertainty
    Compare(compare::run::CompareArgs),
    /// Let misbehaving clients loose beside a well-behaved load, and report what they cost it
    Evil(evil::run::EvilArgs),
    /// Print the JSON schema of results
    Schema,
}

/// One run of load.
#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// Where to send, as in `http://127.0.0.1:8088/collect`
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

/// A run of load, and what it left in the sink.
#[derive(Debug, clap::Args)]
struct AuditArgs {
    #[command(flatten)]
    run: LoadArgs,
    /// The sink to read back: `file:DIR`, `kafka:BROKERS/TOPIC` or `kinesis:STREAM`
    #[arg(long, value_name = "STORE")]
    store: String,
    /// A property for reading, as name=value; may be given more than once: librdkafka's for Kafka; region, endpoint and
    /// deaggregate for Kinesis; `include_open` for files
    #[arg(long, value_name = "NAME=VALUE")]
    store_property: Vec<String>,
    /// What a stored record looks like
    #[arg(long, value_enum, default_value_t)]
    form: RecordForm,
    /// How long the sink may stand still before what is missing counts as lost, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = not_negative)]
    settle: f64,
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
        Command::Audit(args) => run_audit(&args),
        Command::Max(args) => maximum::run(&args).map_err(Failure::runtime),
        Command::Compare(args) => compare::run::run(&args).map_err(Failure::runtime),
        Command::Evil(args) => evil::run::run(&args).map_err(Failure::runtime),
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
    let result = watched(&args.plan()?, |plan, live| load::run(plan, live, |_| Unobserved))?.0;
    if !args.prints_json() {
        print!("{}", summary(&result));
    }
    args.write_page(&result)?;
    args.write_json(&result)?;
    // A run in which nothing succeeded is made, but hardly what was wanted.
    Ok(if result.totals.succeeded > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_audit(args: &AuditArgs) -> Result<ExitCode, Failure> {
    let plan = args.run.plan()?;
    // Opened first: what is in a topic already is not of this run.
    let mut store = store::open(&args.store, &args.store_property).map_err(Failure::usage)?;
    let settle = Duration::from_secs_f64(args.settle);
    let result = watched(&plan, |plan, live| audit(plan, &mut *store, args.form, settle, live))?;
    if !args.run.prints_json() {
        print!("{}\n{}\n{}", summary(&result.load), result.store, result.verdict);
    }
    args.run.write_page(&result.load)?;
    args.run.write_json(&result)?;
    Ok(result.exit_code())
}

/// Runs the plan beside a progress bar.
fn watched<T, E: std::fmt::Display>(
    plan: &LoadPlan,
    run: impl FnOnce(&LoadPlan, &Arc<Live>) -> Result<T, E>,
) -> Result<T, Failure> {
    let live = Arc::new(Live::default());
    let progress = Progress::start(Arc::clone(&live), plan.pace.length());
    let result = run(plan, &live);
    progress.finish();
    result.map_err(Failure::runtime)
}

impl LoadArgs {
    fn plan(&self) -> Result<LoadPlan, Failure> {
        let target = Target::resolve(&self.target, self.allow_remote).map_err(Failure::usage)?;
        Ok(self.load.plan(target, self.pace.pace(), &self.load.cpus))
    }

    fn prints_json(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }

    fn write_json(&self, result: &impl serde::Serialize) -> Result<(), Failure> {
        let Some(file) = &self.json else { return Ok(()) };
        let text = serde_json::to_string(result).map_err(Failure::runtime)?;
        if self.prints_json() {
            println!("{text}");
            return Ok(());
        }
        write(file, &text)
    }

    fn write_page(&self, result: &LoadResult) -> Result<(), Failure> {
        let Some(file) = &self.html else { return Ok(()) };
        write(file, &page(&result.plan.target, &[(&result.plan.target, result)]))
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| Failure::runtime(format!("{}: {error}", file.display())))
}
