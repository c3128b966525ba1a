//! What is counted, and how.
//!
//! An engine serves N requests first, so that the start and the first use of everything are behind it; the cost per
//! request is what the next N cost, divided by N. Callgrind is asked for both halves. Of system calls, which strace sums
//! up at the end, it is the difference between two runs, one with N requests and one with 2 N.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use support::kafka::KafkaServer;

use crate::callgrind::Profile;
use crate::client;
use crate::process::{Driver, Engine, RunError, Tool};
use crate::strace::Calls;

/// N: large enough that what runs by the clock (ticks, publishing) is below 0.1 % of it.
const REQUESTS: usize = 200 * client::CONNECTIONS;

/// Connections that idle.
const IDLE_CONNECTIONS: usize = 2_000;

const NULL: &str = "kind = \"null\"";

/// One counted figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name in `budgets.toml`.
    pub name: &'static str,
    /// The count.
    pub value: f64,
    /// Where it comes from, in a word or two; empty where the name says it.
    pub detail: String,
}

impl Figure {
    fn new(name: &'static str, value: f64) -> Self {
        Self { name, value, detail: String::new() }
    }
}

/// A measurement that gives one figure or several.
pub struct Measurement {
    /// The figures' names, in the order in which they are given.
    pub names: &'static [&'static str],
    /// Whether it is about `io_uring`.
    pub needs_io_uring: bool,
    /// Counts.
    pub count: fn(&Path) -> Result<Vec<Figure>, RunError>,
}

impl Measurement {
    const fn new(names: &'static [&'static str], count: fn(&Path) -> Result<Vec<Figure>, RunError>) -> Self {
        Self { names, needs_io_uring: false, count }
    }

    const fn on_io_uring(self) -> Self {
        Self { needs_io_uring: true, ..self }
    }
}

/// All of them.
pub const MEASUREMENTS: [Measurement; 9] = [
    Measurement::new(&["plain_null_instructions", "plain_null_allocations"], plain_null),
    Measurement::new(&["browser_null_instructions", "browser_null_allocations"], browser_null),
    Measurement::new(&["plain_null_epoll_system_calls"], epoll_calls),
    Measurement::new(&["plain_null_io_uring_enter_calls"], io_uring_calls).on_io_uring(),
    Measurement::new(&["idle_connection_bytes"], idle_connection).on_io_uring(),
    Measurement::new(&["start_to_ready_instructions"], start_to_ready),
    Measurement::new(&["binary_bytes"], binary_bytes),
    Measurement::new(&["plain_kafka_instructions"], plain_kafka),
    Measurement::new(&["crates"], crates),
];

fn plain_null(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let profile = per_request(binary, NULL, &client::plain())?;
    Ok(vec![
        Figure::new("plain_null_instructions", profile.0),
        Figure::new("plain_null_allocations", profile.1),
    ])
}

fn browser_null(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let profile = per_request(binary, NULL, &client::browser())?;
    Ok(vec![
        Figure::new("browser_null_instructions", profile.0),
        Figure::new("browser_null_allocations", profile.1),
    ])
}

/// Until a broker has acknowledged every record. All threads of librdkafka are counted.
fn plain_kafka(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let broker = KafkaServer::start();
    broker.create_topic("events", 1, &[]);
    let sink = format!("kind = \"kafka\"\nbrokers = \"{}\"\ntopic = \"events\"", broker.brokers());
    let profile = per_request(binary, &sink, &client::plain())?;
    Ok(vec![Figure::new("plain_kafka_instructions", profile.0)])
}

/// Instructions and allocations per request.
///
/// One process and the same connections, not the difference between two processes: the start's count has two values 4 million apart, as the allocator finds
/// one large block of zeroes that is clean already, or one that it has to clear.
fn per_request(binary: &Path, sink: &str, request: &[u8]) -> Result<(f64, f64), RunError> {
    let mut engine = Engine::start(binary, Tool::Callgrind, Driver::Epoll, sink)?;
    let mut connections = client::connections(engine.address())?;
    engine.load_over(&mut connections, request, REQUESTS)?;
    Profile::parse(&engine.dump()?)?;
    engine.load_over(&mut connections, request, REQUESTS)?;
    let profile = Profile::parse_part(&engine.dump()?)?;
    drop(connections);
    engine.stop()?;
    Ok((per(REQUESTS, 0, profile.instructions), per(REQUESTS, 0, profile.allocations)))
}

