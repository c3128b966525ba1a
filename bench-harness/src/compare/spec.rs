//! A target as a file: the command that starts it, where the load goes, and how it is pinned and stopped.
//!
//! ```toml
//! name    = "millrun"
//! command = ["target/release/millrun", "--config", "x.toml"]
//! url     = "http://127.0.0.1:8088/collect"
//! cpus    = [0]                                         # the process and all its children
//! env     = { RUST_LOG = "warn" }
//! dir     = "."
//! ready   = { url = "http://127.0.0.1:8088/ready", timeout_s = 10 }   # or { tcp = "127.0.0.1:8088" }
//! stop    = { signal = "TERM", timeout_s = 10 }
//! before  = ["rm", "-rf", "data"]
//! after   = ["rm", "-rf", "data"]
//! version = ["target/release/millrun", "--version"]
//! ```
//!
//! `name`, `command` and `url` must be there. Paths: a program with a `/` in it is relative to the directory of the
//! spec file, one without is looked up in `PATH`; `dir` is relative to the directory of the spec file too, and is that
//! directory when it is left out; every other word of a command is passed on untouched, so a relative path in it is
//! relative to `dir`. No shell is involved (write `["sh", "-c", "…"]` for one).

mod reader;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reader::Reader;

pub use reader::SpecError;

/// How long a target may take until it is ready, when the file does not say.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a target may take to stop, when the file does not say.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A target that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The file it was read from.
    pub file: PathBuf,
    /// What it is called in results.
    pub name: String,
    /// What starts it, in the foreground.
    pub command: Command,
    /// Where the load goes.
    pub url: String,
    /// CPUs that the whole process tree is confined to; empty: all that this program may use.
    pub cpus: Vec<usize>,
    /// What must answer before the load starts.
    pub ready: Ready,
    /// How it is stopped.
    pub stop: Stop,
    /// Run to its end before every start.
    pub before: Option<Command>,
    /// Run to its end after every stop.
    pub after: Option<Command>,
    /// Prints the target's version.
    pub version: Option<Command>,
}

/// A program and its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program: a bare name for `PATH`, or a path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Set in addition to this program's own environment.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub dir: PathBuf,
}

/// What must answer before the load starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where to ask.
    pub probe: Probe,
    /// How long to go on asking.
    pub timeout: Duration,
}

/// Where readiness is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET of this URL must be answered with a status below 400.
    Url(String),
    /// This `HOST:PORT` must accept a connection.
    Tcp(String),
}

/// How a target is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Sent to the started process only; it is to stop its children.
    pub signal: i32,
    /// After this the whole tree is killed.
    pub timeout: Duration,
}

impl Spec {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, is not TOML, or a key is unknown, missing or has a value that makes no sense.
    pub fn read(file: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| SpecError::Read { file: file.to_owned(), error })?;
        Self::parse(file, &text)
    }

    /// Understands the text of `file`; touches nothing outside.
    ///
    /// # Errors
    /// See [`Spec::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, SpecError> {
        let mut top = Reader::parse(file, text)?;
        let beside = beside(file);
        let dir = beside.join(top.text("dir")?.unwrap_or_default());
        let env = top.texts_by_name("env")?;
        let command = |words: Vec<String>| Command::new(words, &beside, &dir, &env);
        let url = top.require("url", Reader::text)?;
        if !url.starts_with("http://") {
            return Err(top.wrong("url", "not a URL", "write http://HOST[:PORT][/PATH]"));
        }
        let spec = Self {
            name: top.require("name", Reader::text)?,
            command: command(top.require("command", Reader::words)?),
            cpus: top.cpus("cpus")?,
            ready: ready(top.table("ready")?, &url)?,
            stop: stop(top.table("stop")?)?,
            before: top.words("before")?.map(command),
            after: top.words("after")?.map(command),
            version: top.words("version")?.map(command),
            file: file.to_owned(),
            url,
        };
        top.end()?;
        Ok(spec)
    }
}

impl Command {
    fn new(mut words: Vec<String>, beside: &Path, dir: &Path, env: &[(String, String)]) -> Self {
        // The reader passes no command without a program.
        let program = words.remove(0);
        let program = if program.contains('/') { beside.join(program) } else { PathBuf::from(program) };
        Self { program, arguments: words, env: env.to_vec(), dir: dir.to_owned() }
    }

    /// The command as one would type it.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let program = self.program.display().to_string();
        std::iter::once(program).chain(self.arguments.iter().cloned()).collect()
    }
}

/// The directory of `file`, absolute where that can be known: the working directory of a child may be another.
fn beside(file: &Path) -> PathBuf {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
}

fn ready(table: Option<Reader>, url: &str) -> Result<Ready, SpecError> {
    let by_default = || Probe::Tcp(authority(url));
    let Some(mut table) = table else {
        return Ok(Ready { probe: by_default(), timeout: READY_TIMEOUT });
    };
    let probe = match (table.text("url")?, table.text("tcp")?) {
        (Some(_), Some(_)) => {
            return Err(table.wrong("tcp", "given beside url", "keep the one that tells more"));
        }
        (Some(url), None) => Probe::Url(url),
        (None, Some(address)) => Probe::Tcp(address),
        (None, None) => by_default(),
    };
    let timeout = table.seconds("timeout_s")?.unwrap_or(READY_TIMEOUT);
    table.end()?;
    Ok(Ready { probe, timeout })
}

/// `HOST:PORT` of an http URL.
fn authority(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or(rest);
    let port_given = authority.rsplit(']').next().is_some_and(|after| after.contains(':'));
    if port_given { authority.to_owned() } else { format!("{authority}:80") }
}

fn stop(table: Option<Reader>) -> Result<Stop, SpecError> {
    let Some(mut table) = table else {
        return Ok(Stop { signal: libc::SIGTERM, timeout: STOP_TIMEOUT });
    };
    let signal = match table.text("signal")?.as_deref() {
        None | Some("TERM") => libc::SIGTERM,
        Some("INT") => libc::SIGINT,
        Some("QUIT") => libc::SIGQUIT,
        Some("HUP") => libc::SIGHUP,
        Some("KILL") => libc::SIGKILL,
        Some(_) => return Err(table.wrong("signal", "not a signal", "write TERM, INT, QUIT, HUP or KILL")),
    };
    let timeout = table.seconds("timeout_s")?.unwrap_or(STOP_TIMEOUT);
    table.end()?;
    Ok(Stop { signal, timeout })
}
