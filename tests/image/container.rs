//! A container of the image, as an orchestrator runs it: read-only, without capabilities, and never left behind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, process, thread};

use support::http::{Client, Response, exchange};
use support::poll::{PATIENCE, poll_until};
use support::port::ReservedPort;
use support::request::Request;

use super::podman::{IMAGE, outcome, podman, printed, repository};

/// The only place that the engine writes to.
pub const STATE: &str = "/var/lib/millrun";

/// Whom the image runs as.
pub const USER: u32 = 65532;

/// Podman kills a container that is older than this, in seconds: one whose test was killed and could not clean up.
const LIFE_S: &str = "200";

/// And one that should have ended by itself, after this.
const SHORT_LIFE_S: &str = "30";

/// Under which profile the kernel filters the container's syscalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// Podman's own default.
    Default,
    /// `deploy/container/seccomp.json`.
    Ours,
    /// A file of the test's.
    File(PathBuf),
}

/// How a container is started.
#[derive(Clone, Debug)]
pub struct Options {
    seccomp: Seccomp,
    arguments: Vec<String>,
    command: Vec<String>,
}

impl Options {
    /// Two shards, no delay in the drain.
    pub fn new(seccomp: Seccomp) -> Self {
        let options = Self { seccomp, arguments: Vec::new(), command: Vec::new() };
        options.environment("MILLRUN_SERVER__SHARDS", "2").environment("MILLRUN_SERVER__DRAIN_DELAY_MS", "0")
    }

    /// The image as it is.
    pub fn plain() -> Self {
        Self { seccomp: Seccomp::Default, arguments: Vec::new(), command: Vec::new() }
    }

    /// Under this profile.
    pub fn profile(mut self, seccomp: Seccomp) -> Self {
        self.seccomp = seccomp;
        self
    }

    /// A variable of its environment.
    pub fn environment(self, name: &str, value: &str) -> Self {
        self.argument(&format!("--env={name}={value}"))
    }

    /// An argument of `podman run`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Mounts a directory of the host as the engine's state, and gives it to the engine's user as an operator must.
    pub fn state(self, dir: &Path) -> Self {
        std::os::unix::fs::chown(dir, Some(USER), Some(USER)).expect("the tests run as root");
        self.argument(&format!("--volume={}:{STATE}", dir.display()))
    }

    /// A file of the host, to be read.
    pub fn file(self, host: &Path, container: &str) -> Self {
        self.argument(&format!("--volume={}:{container}:ro", host.display()))
    }

    /// A limit of memory, in bytes, without swap beyond it.
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.argument(&format!("--memory={bytes}")).argument(&format!("--memory-swap={bytes}"))
    }

    /// What stands behind the image's entry point, instead of `run`.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn run(&self, how: &[&str], name: &str) -> process::Command {
        let mut run = podman(&["run", "--name", name, "--pull=never", "--http-proxy=false"]);
        run.args(["--read-only", "--read-only-tmpfs=false", "--cap-drop=all"]);
        run.args([
            "--security-opt=no-new-privileges",
            "--ulimit=nofile=20000:20000",
            "--ulimit=nproc=1000:1000",
        ]);
        match &self.seccomp {
            Seccomp::Default => {}
            Seccomp::Ours => {
                run.arg(format!("--security-opt=seccomp={}", our_profile().display()));
            }
            Seccomp::File(path) => {
                run.arg(format!("--security-opt=seccomp={}", path.display()));
            }
        }
        run.args(how).args(&self.arguments).arg(IMAGE).args(&self.command);
        run
    }
}

/// `deploy/container/seccomp.json`
pub fn our_profile() -> PathBuf {
    repository().join("deploy/container/seccomp.json").canonicalize().expect("the profile is there")
}

/// A running container. Dropped, it is killed and removed with its volumes; a failing test shows what it logged.
#[derive(Debug)]
pub struct Container {
    name: String,
    data: ReservedPort,
    admin: ReservedPort,
}

