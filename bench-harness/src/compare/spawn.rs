//! From a target file to a process: what happens between fork and exec.
//!
//! ```text
//!   fork ─▶ session of its own ─▶ dies with us ─▶ pinned ─▶ "my pid is …" ─▶ waits ─▶ exec
//!                                                              │               ▲
//!                                              a helper thread ▼ attaches the counter
//! ```

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::thread;

use super::cpus::CpuSet;
use super::gate::{self, Gate};
use super::instructions::{Counter, Event, Unavailable};
use super::output::Output;
use super::spec::{Command, Spec};

/// `command`, ready to be started.
pub(super) fn prepared(command: &Command, output: &Output) -> io::Result<std::process::Command> {
    let mut prepared = std::process::Command::new(&command.program);
    prepared
        .args(&command.arguments)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.dir)
        .stdin(Stdio::null())
        .stdout(output.writer()?)
        .stderr(output.writer()?);
    Ok(prepared)
}

/// The counter, or why there is none.
type Attached = Result<Counter, Unavailable>;

/// Starts `spec` on these CPUs, with a counter attached before its first instruction. The target ends with the calling
/// thread.
pub(super) fn spawn(
    spec: &Spec,
    cpus: &[usize],
    output: &Output,
    event: Event,
) -> io::Result<(Child, Attached)> {
    let mut command = prepared(&spec.command, output)?;
    let (set, signal) = (CpuSet::of(cpus)?, spec.stop.signal);
    let parent = std::process::id().cast_signed();
    let (mut gate, mut keeper): (Gate, gate::Keeper) = gate::new()?;
    // SAFETY: what runs between fork and exec only makes system calls on values that were made before.
    unsafe {
        command.pre_exec(move || {
            own_session()?;
            die_with(parent, signal)?;
            set.confine()?;
            gate.pass()
        });
    }
    thread::scope(|scope| {
        // The fork must be this thread's (the death signal is bound to the thread that forks), and returns only after the exec.
        let helper = scope.spawn(move || {
            let mut pid = [0; 4];
            // No pid comes when the child failed before: then the spawn says why.
            let Ok(()) = keeper.said.read_exact(&mut pid) else {
                return Err(Unavailable("the target did not start".into()));
            };
            let attached = Counter::attach(i32::from_ne_bytes(pid), event);
            // It can only have died meanwhile: the spawn says why.
            let _said_by_spawn = keeper.go.write_all(b".");
            attached
        });
        let child = command.spawn();
        // Its ends of the gate, without which the helper would wait for ever if the fork failed.
        drop(command);
        let attached =
            helper.join().unwrap_or_else(|_| Err(Unavailable("attaching the counter failed".into())));
        Ok((child?, attached))
    })
}

/// Between fork and exec: one system call.
fn own_session() -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::setsid() } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Between fork and exec: three system calls at most.
fn die_with(parent: i32, signal: i32) -> io::Result<()> {
    let argument = libc::c_ulong::from(signal.cast_unsigned());
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // It may have died before the call.
    // SAFETY: no pointers.
    if unsafe { libc::getppid() } != parent {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// From now on processes of a target that lose their parent become this program's children, who then waits for them.
pub(super) fn adopt_orphans() -> io::Result<()> {
    let yes: libc::c_ulong = 1;
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, yes) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
