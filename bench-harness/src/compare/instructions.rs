//! User-space instructions of a process and all that it starts, counted by the processor (`perf_event_open`).
//!
//! Counts of instructions hardly depend on what else the machine does, which makes them the best number for small
//! differences. But the processor must have counters that the host lets us use; virtual machines often have none. Then
//! the reason is part of the result.
//!
//! The counter is attached between fork and exec and inherited by every thread and child made later: attached to a
//! running process it would count only the threads that do not exist yet and the one it was attached to.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{FromRawFd as _, OwnedFd};

/// The first published size of `perf_event_attr`; the kernel takes it as zeros behind.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

const FLAG_DISABLED: u64 = 1;
const FLAG_INHERIT: u64 = 1 << 1;
const FLAG_EXCLUDE_KERNEL: u64 = 1 << 5;
const FLAG_EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const FLAG_ENABLE_ON_EXEC: u64 = 1 << 12;
/// `PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING`
const FORMAT_TIMES: u64 = 0b11;
/// `PERF_FLAG_FD_CLOEXEC`
const OPEN_CLOEXEC: libc::c_ulong = 1 << 3;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_INSTRUCTIONS`
    Instructions,
    /// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_TASK_CLOCK`, in ns: works on every kernel, so tests can tell a broken counter from
    /// a missing one.
    #[cfg(test)]
    TaskClock,
}

/// A counter over a process tree.
#[derive(Debug)]
pub struct Counter(File);

/// Why nothing can be counted, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl Counter {
    /// Attaches to `pid`, which waits to exec; counting begins when it does.
    ///
    /// # Errors
    /// When the machine or its administrator does not let us.
    pub(super) fn attach(pid: i32, event: Event) -> Result<Self, Unavailable> {
        let (kind, config) = match event {
            Event::Instructions => (0, 1),
            #[cfg(test)]
            Event::TaskClock => (1, 1),
        };
        let attributes = Attributes {
            kind,
            size: u32::try_from(size_of::<Attributes>()).unwrap_or(64),
            config,
            sample_period: 0,
            sample_type: 0,
            read_format: FORMAT_TIMES,
            flags: FLAG_DISABLED
                | FLAG_INHERIT
                | FLAG_EXCLUDE_KERNEL
                | FLAG_EXCLUDE_HYPERVISOR
                | FLAG_ENABLE_ON_EXEC,
            wakeup_events: 0,
            breakpoint_type: 0,
            config1: 0,
        };
        let (any_cpu, no_group) = (-1, -1);
        // SAFETY: the kernel reads `size` bytes of attributes, which live through the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                pid,
                any_cpu,
                no_group,
                OPEN_CLOEXEC,
            )
        };
        match i32::try_from(fd) {
            // SAFETY: the descriptor was just made and belongs to nobody else.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }.into())),
            _ => Err(why(&io::Error::last_os_error())),
        }
    }

    /// What was counted since the exec, over the whole tree, those that have ended included. When the counter had to be
    /// shared with others it is scaled up by the share of time that it ran.
    ///
    /// # Errors
    /// When the counter never ran.
    pub fn read(&self) -> Result<f64, Unavailable> {
        let mut bytes = [0; 24];
        (&self.0)
            .read_exact(&mut bytes)
            .map_err(|error| Unavailable(format!("the counter can't be read: {error}")))?;
        let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        scaled(number(0), number(8), number(16))
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn scaled(count: u64, enabled_ns: u64, running_ns: u64) -> Result<f64, Unavailable> {
    if running_ns == 0 {
        let why = "the counter never ran: all of the processor's counters were taken; stop other profilers";
        return Err(Unavailable(why.to_owned()));
    }
    Ok(count as f64 * (enabled_ns as f64 / running_ns as f64).max(1.0))
}

fn why(error: &io::Error) -> Unavailable {
    Unavailable(match error.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV) => format!(
            "this machine offers no hardware counters, as most virtual machines do not ({error}); run it on real hardware, or expose the PMU to the guest"
        ),
        Some(libc::EACCES | libc::EPERM) => format!(
            "counting is not allowed ({error}); set kernel.perf_event_paranoid to 2 or lower, or grant CAP_PERFMON"
        ),
        Some(libc::ENOSYS) => {
            format!("this kernel or its seccomp filter has no perf_event_open ({error})")
        }
        _ => format!("perf_event_open: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_have_the_size_the_kernel_knows() {
        assert_eq!(size_of::<Attributes>(), 64);
    }

    #[test]
    fn a_shared_counter_is_scaled_and_one_that_never_ran_is_none() {
        let count = scaled(100, 40, 10).unwrap();
        assert!((count - 400.0).abs() < 1e-9);
        assert!((scaled(100, 10, 10).unwrap() - 100.0).abs() < 1e-9);
        assert!(scaled(0, 10, 0).unwrap_err().to_string().contains("never ran"));
    }

    #[test]
    fn every_refusal_says_what_would_help() {
        let said = |code| why(&io::Error::from_raw_os_error(code)).to_string();
        assert!(said(libc::ENOENT).contains("real hardware"));
        assert!(said(libc::EOPNOTSUPP).contains("real hardware"));
        assert!(said(libc::EACCES).contains("perf_event_paranoid"));
        assert!(said(libc::ENOSYS).contains("seccomp"));
        assert!(said(libc::EMFILE).contains("perf_event_open"));
    }
}
