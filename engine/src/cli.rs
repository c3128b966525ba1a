//! The command line.
//!
//! | code | means |
//! | --- | --- |
//! | 0 | clean end |
//! | 1 | failure while running |
//! | 2 | wrong usage or configuration |

mod health;
mod journal;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Loaded, Settings, Sink, SinkKind, Sources};
use crate::engine::{self, Engine};
use crate::observe::log;

/// Failure while running.
const FAILED: u8 = 1;
/// Wrong usage or configuration; also what clap exits with.
const MISUSED: u8 = 2;

/// How long `check --connect` waits for each sink.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An ingestion engine for SDK event traffic.
#[derive(Debug, Parser)]
#[command(name = "millrun", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Configuration file (TOML); without one the embedded default runs: events into ./data
    #[arg(long, short, value_name = "FILE", env = "MILLRUN_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Serve (the default)
    Run,
    /// Validate the configuration and say what it means
    Check {
        /// Reach every sink as well, and say what was found
        #[arg(long)]
        connect: bool,
    },
    /// Print the effective configuration, secrets hidden
    Config,
    /// Ask the running engine whether it lives: exit code 0 or 1
    Health,
    /// Look at a journal's directory, or deliver what it holds
    Journal {
        #[command(subcommand)]
        command: journal::JournalCommand,
    },
}

/// Parses the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A journal is looked at without any configuration.
    if let Some(Command::Journal { command }) = &cli.command {
        return journal::run(command, &cli.options);
    }
    let loaded = match load(&cli.options) {
        Ok(loaded) => loaded,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(MISUSED);
        }
    };
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run(loaded, &cli.options),
        Command::Check { connect } => check(&loaded, connect),
        Command::Config => {
            print!("{}", loaded.effective);
            ExitCode::SUCCESS
        }
        Command::Health => health::run(&loaded.settings),
        Command::Journal { command } => journal::run(&command, &cli.options),
    }
}

fn load(options: &Options) -> Result<Loaded, String> {
    let file = match &options.config {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                format!("error: {name}: {error}; name a file that can be read with --config")
            })?;
            Some((name, text))
        }
    };
    let environment: BTreeMap<_, _> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    config::load(&Sources { file, environment }).map_err(|errors| errors.to_string())
}

fn run(loaded: Loaded, options: &Options) -> ExitCode {
    if let Err(error) = log::init(&loaded.settings.log) {
        eprintln!("error: {error}");
        return ExitCode::from(MISUSED);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let settings = loaded.settings.clone();
    match engine::start(loaded) {
        Ok(engine) => {
            announce(&engine, &settings);
            if engine.serve(&|| load(options)) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is_configuration() { MISUSED } else { FAILED })
        }
    }
}

/// What a person wants to know first: where it listens, where the events go, and a line to try.
fn announce(engine: &Engine, settings: &Settings) {
    tracing::info!(driver = engine.driver.name(), why = %engine.driver.why, "driver chosen");
    for line in engine.plan.to_string().lines() {
        tracing::info!("{line}");
    }
    if let Some(lowered) = &engine.plan.lowered {
        tracing::warn!("{lowered}");
    }
    for route in &settings.routes {
        let sink = &settings.sinks[route.sink];
        let (address, path) = (engine.address, &route.path);
        tracing::info!(route = %route.name, "http://{address}{path} -> {}", destination(sink));
        tracing::info!("try: curl -i -d '[{{\"event\":\"hello\"}}]' 'http://{address}{path}?appId=demo'");
    }
    if let Some(admin) = engine.admin_address {
        tracing::info!("live page, /health, /ready, /metrics, /sinks, /config: http://{admin}/");
    } else {
        tracing::info!("the admin port is switched off");
    }
}

fn destination(sink: &Sink) -> String {
    match &sink.kind {
        SinkKind::Null(_) => format!("sink {}: nowhere (null)", sink.name),
        SinkKind::File(options) => format!("sink {}: files below {}", sink.name, options.dir.display()),
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => {
            format!("sink {}: topic {} at {}", sink.name, options.topic, options.brokers)
        }
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => {
            let region = options.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
            let endpoint = options.endpoint.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
            format!("sink {}: stream {}{region}{endpoint}", sink.name, options.stream)
        }
        #[cfg(feature = "s3")]
        SinkKind::S3(options) => {
            let endpoint = options.endpoint.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
            format!("sink {}: s3://{}/{}{endpoint}", sink.name, options.bucket, options.prefix)
        }
    }
}

fn check(loaded: &Loaded, connect: bool) -> ExitCode {
    let settings = &loaded.settings;
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    for route in &settings.routes {
        println!("ok: route.{}: {} -> {}", route.name, route.path, destination(&settings.sinks[route.sink]));
    }
    println!("ok: the configuration is valid");
    if !connect {
        return ExitCode::SUCCESS;
    }
    // A fault has a few words; what exactly the sink said, and the way out, is in the log.
    if let Err(error) = log::init(&settings.log) {
        eprintln!("error: {error}");
        return ExitCode::from(MISUSED);
    }
    let mut reached = true;
    for sink in &settings.sinks {
        match reach(sink) {
            Ok(findings) => findings.iter().for_each(|finding| println!("ok: sink.{}: {finding}", sink.name)),
            Err(fault) => {
                reached = false;
                println!("error: sink.{}: {fault}", sink.name);
            }
        }
    }
    if reached { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn reach(sink: &Sink) -> millrun_sinks::CheckReport {
    match &sink.kind {
        SinkKind::Null(_) => Ok(vec!["null stores nothing and needs nothing".into()]),
        SinkKind::File(options) => millrun_sinks::file::check(options),
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => millrun_sinks::kafka::check(options, CONNECT_TIMEOUT),
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => millrun_sinks::kinesis::check(options, CONNECT_TIMEOUT),
        #[cfg(feature = "s3")]
        SinkKind::S3(options) => millrun_sinks::s3::check(options, CONNECT_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["millrun"]).unwrap().command.is_none());
        let check = Cli::try_parse_from(["millrun", "check", "--connect", "--config", "x"]).unwrap();
        assert!(matches!(check.command, Some(Command::Check { connect: true })));
        let health = Cli::try_parse_from(["millrun", "health", "--config", "x"]).unwrap();
        assert!(matches!(health.command, Some(Command::Health)));
        assert!(Cli::try_parse_from(["millrun", "--frobnicate"]).is_err());
        for line in [
            "millrun journal ls data/journal --json",
            "millrun journal verify data/journal",
            "millrun journal export data/journal --sink main --all",
            "millrun journal replay --config x --dir data/journal --sink main",
        ] {
            let command = Cli::try_parse_from(line.split(' ')).unwrap().command;
            assert!(matches!(command, Some(Command::Journal { .. })), "{line}");
        }
    }
}
