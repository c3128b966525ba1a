//! A target while it runs: started, pinned, waited for, accounted, stopped, and never left behind.
//!
//! The kernel sends the target its stop signal when the thread that started it ends, however that comes about
//! (prctl(2), `PR_SET_PDEATHSIG`): start targets from a thread that outlives them. It is the stop signal and not KILL since
//! only the started process gets it, and one like nginx must be alive to stop its children.

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::instructions::{Counter, Event, Unavailable};
use super::output::Output;
use super::ready::{self, Door, DoorError};
use super::spawn::{adopt_orphans, prepared, spawn};
use super::spec::{Command, Probe, Ready, Spec, Stop};
use super::tree::{Stat, Tree};

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(5);

/// How long what was killed may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a target is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It, or what runs before or after it, can't be started.
    #[error(
        "{name}: can't start {command:?}: {error}; check the path (relative to the target file), the CPUs and dir"
    )]
    Start {
        /// The target.
        name: String,
        /// What was to be run.
        command: Vec<String>,
        /// Why not.
        error: io::Error,
    },
    /// CPUs that this program may not use itself.
    #[error("{name}: cpus = {cpus:?}: of these this program may use only {allowed:?}; choose among them")]
    Cpus {
        /// The target.
        name: String,
        /// As asked for.
        cpus: Vec<usize>,
        /// As allowed.
        allowed: Vec<usize>,
    },
    /// A wrong address.
    #[error("{name}: {error}")]
    Door {
        /// The target.
        name: String,
        /// Why.
        error: DoorError,
    },
    /// Somebody else answers there.
    #[error(
        "{name}: something listens at {address} already; the load would go there: stop it or choose another port"
    )]
    Taken {
        /// The target.
        name: String,
        /// Where.
        address: SocketAddr,
    },
    /// `before`, `after` or `version` failed.
    #[error("{name}: {command:?} ended with {status}; it said: {said}")]
    Failed {
        /// The target.
        name: String,
        /// What was run.
        command: Vec<String>,
        /// Its status.
        status: ExitStatus,
        /// The end of its output.
        said: String,
    },
    /// It ended by itself.
    #[error(
        "{name}: ended by itself ({status}); it must run in the foreground (nginx: \"daemon off;\"); it said: {said}"
    )]
    Ended {
        /// The target.
        name: String,
        /// Its status.
        status: ExitStatus,
        /// The end of its output.
        said: String,
    },
    /// It did not become ready.
    #[error(
        "{name}: not ready after {seconds} s: {last}; raise ready.timeout_s or look at its output: {said}"
    )]
    NotReady {
        /// The target.
        name: String,
        /// As long as was allowed.
        seconds: f64,
        /// The last attempt.
        last: String,
        /// The end of its output.
        said: String,
    },
    /// The operating system, on the way to something.
    #[error("{name}: {doing}: {error}")]
    System {
        /// The target.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

/// A target that runs. Dropping it kills the whole tree.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    tree: Tree,
    counter: Result<Counter, Unavailable>,
    output: Output,
    stop: Stop,
    ended: Option<ExitStatus>,
    /// Members at the time when it was told to stop.
    known: Vec<Stat>,
}

/// How a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Of the started process.
    pub status: ExitStatus,
    /// It did not stop in time, or left children behind: they were killed.
    pub killed: bool,
}

