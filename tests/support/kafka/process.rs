//! Processes that end with the test process.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock};
use std::thread;

/// A command, and where its process is wanted.
type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts `command` so that the kernel kills it when this process ends, even by SIGKILL, or by leaving statics behind.
///
/// The kernel ties a child's life to the *thread* that started it, and test threads end before their process does:
/// so one thread, which never ends, starts them all.
pub fn spawn_tied_to_this_process(mut command: Command) -> Child {
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    // SAFETY: prctl takes numbers only and may be called between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, child) = mpsc::channel();
    starter.lock().expect("no start panics").send((command, reply)).expect("the starter lives");
    child.recv().expect("the starter answers").unwrap_or_else(|error| panic!("can't start {error}"))
}

/// Sends a signal.
pub fn signal(child: &Child, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(child.id()).expect("a process number");
    // SAFETY: takes numbers only; the child is not waited for yet, so the number is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the process takes signal {signal}");
}

/// Runs `command` to its end, which has to be a good one. Returns what it wrote.
pub fn run(command: &mut Command, what: &str) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {}\n{errors}\n{text}", output.status);
    output.stdout
}
