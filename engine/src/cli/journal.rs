//! `millrun journal`: looking at a journal's directory, and delivering what it holds.

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Subcommand;
use millrun_sinks::{OpenError, Wake};

use super::{FAILED, MISUSED, Options};
use crate::config::{Settings, Sink, SinkKind};
use crate::journal::disk::OsDisk;
use crate::journal::offline::replay::{ReplayError, Replayed, replay};
use crate::journal::{self, SinkPlan, offline};
use crate::lane::LaneLimits;

/// What to do with a journal's directory.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// List streams and segments: batches, records, bytes, what is delivered
    Ls {
        /// The journal's directory, or a copy of it
        dir: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every batch; exit code 1 when something is damaged
    Verify {
        /// The journal's directory, or a copy of it
        dir: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write undelivered records to standard output, one JSON object a line
    Export {
        /// The journal's directory, or a copy of it
        dir: PathBuf,
        /// Only of this sink
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
        /// Delivered ones that are still there as well
        #[arg(long)]
        all: bool,
    },
    /// Deliver everything undelivered to the sink of the configuration, and mark it delivered
    Replay {
        /// The journal's directory; no engine may run on it
        #[arg(long)]
        dir: PathBuf,
        /// Only of this sink
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
    },
    /// Deliver the journal of the configuration and end, serving nothing: for a host that goes. Exit code 1 when
    /// something stays
    Drain {
        /// Most seconds that it may take
        #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout_s: u64,
    },
}

pub(super) fn run(command: &JournalCommand, options: &Options) -> ExitCode {
    let result = match command {
        JournalCommand::Ls { dir, json } => look(dir, *json, false),
        JournalCommand::Verify { dir, json } => look(dir, *json, true),
        JournalCommand::Export { dir, sink, all } => export(dir, sink.as_deref(), *all),
        JournalCommand::Replay { dir, sink } => replay_all(dir, sink.as_deref(), options),
        JournalCommand::Drain { timeout_s } => drain(Duration::from_secs(*timeout_s), options),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.text);
        ExitCode::from(failure.code)
    })
}

struct Failure {
    code: u8,
    text: String,
}

#[allow(clippy::needless_pass_by_value, reason = "an error is handed over")]
fn failed(text: impl ToString) -> Failure {
    Failure { code: FAILED, text: text.to_string() }
}

#[allow(clippy::needless_pass_by_value, reason = "an error is handed over")]
fn misused(text: impl ToString) -> Failure {
    Failure { code: MISUSED, text: text.to_string() }
}

fn inventory(dir: &Path) -> Result<offline::Inventory, Failure> {
    if let Some(pid) = offline::holder(dir) {
        let who = pid.map_or("a process".to_owned(), |pid| format!("the process {pid}"));
        eprintln!(
            "note: {who} works on {}: what is being written now may look torn or missing",
            dir.display()
        );
    }
    offline::take(&mut OsDisk, dir).map_err(|error| failed(format!("{}: {error}", dir.display())))
}