impl Container {
    /// Starts one in the host's network, on ports of its own, and waits until it is ready.
    pub fn start(options: &Options) -> Self {
        let container = Self::named();
        let options = options
            .clone()
            .environment("MILLRUN_SERVER__LISTEN", &container.data.address.to_string())
            .environment("MILLRUN_ADMIN__LISTEN", &container.admin.address.to_string());
        printed(&mut options.run(&["--detach", "--network=host", "--timeout", LIFE_S], &container.name));
        poll_until("the engine to be ready", PATIENCE, || {
            assert!(container.is_running(), "it ended at its start:\n{}", container.log());
            container.is_ready().then_some(())
        });
        container
    }

    /// Starts one with a network of its own, which nobody reaches, and with the image's own ports.
    pub fn start_alone(options: &Options) -> Self {
        let container = Self::named();
        printed(&mut options.run(&["--detach", "--network=none", "--timeout", LIFE_S], &container.name));
        container
    }

    /// Runs one to its end, which it finds by itself.
    pub fn run(options: &Options) -> Output {
        outcome(&mut options.run(&["--rm", "--network=none", "--timeout", SHORT_LIFE_S], &Self::named().name))
    }

    fn named() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("millrun-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { name, data: ReservedPort::take(), admin: ReservedPort::take() }
    }

    /// Address of the data port.
    pub fn address(&self) -> SocketAddr {
        self.data.address
    }

    /// Sends one request on a connection of its own.
    pub fn exchange(&self, request: &Request) -> Response {
        exchange(self.address(), request)
    }

    fn is_ready(&self) -> bool {
        let ask = || {
            let mut client = Client::try_connect(self.admin.address).ok()?;
            client.try_send(&Request::get("/ready").header("Connection", "close").bytes()).ok()?;
            client.try_read("GET").ok()
        };
        ask().is_some_and(|response| response.status == 200)
    }

    /// What podman knows about it, by a Go template.
    pub fn inspect(&self, template: &str) -> String {
        printed(&mut podman(&["inspect", "--type=container", "--format", template, &self.name]))
    }

    fn is_running(&self) -> bool {
        self.inspect("{{.State.Running}}") == "true"
    }

    /// The engine's process, as the host numbers it.
    pub fn pid(&self) -> libc::pid_t {
        self.inspect("{{.State.Pid}}").parse().expect("a process id")
    }

    /// A file of `/proc/<pid>`.
    pub fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends the engine a signal past the container's runtime.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointer.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0, "signal {signal}");
    }

    /// Runs the image's own health check; whether it is content.
    pub fn is_healthy(&self) -> bool {
        outcome(&mut podman(&["healthcheck", "run", &self.name])).status.success()
    }

    /// Ends it as an orchestrator does: SIGTERM, and SIGKILL 30 s later. Returns its exit code.
    pub fn stop(&self) -> i32 {
        printed(&mut podman(&["stop", "--time=30", &self.name]));
        assert_eq!(self.inspect("{{.State.OOMKilled}}"), "false", "{}", self.log());
        self.inspect("{{.State.ExitCode}}").parse().expect("an exit code")
    }

    /// What it has logged so far: both streams.
    pub fn log(&self) -> String {
        let output = outcome(&mut podman(&["logs", &self.name]));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Waits for a line of the log that is JSON and has this message, which begins so, and returns it.
    pub fn logged(&self, message: &str) -> serde_json::Value {
        poll_until(
            &format!("a line of the log that begins with {message:?}"),
            Duration::from_secs(20),
            || {
                let lines = self.log();
                let mut parsed =
                    lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
                parsed.find(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message)))
            },
        )
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- the log of {} ----\n{}\n----", self.name, self.log());
        }
        // Also one that was never made.
        outcome(&mut podman(&["rm", "--force", "--ignore", "--volumes", "--time=0", &self.name]));
    }
}