impl Process {
    /// Starts `spec` on its CPUs, or on `allowed` when it names none. Nobody may listen yet where the load will go.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub fn start(spec: &Spec, allowed: &[usize]) -> Result<Self, ProcessError> {
        Self::start_counting(spec, allowed, Event::Instructions)
    }

    pub(super) fn start_counting(spec: &Spec, allowed: &[usize], event: Event) -> Result<Self, ProcessError> {
        let cpus = if spec.cpus.is_empty() { allowed } else { &spec.cpus };
        if !cpus.iter().all(|cpu| allowed.contains(cpu)) {
            let (name, cpus, allowed) = (spec.name.clone(), cpus.to_vec(), allowed.to_vec());
            return Err(ProcessError::Cpus { name, cpus, allowed });
        }
        for address in addresses(spec)? {
            if ready::stays_taken(address) {
                return Err(ProcessError::Taken { name: spec.name.clone(), address });
            }
        }
        let failed =
            |error| ProcessError::Start { name: spec.name.clone(), command: spec.command.words(), error };
        adopt_orphans().map_err(failed)?;
        let output = Output::new().map_err(failed)?;
        let (child, counter) = spawn(spec, cpus, &output, event).map_err(failed)?;
        let tree = Tree::new(child.id().cast_signed());
        let (name, stop, known) = (spec.name.clone(), spec.stop, Vec::new());
        Ok(Self { name, child, tree, counter, output, stop, ended: None, known })
    }

    /// Asks until `ready` answers; how long that took.
    ///
    /// # Errors
    /// When it ends before that, or takes too long.
    pub fn wait_ready(&mut self, ready: &Ready) -> Result<Duration, ProcessError> {
        let door = Door::find(&ready.probe)
            .map_err(|error| ProcessError::Door { name: self.name.clone(), error })?;
        let begun = Instant::now();
        loop {
            self.check()?;
            let Err(last) = door.knock() else { return Ok(begun.elapsed()) };
            if begun.elapsed() >= ready.timeout {
                return Err(ProcessError::NotReady {
                    name: self.name.clone(),
                    seconds: ready.timeout.as_secs_f64(),
                    last,
                    said: self.output.tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// That the started process still runs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        let ended = self.has_ended().map_err(|error| self.system("look after it", error))?;
        if !ended {
            return Ok(());
        }
        let status = self.clear_away().map_err(|error| self.system("clear it away", error))?.status;
        Err(ProcessError::Ended { name: self.name.clone(), status, said: self.output.tail() })
    }

    /// Its processes.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// User-space instructions of the whole tree since its start.
    ///
    /// # Errors
    /// When they can't be counted here: why.
    pub fn instructions(&self) -> Result<f64, Unavailable> {
        self.counter.as_ref().map_err(Clone::clone)?.read()
    }

    /// Sends the stop signal, waits, kills what is left, and waits for all of it to be gone.
    ///
    /// # Errors
    /// When the operating system refuses, or something can't be killed.
    pub fn stop(mut self) -> Result<Stopped, ProcessError> {
        self.known = self.tree.members().map_err(|error| self.system("list its processes", error))?;
        // SAFETY: no pointers; the child has not been waited for, so the pid is still its own.
        unsafe { libc::kill(self.tree_root(), self.stop.signal) };
        let deadline = Instant::now() + self.stop.timeout;
        loop {
            match self.has_ended() {
                Ok(false) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(_) => break,
                Err(error) => return Err(self.system("wait for it to stop", error)),
            }
        }
        self.clear_away().map_err(|error| self.system("clear it away", error))
    }

    fn tree_root(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn system(&self, doing: &'static str, error: io::Error) -> ProcessError {
        ProcessError::System { name: self.name.clone(), doing, error }
    }

    /// Whether the started process has ended; it stays a zombie, so that its pid is nobody else's.
    fn has_ended(&self) -> io::Result<bool> {
        if self.ended.is_some() {
            return Ok(true);
        }
        // SAFETY: all-zero is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the kernel writes one siginfo_t.
        if unsafe { libc::waitid(libc::P_PID, self.child.id(), &raw mut info, flags) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: after waitid the field is the child's pid, or 0 when nothing has ended.
        Ok(unsafe { info.si_pid() } != 0)
    }

    /// Kills what is left of the tree and waits until all of it is gone. The root is waited for last: until then no
    /// stranger can have its pid, session or group.
    fn clear_away(&mut self) -> io::Result<Stopped> {
        if let Some(status) = self.ended {
            return Ok(Stopped { status, killed: false });
        }
        let (root, deadline, mut killed) = (self.tree_root(), Instant::now() + KILL_TIMEOUT, false);
        loop {
            let members = self.tree.members_and(&self.known)?;
            self.known.extend(
                members.iter().filter(|stat| !self.known.contains(stat)).copied().collect::<Vec<_>>(),
            );
            let left: Vec<_> = members.iter().filter(|stat| stat.pid != root || !stat.is_zombie).collect();
            if left.is_empty() {
                break;
            }
            for stat in left.iter().filter(|stat| !stat.is_zombie) {
                killed = true;
                // SAFETY: no pointers. It was in the tree a moment ago.
                unsafe { libc::kill(stat.pid, libc::SIGKILL) };
            }
            // Orphans of the tree are ours to wait for; where they are not, whoever adopted them does.
            for stat in left.iter().filter(|stat| stat.pid != root && stat.parent != root) {
                // SAFETY: the status is not asked for.
                unsafe { libc::waitpid(stat.pid, std::ptr::null_mut(), libc::WNOHANG) };
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it can't be killed"));
            }
            thread::sleep(POLL);
        }
        let status = self.child.wait()?;
        self.ended = Some(status);
        Ok(Stopped { status, killed })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _nobody_listens = self.clear_away();
    }
}

/// Runs a command of `spec` to its end; its output.
///
/// # Errors
/// When it can't be started or does not end with success.
pub fn run_to_end(spec: &Spec, command: &Command) -> Result<String, ProcessError> {
    let name = || spec.name.clone();
    let failed = |error| ProcessError::Start { name: name(), command: command.words(), error };
    let output = Output::new().map_err(failed)?;
    let mut prepared = prepared(command, &output).map_err(failed)?;
    let status = prepared.status().map_err(failed)?;
    if !status.success() {
        let (command, said) = (command.words(), output.tail());
        return Err(ProcessError::Failed { name: name(), command, status, said });
    }
    Ok(output.tail())
}

/// Where the load goes and readiness is asked.
fn addresses(spec: &Spec) -> Result<[SocketAddr; 2], ProcessError> {
    let find = |probe: &Probe| {
        let found = Door::find(probe).map(|door| door.address());
        found.map_err(|error| ProcessError::Door { name: spec.name.clone(), error })
    };
    Ok([find(&Probe::Url(spec.url.clone()))?, find(&spec.ready.probe)?])
}
