//! The engine's release binary as a process: by itself, or under a tool that counts.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use support::port::ReservedPort;
use tempfile::TempDir;

use crate::client;

/// From the start to `/ready`, and from SIGTERM to the end, under the slowest tool.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);

/// Why a figure can't be counted.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such program.
    #[error(
        "can't start {program}: {source}; tests/setup/perf.sh installs the tools, `make perf-check` builds the engine"
    )]
    Start { program: String, source: io::Error },
    /// The engine or its tool did not do its part in time, or ended.
    #[error("{what}; the engine's output:\n{log}")]
    Stuck { what: String, log: String },
    /// The load failed.
    #[error("the load: {0}")]
    Load(#[from] io::Error),
    /// The profile can't be read.
    #[error(transparent)]
    Profile(#[from] crate::callgrind::ProfileError),
}

/// Which program runs the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// None.
    Alone,
    /// `valgrind --tool=callgrind`: counts user instructions and calls of every thread.
    Callgrind,
    /// `strace -c -f`: counts the system calls of every thread.
    Strace,
}

/// The I/O driver, by its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Instructions are counted here: on `io_uring` the engine does not end in order under valgrind 3.19.
    Epoll,
    /// What the engine takes where it may.
    IoUring,
}

impl Driver {
    fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::IoUring => "io_uring",
        }
    }
}

/// A running engine with one shard and a route `/collect`. Dropped, it is killed.
pub struct Engine {
    process: Child,
    dir: TempDir,
    tool: Tool,
    data: ReservedPort,
    admin: ReservedPort,
    /// Profiles that callgrind has been asked for: it numbers their files.
    dumps: usize,
}

impl Engine {
    /// Starts `binary` and waits until `/ready` says yes. `sink` is the body of the sink's section.
    ///
    /// # Errors
    /// [`RunError`]
    pub fn start(binary: &Path, tool: Tool, driver: Driver, sink: &str) -> Result<Self, RunError> {
        let dir = tempfile::tempdir()?;
        let (data, admin) = (ReservedPort::take(), ReservedPort::take());
        let config = dir.path().join("millrun.toml");
        fs::write(
            &config,
            format!(
                "[server]\nlisten = \"{}\"\nshards = 1\ndriver = \"{}\"\ndrain_delay_ms = 0\n\
                 [admin]\nlisten = \"{}\"\n\
                 [cors]\norigins = [\"https://*.example.com\"]\n\
                 [route.events]\npath = \"/collect\"\nsink = \"events\"\n[sink.events]\n{sink}\n",
                data.address,
                driver.name(),
                admin.address
            ),
        )?;
        let log = fs::File::create(dir.path().join("log"))?;
        let mut command = tool.command(binary, dir.path());
        command.arg("run").arg("--config").arg(&config);
        for (name, _) in std::env::vars_os() {
            // The engine refuses variables of that name that it does not know.
            if name.to_string_lossy().starts_with("MILLRUN_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().map_err(|source| RunError::Start {
            program: command.get_program().display().to_string(),
            source,
        })?;
        let mut engine = Self { process, dir, tool, data, admin, dumps: 0 };
        engine.until("the engine did not get ready", |engine| {
            if engine.process.try_wait()?.is_some() {
                return Err(io::Error::other("the engine ended at its start"));
            }
            Ok(engine.is_ready().then_some(()))
        })?;
        Ok(engine)
    }

    /// Address of the data port.
    pub fn address(&self) -> SocketAddr {
        self.data.address
    }

    /// Process id; that of the engine itself, also under a tool.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends `requests` of `request` over new connections ([`client::CONNECTIONS`]), as [`Engine::load_over`] does.
    ///
    /// # Errors
    /// [`RunError`]
    pub fn load(&self, request: &[u8], requests: usize) -> Result<(), RunError> {
        self.load_over(&mut client::connections(self.address())?, request, requests)
    }

    /// Sends `requests` of `request`. The requests of a round find the engine stopped (SIGSTOP) and so wait for it
    /// together, as they do where it is busy; how many it finds at a time would otherwise be chance.
    ///
    /// # Errors
    /// [`RunError`]
    pub fn load_over(
        &self,
        connections: &mut [TcpStream],
        request: &[u8],
        requests: usize,
    ) -> Result<(), RunError> {
        let hold = |held| {
            if held {
                self.signal(libc::SIGSTOP)?;
                self.await_stop()
            } else {
                self.signal(libc::SIGCONT)
            }
        };
        Ok(client::load(connections, request, requests, hold)?)
    }

