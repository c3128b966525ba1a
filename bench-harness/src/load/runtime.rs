//! A generator thread: its processor, its driver, and what it cost.

use std::io;
use std::time::Duration;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::Driver;

/// Operations that may be under way at once before the driver submits in between.
const ENTRIES: u32 = 4096;

/// The driver that `wanted` comes to on this host.
pub(super) fn choose(wanted: Driver) -> io::Result<Driver> {
    match (wanted, RuntimeBuilder::<IoUringDriver>::new().with_entries(256).build()) {
        (Driver::Epoll, _) | (Driver::Auto, Err(_)) => Ok(Driver::Epoll),
        (Driver::Auto | Driver::IoUring, Ok(_)) => Ok(Driver::IoUring),
        (Driver::IoUring, Err(error)) => Err(error),
    }
}

/// The driver's name in results.
pub(super) fn name(driver: Driver) -> &'static str {
    if driver == Driver::Epoll { "epoll" } else { "io_uring" }
}

/// Runs `task` on a new runtime of this thread.
pub(super) fn block_on<T>(driver: Driver, task: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    if driver == Driver::Epoll {
        let mut runtime: monoio::Runtime<TimeDriver<LegacyDriver>> =
            RuntimeBuilder::<LegacyDriver>::new().with_entries(ENTRIES).enable_timer().build()?;
        return runtime.block_on(task);
    }
    let mut runtime: monoio::Runtime<TimeDriver<IoUringDriver>> =
        RuntimeBuilder::<IoUringDriver>::new().with_entries(ENTRIES).enable_timer().build()?;
    runtime.block_on(task)
}

/// Keeps this thread on one processor.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= libc::CPU_SETSIZE.cast_unsigned() as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `cpu` is below the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives through the call; 0 is this thread.
    let pinned = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if pinned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// CPU time of this thread so far.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec. It can't fail for this clock; if it did, the time would be zero.
    let _always_works = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