fn look(dir: &Path, json: bool, verify: bool) -> Result<ExitCode, Failure> {
    let inventory = inventory(dir)?;
    let text = match (json, verify) {
        (true, _) => serde_json::to_string_pretty(&inventory).map_err(failed)? + "\n",
        (false, true) => offline::verify_text(&inventory),
        (false, false) => offline::list_text(&inventory),
    };
    io::stdout().write_all(text.as_bytes()).map_err(failed)?;
    let damaged = verify && !inventory.damage.is_empty();
    Ok(if damaged { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn export(dir: &Path, sink: Option<&str>, all: bool) -> Result<ExitCode, Failure> {
    let inventory = inventory(dir)?;
    if let Some(name) = sink
        && !inventory.sinks.iter().any(|sink| sink.name == name)
    {
        return Err(misused(format!("--sink {name}: {} has no such sink", dir.display())));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let exported = offline::export(&mut OsDisk, &inventory, sink, all, &mut out)
        .and_then(|exported| out.flush().map(|()| exported))
        .map_err(failed)?;
    eprintln!("{} records", exported.records);
    for damage in &inventory.damage {
        eprintln!("damaged: {}: {}", damage.path.display(), damage.what);
    }
    let whole = inventory.damage.is_empty() && exported.unreadable == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn replay_all(dir: &Path, only: Option<&str>, options: &Options) -> Result<ExitCode, Failure> {
    let loaded = super::load(options).map_err(|text| misused(text.trim_start_matches("error: ")))?;
    let settings = &loaded.settings;
    crate::observe::log::init(&settings.log).map_err(misused)?;
    let names: Vec<String> = inventory(dir)?.sinks.into_iter().map(|sink| sink.name).collect();
    let chosen: Vec<&Sink> = settings
        .sinks
        .iter()
        .filter(|sink| names.contains(&sink.name) && only.is_none_or(|name| name == sink.name))
        .collect();
    if chosen.is_empty() {
        return Err(misused(format!(
            "{} holds the sinks {names:?}: none of them is configured{}",
            dir.display(),
            only.map_or_else(String::new, |name| format!(" as {name:?}"))
        )));
    }
    let plan = |sink: &&Sink| SinkPlan { name: sink.name.clone(), shards: 0 };
    let options = journal::Options {
        dir: dir.to_path_buf(),
        bytes_max: u64::MAX / 2,
        segment_bytes: 4096,
        spares_max: 0,
        batch_bytes_max: settings.batch.arena_bytes,
        batch_records_max: settings.batch.records_max,
        sinks: chosen.iter().map(plan).collect(),
    };
    let mut journal = journal::open(OsDisk, &options, fastrand::u64(..)).map_err(failed)?;
    for (number, (sink, part)) in (0_u16..).zip(chosen.into_iter().zip(&mut journal.sinks)) {
        #[cfg(feature = "s3")]
        if let SinkKind::S3(options) = &sink.kind {
            let records = ship(&mut journal.keeper, &mut part.reader, sink, options, settings, dir)?;
            eprintln!("sink {}: {records} records are delivered", sink.name);
            continue;
        }
        let replayed = to_sink(&mut journal.keeper, &mut part.reader, sink, settings, number)?;
        let Replayed { batches, records } = replayed;
        eprintln!("sink {}: {records} records in {batches} batches are delivered", sink.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine that is told to end as soon as it has started: what it delivers, and how, is what a served one would. It has
/// no admin port, and a data port that nobody knows.
fn drain(most: Duration, options: &Options) -> Result<ExitCode, Failure> {
    let mut loaded = super::load(options).map_err(|text| misused(text.trim_start_matches("error: ")))?;
    let settings = &mut loaded.settings;
    crate::observe::log::init(&settings.log).map_err(misused)?;
    let dir = settings.journal.dir.clone();
    if !(0..settings.sinks.len()).any(|sink| settings.is_journaled(sink)) {
        return Err(misused(
            "no route of the configuration has ack = \"journaled\", and no sink outage = \"journal\": there is no journal \
             to drain",
        ));
    }
    // Opening it would make it, with segments of its own.
    if !dir.exists() {
        return Err(misused(format!("journal.dir = \"{}\": there is no such directory", dir.display())));
    }
    settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.shards = Some(1);
    settings.server.drain_delay = Duration::ZERO;
    settings.admin.listen = None;
    settings.metrics.emf = false;
    settings.drain.waits_for_journal = true;
    settings.drain.stop_timeout = most + crate::config::STOP_LEAD;
    let engine = crate::engine::start(loaded).map_err(|error| Failure {
        code: if error.is_configuration() { MISUSED } else { FAILED },
        text: error.to_string(),
    })?;
    Ok(if engine.drain() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Through no lane: objects of many batches, under the names that an engine would have given them.
#[cfg(feature = "s3")]
fn ship(
    keeper: &mut journal::Keeper<OsDisk>,
    reader: &mut journal::Reader<OsDisk>,
    sink: &Sink,
    options: &millrun_sinks::s3::Options,
    settings: &Settings,
    dir: &Path,
) -> Result<u64, Failure> {
    let accounts_dir = dir.join(&sink.name).join(crate::shipping::ACCOUNTS);
    let journal = millrun_sinks::s3::JournalShape {
        batch_bytes_max: settings.batch.arena_bytes,
        batch_records_max: settings.batch.records_max,
        accounts_dir: &accounts_dir,
    };
    let keep = || {
        keeper.turn();
    };
    let records = crate::shipping::ship_all(options, reader, journal, keep)
        .map_err(|error| misused(format!("sink.{}.{error}", sink.name)))?;
    keeper.turn();
    keeper.close();
    Ok(records)
}

fn to_sink(
    keeper: &mut journal::Keeper<OsDisk>,
    reader: &mut journal::Reader<OsDisk>,
    sink: &Sink,
    settings: &Settings,
    lane: u16,
) -> Result<Replayed, Failure> {
    let limits = LaneLimits {
        lane,
        shards: 1,
        slots: 1,
        retry_initial: settings.ack.retry_initial,
        retry_max: settings.ack.retry_max,
        breaker_failures: settings.ack.breaker_failures,
        breaker_open: settings.ack.breaker_open,
        seed: fastrand::u64(..),
    };
    let batch = offline::replay::batch(settings.batch.arena_bytes, settings.batch.records_max);
    let me = thread::current();
    let wake = Wake::new(move || me.unpark());
    let opened = |error: OpenError| misused(format!("sink.{}.{error}", sink.name));
    let replayed: Result<Replayed, ReplayError> = match &sink.kind {
        SinkKind::Null(options) => {
            replay(keeper, reader, millrun_sinks::null::open(options, wake), limits, batch)
        }
        SinkKind::File(options) => {
            let sink =
                millrun_sinks::file::open(options, std::time::SystemTime::now, wake).map_err(opened)?;
            replay(keeper, reader, sink, limits, batch)
        }
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => {
            let sink = millrun_sinks::kafka::open(options, wake).map_err(opened)?;
            replay(keeper, reader, sink, limits, batch)
        }
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => {
            let sink = millrun_sinks::kinesis::open(options, wake).map_err(opened)?;
            replay(keeper, reader, sink, limits, batch)
        }
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => unreachable!("it is shipped, not relayed"),
    };
    replayed.map_err(failed)
}