    fn await_stop(&self) -> io::Result<()> {
        // SAFETY: an all-zero siginfo_t is a valid value.
        let mut told: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // The end is waited for as well, but left for who reaps it.
        for options in [libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT, libc::WSTOPPED] {
            // SAFETY: `told` outlives the call.
            if unsafe { libc::waitid(libc::P_PID, self.pid(), &raw mut told, options) } != 0 {
                return Err(io::Error::last_os_error());
            }
            if told.si_code != libc::CLD_STOPPED {
                return Err(io::Error::other("the engine ended"));
            }
        }
        Ok(())
    }

    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        // SAFETY: kill takes no pointer; the process is a child that was not waited for, so the id is still its own.
        match unsafe { libc::kill(self.id()?, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn id(&self) -> io::Result<libc::pid_t> {
        libc::pid_t::try_from(self.pid()).map_err(io::Error::other)
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_bytes(&self) -> Result<u64, RunError> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no VmRSS in {status}")).into())
    }

    /// Ends the engine as an orchestrator does and returns what its tool has written.
    ///
    /// # Errors
    /// [`RunError`], also when the engine ends badly.
    pub fn stop(mut self) -> Result<String, RunError> {
        self.signal(libc::SIGTERM)?;
        let status =
            self.until("the engine did not end after SIGTERM", |engine| engine.process.try_wait())?;
        if !status.success() {
            return Err(self.stuck(&format!("the engine ended with {status}")));
        }
        if self.tool == Tool::Alone {
            return Ok(String::new());
        }
        // strace writes after its tracee has ended.
        let path = output_in(self.dir.path());
        self.until("the tool wrote no result", |_| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            Ok(text
                .lines()
                .any(|line| line.starts_with("totals:") || line.ends_with(" total"))
                .then_some(text))
        })
    }

    /// A profile of everything since the dump before, or since the start, while the engine runs on. Only under callgrind.
    ///
    /// # Errors
    /// [`RunError`]
    pub fn dump(&mut self) -> Result<String, RunError> {
        let mut vgdb = Command::new("vgdb");
        vgdb.arg(format!("--pid={}", self.pid())).arg("dump").stdin(Stdio::null());
        let output =
            vgdb.output().map_err(|source| RunError::Start { program: "vgdb".to_owned(), source })?;
        if !output.status.success() {
            return Err(self.stuck(&format!("vgdb: {}", String::from_utf8_lossy(&output.stderr))));
        }
        self.dumps += 1;
        let path = PathBuf::from(format!("{}.{}", output_in(self.dir.path()).display(), self.dumps));
        self.until("callgrind dumped no profile", |_| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            Ok(text.lines().any(|line| line.starts_with("totals:")).then_some(text))
        })
    }

    fn is_ready(&self) -> bool {
        let ask = || -> io::Result<bool> {
            let mut stream = client::connect(self.admin.address)?;
            stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.starts_with("HTTP/1.1 200 "))
        };
        ask().unwrap_or(false)
    }

    fn until<T>(
        &mut self,
        failure: &str,
        mut check: impl FnMut(&mut Self) -> io::Result<Option<T>>,
    ) -> Result<T, RunError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match check(self) {
                Ok(Some(value)) => return Ok(value),
                Ok(None) if Instant::now() < give_up => thread::sleep(POLL),
                Ok(None) => return Err(self.stuck(failure)),
                Err(error) => return Err(self.stuck(&format!("{failure}: {error}"))),
            }
        }
    }

    fn stuck(&self, what: &str) -> RunError {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        RunError::Stuck { what: what.to_owned(), log }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Tool {
    /// The engine's own process is the one that is started: valgrind becomes it, and strace (`-D`) stands aside.
    fn command(self, binary: &Path, dir: &Path) -> Command {
        let output = output_in(dir);
        match self {
            Self::Alone => Command::new(binary),
            Self::Callgrind => {
                let mut command = Command::new("valgrind");
                command.arg("--tool=callgrind");
                command.arg(format!("--callgrind-out-file={}", output.display())).arg(binary);
                command
            }
            Self::Strace => {
                let mut command = Command::new("strace");
                command.args(["-D", "-f", "-c", "-o"]).arg(output).arg(binary);
                command
            }
        }
    }
}

/// Where a tool writes what it counted.
fn output_in(dir: &Path) -> PathBuf {
    dir.join("counted")
}
