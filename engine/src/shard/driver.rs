//! Which driver the shards run on, why, and what to change for the better one.

use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use crate::config::Driver;

/// Submission queue entries of a shard's ring. Every connection has at most one operation under way; when more than
/// this are submitted in one turn, the driver submits in between.
const RING_ENTRIES: u32 = 4096;

/// Events that one `epoll_wait` takes.
const EPOLL_EVENTS: u32 = 1024;

/// What was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `Driver::IoUring` or `Driver::Epoll`, never `Auto`.
    pub driver: Driver,
    /// For the log: the reason, and the way to `io_uring` where it was not taken.
    pub why: String,
}

impl Choice {
    /// The driver's name, as in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.driver {
            Driver::Epoll => "epoll",
            Driver::Auto | Driver::IoUring => "io_uring",
        }
    }
}

/// `server.driver = "io_uring"` on a host that does not allow it.
#[derive(Debug, thiserror::Error)]
#[error("server.driver = \"io_uring\": {0}; or set server.driver = \"auto\"")]
pub struct Unavailable(String);

/// Chooses the driver by trying to make a ring, and to enter it: a seccomp profile can allow the one without the other,
/// and shards on such a ring would never hear from it.
///
/// # Errors
/// When `io_uring` is demanded and not to be had.
pub fn choose(wanted: Driver) -> Result<Choice, Unavailable> {
    if wanted == Driver::Epoll {
        return Ok(Choice { driver: Driver::Epoll, why: "server.driver = \"epoll\"".into() });
    }
    match ring_builder().build(8).and_then(|ring: io_uring::IoUring| ring.submitter().submit()) {
        Ok(_) => Ok(Choice { driver: Driver::IoUring, why: "the kernel allows io_uring".into() }),
        Err(error) if wanted == Driver::Auto => Ok(Choice { driver: Driver::Epoll, why: explain(&error) }),
        Err(error) => Err(Unavailable(explain(&error))),
    }
}

/// What an error of `io_uring_setup(2)` or `io_uring_enter(2)` means here, and the way out.
fn explain(error: &io::Error) -> String {
    let (cause, remedy) = match error.raw_os_error() {
        Some(libc::ENOSYS) => (
            "io_uring is not there: a seccomp profile hides it (container runtimes do so by default) or the kernel is older than 5.1",
            "run the container with a seccomp profile that allows io_uring_setup and io_uring_enter",
        ),
        Some(libc::EPERM) => (
            "io_uring is forbidden: by kernel.io_uring_disabled or a seccomp profile",
            "sysctl kernel.io_uring_disabled=0, and a seccomp profile that allows io_uring_*",
        ),
        Some(libc::ENOMEM) => (
            "the locked memory limit is too low for a ring",
            "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=, --ulimit memlock=-1)",
        ),
        Some(libc::EMFILE | libc::ENFILE) => ("no file descriptor is left", "raise RLIMIT_NOFILE"),
        Some(libc::EINVAL) => {
            ("the kernel does not know the ring flags that are needed", "use Linux 5.19 or newer")
        }
        _ => ("the kernel refused a ring", "see the error"),
    };
    format!("{cause} ({error}); for io_uring: {remedy}")
}

/// Ring flags, measured: see `docs/decisions/0003-ring-flags.md`.
fn ring_builder() -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    builder.setup_coop_taskrun();
    builder
}

/// A shard's runtime on `io_uring`. Call it on the shard's own thread.
///
/// # Errors
/// The kernel's, when the ring can't be made after all.
pub fn io_uring_runtime() -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(ring_builder())
        .with_entries(RING_ENTRIES)
        .enable_timer()
        .build()
}

/// A shard's runtime on epoll.
///
/// # Errors
/// The kernel's.
pub fn epoll_runtime() -> io::Result<Runtime<TimeDriver<LegacyDriver>>> {
    RuntimeBuilder::<LegacyDriver>::new().with_entries(EPOLL_EVENTS).enable_timer().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_the_kernel_has_a_way_out() {
        for (errno, way_out) in [
            (libc::ENOSYS, "seccomp profile"),
            (libc::EPERM, "kernel.io_uring_disabled=0"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EMFILE, "RLIMIT_NOFILE"),
            (libc::EINVAL, "Linux 5.19"),
        ] {
            let text = explain(&io::Error::from_raw_os_error(errno));
            assert!(text.contains(way_out), "{text}");
        }
    }

    #[test]
    fn epoll_is_always_there() {
        assert_eq!(choose(Driver::Epoll).unwrap().driver, Driver::Epoll);
        assert_ne!(choose(Driver::Auto).unwrap().driver, Driver::Auto);
    }
}
