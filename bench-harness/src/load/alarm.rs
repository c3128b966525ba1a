//! An alarm clock that is exact to some tens of microseconds.
//!
//! monoio's own timers tick in milliseconds: too coarse to send 10,000 requests a second each at its time, and
//! spinning instead would take the core that may belong to the target. A timerfd wakes the thread's driver like any
//! other readable descriptor, on `io_uring` and on epoll.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use monoio::net::TcpStream;

/// One alarm, one sleeper.
pub(super) struct Alarm {
    /// A timerfd. It is dressed as a stream since that is the type that monoio lets anyone wait on until readable;
    /// nothing else is ever asked of it.
    timer: TcpStream,
}

impl Alarm {
    /// An alarm on this thread's runtime.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { timer: TcpStream::from_std(StdTcpStream::from(fd))? })
    }

    /// Returns at `at`, or at once when that has passed.
    pub(super) async fn sleep_until(&self, at: Instant) -> io::Result<()> {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        self.set(left)?;
        while Instant::now() < at {
            self.timer.readable(false).await?;
            self.acknowledge();
        }
        Ok(())
    }

    fn set(&self, left: Duration) -> io::Result<()> {
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let seconds = libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX);
        let value = libc::timespec {
            tv_sec: seconds,
            tv_nsec: libc::c_long::from(left.subsec_nanos().cast_signed()),
        };
        let spec = libc::itimerspec { it_interval: none, it_value: value };
        // SAFETY: the descriptor is open, `spec` lives through the call, and the old value is not asked for.
        let set = unsafe {
            libc::timerfd_settime(self.timer.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
        };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads the count of expirations, so that the descriptor is not readable any more.
    fn acknowledge(&self) {
        let mut expirations = 0_u64;
        // SAFETY: eight bytes are written into a u64; the descriptor is open and does not block. A failed read means
        // that nothing expired, which the caller sees by the clock.
        let _nothing_to_read =
            unsafe { libc::read(self.timer.as_raw_fd(), (&raw mut expirations).cast(), 8) };
    }
}