fn epoll_calls(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let (once, twice) = calls(binary, Driver::Epoll)?;
    let mut figure = Figure::new("plain_null_epoll_system_calls", per(REQUESTS, once.total(), twice.total()));
    let parts = once.grown(&twice).into_iter().take(4);
    figure.detail = parts
        .map(|(name, more)| format!("{name} {:.3}", per(REQUESTS, 0, more)))
        .collect::<Vec<_>>()
        .join(", ");
    Ok(vec![figure])
}

fn io_uring_calls(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let (once, twice) = calls(binary, Driver::IoUring)?;
    let enter = |calls: &Calls| calls.of("io_uring_enter");
    let mut figure =
        Figure::new("plain_null_io_uring_enter_calls", per(REQUESTS, enter(&once), enter(&twice)));
    figure.detail = format!("all calls {:.3}", per(REQUESTS, once.total(), twice.total()));
    Ok(vec![figure])
}

fn calls(binary: &Path, driver: Driver) -> Result<(Calls, Calls), RunError> {
    let request = client::plain();
    let run = |requests| -> Result<Calls, RunError> {
        let summary = loaded(binary, Tool::Strace, driver, NULL, &request, requests)?;
        Ok(Calls::parse(&summary).ok_or_else(|| io::Error::other(format!("strace's summary: {summary}")))?)
    };
    Ok((run(REQUESTS)?, run(2 * REQUESTS)?))
}

/// Runs an engine through so many requests, and returns what the tool wrote.
fn loaded(
    binary: &Path,
    tool: Tool,
    driver: Driver,
    sink: &str,
    request: &[u8],
    requests: usize,
) -> Result<String, RunError> {
    let engine = Engine::start(binary, tool, driver, sink)?;
    engine.load(request, requests)?;
    engine.stop()
}

/// Resident memory that each of many connections adds, all of which have had one request answered.
fn idle_connection(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let engine = Engine::start(binary, Tool::Alone, Driver::IoUring, NULL)?;
    // What the first requests touch (batches, counters) is no connection's.
    engine.load(&client::plain(), 100 * client::CONNECTIONS)?;
    let before = engine.resident_bytes()?;
    let mut connections = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        let mut connection = client::connect(engine.address())?;
        io::Write::write_all(&mut connection, &client::plain())?;
        client::expect_success(&mut connection)?;
        connections.push(connection);
    }
    let after = engine.resident_bytes()?;
    drop(connections);
    engine.stop()?;
    Ok(vec![Figure::new("idle_connection_bytes", per(IDLE_CONNECTIONS, before, after))])
}

/// Instructions from the first of the process until `/ready` has answered yes.
fn start_to_ready(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let mut engine = Engine::start(binary, Tool::Callgrind, Driver::Epoll, NULL)?;
    let profile = Profile::parse(&engine.dump()?)?;
    Ok(vec![Figure::new("start_to_ready_instructions", per(1, 0, profile.instructions))])
}

/// The size of the binary without symbols and line tables.
fn binary_bytes(binary: &Path) -> Result<Vec<Figure>, RunError> {
    let dir = tempfile::tempdir()?;
    let stripped = dir.path().join("stripped");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(binary))?;
    Ok(vec![Figure::new("binary_bytes", per(1, 0, fs::metadata(stripped)?.len()))])
}

/// Packages that the binary is made of, its own included. Procedural macros and what they need
/// count, what only build scripts need does not.
fn crates(_: &Path) -> Result<Vec<Figure>, RunError> {
    let tree = output(Command::new("cargo").args([
        "tree",
        "--locked",
        "--package",
        "millrun",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let mut packages: Vec<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    packages.sort_unstable();
    packages.dedup();
    Ok(vec![Figure::new("crates", per(1, 0, packages.len() as u64))])
}

fn output(command: &mut Command) -> Result<String, RunError> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|source| RunError::Start { program: program.clone(), source })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(io::Error::other(format!("{program}: {errors}")).into())
    }
}

/// What each of `count` has added.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per(count: usize, before: u64, after: u64) -> f64 {
    (after as f64 - before as f64) / count as f64
}
