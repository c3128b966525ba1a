//! The engine as a process: started on ports and directories of its own, observed, signalled, and never left behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::command::engine_command;
use crate::files::completed_records;
use crate::http::{Client, Response, exchange};
use crate::options::EngineOptions;
use crate::poll::{PATIENCE, poll_until};
use crate::port::ReservedPort;
use crate::record::Record;
use crate::request::Request;

/// Time for a drain: ECS kills after 30 s.
const DRAIN: Duration = Duration::from_secs(30);

/// An engine under test. Dropping it kills the process; a failing test shows what it logged.
#[derive(Debug)]
pub struct Engine {
    /// `None` while it is not running.
    process: Option<Child>,
    /// `None` where it runs without a file.
    config: Option<PathBuf>,
    environment: Vec<(String, String)>,
    log: Log,
    data_dir: PathBuf,
    data: ReservedPort,
    admin: ReservedPort,
    /// Kept for its directory.
    own_dir: TempDir,
}

type Log = Arc<Mutex<Vec<u8>>>;

impl Engine {
    /// Starts one and waits until it is ready.
    pub fn start(options: &EngineOptions) -> Self {
        let mut engine = Self::prepare(options);
        engine.start_again();
        engine
    }

    /// Writes the configuration of one, and starts nothing yet.
    pub fn prepare(options: &EngineOptions) -> Self {
        let own_dir = tempfile::tempdir().expect("a temporary directory");
        let data_dir = options.data_dir.clone().unwrap_or_else(|| own_dir.path().join("data"));
        let (data, admin) = (ReservedPort::take(), ReservedPort::take());
        let (listen, admin_listen) = (data.address.to_string(), admin.address.to_string());
        let mut environment = options.environment.clone();
        let config = options.has_file.then(|| own_dir.path().join("millrun.toml"));
        if let Some(config) = &config {
            fs::write(config, options.toml(&listen, &admin_listen, &data_dir)).expect("the configuration");
        } else {
            environment.push(("MILLRUN_SERVER__LISTEN".to_owned(), listen));
            environment.push(("MILLRUN_ADMIN__LISTEN".to_owned(), admin_listen));
        }
        Self { process: None, config, environment, log: Log::default(), data_dir, data, admin, own_dir }
    }

    /// Starts it on the same ports and directories as before, and waits until it is ready.
    pub fn start_again(&mut self) {
        self.spawn();
        poll_until("the engine to be ready", PATIENCE, || {
            if let Some(status) = self.try_wait() {
                panic!("the engine ended at its start: {status}");
            }
            self.is_ready().then_some(())
        });
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "the engine runs already");
        let mut command = engine_command(&["run"]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = command.current_dir(self.own_dir.path()).spawn().expect("the engine starts");
        follow(process.stdout.take().expect("piped"), &self.log);
        follow(process.stderr.take().expect("piped"), &self.log);
        self.process = Some(process);
    }

    /// Address of the data port.
    pub fn address(&self) -> SocketAddr {
        self.data.address
    }

    /// Address of the admin port.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Directory of the file sink.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A directory for the test's own use that is deleted with the engine.
    pub fn own_dir(&self) -> &Path {
        self.own_dir.path()
    }

    /// A new connection to the data port.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends one request on a connection of its own.
    pub fn exchange(&self, request: &Request) -> Response {
        exchange(self.address(), request)
    }

    /// `GET` on the admin port.
    pub fn admin(&self, path: &str) -> Response {
        exchange(self.admin_address(), &Request::get(path).header("Connection", "close"))
    }

    /// Whether `/ready` says yes. A port that is closed says no.
    pub fn is_ready(&self) -> bool {
        self.readiness() == Some(200)
    }

    /// Status of `/ready`; `None` where there is no answer.
    pub fn readiness(&self) -> Option<u16> {
        let mut client = Client::try_connect(self.admin_address()).ok()?;
        client.try_send(&Request::get("/ready").header("Connection", "close").bytes()).ok()?;
        client.try_read("GET").ok().map(|response| response.status)
    }

    /// The metrics: `name{label="value"}` to value.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let response = self.admin("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        response
            .text()
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no metric: {line}"));
                (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
            })
            .collect()
    }

    /// Resident memory, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the engine runs").id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.pid()).expect("a process id");
        // SAFETY: kill takes no pointer; the process is a child that was not waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "signal {signal}");
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait(PATIENCE);
    }

    /// SIGTERM; does not wait.
    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// SIGSTOP
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// SIGCONT
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Whether it has ended, and how.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("a child of ours")?;
        self.process = None;
        Some(status)
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        poll_until("the engine to end", deadline, || self.try_wait())
    }

    /// Ends it as an orchestrator does, which must work, and returns what its file sink holds.
    pub fn stop_and_read(&mut self) -> Vec<Record> {
        self.terminate();
        let status = self.wait(DRAIN);
        assert_eq!(status.code(), Some(0), "a drain ends with exit code 0: {status}");
        completed_records(&self.data_dir)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let bytes = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let start = log.char_indices().rev().nth(20_000).map_or(0, |(place, _)| place);
            eprintln!("---- the engine's log, from its end ----\n{}\n----", &log[start..]);
        }
    }
}

fn follow(mut pipe: impl Read + Send + 'static, log: &Log) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(count) = pipe.read(&mut block) {
            if count == 0 {
                return;
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&block[..count]);
        }
    });
}
