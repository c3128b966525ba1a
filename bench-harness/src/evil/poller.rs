//! epoll, as little of it as the attackers need: sockets by number, level-triggered.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// Events that are taken at once.
const EVENTS: usize = 256;

/// What is waited for besides the end of a connection (which always is).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    fn bits(self) -> u32 {
        let mut bits = libc::EPOLLRDHUP;
        if self.read {
            bits |= libc::EPOLLIN;
        }
        if self.write {
            bits |= libc::EPOLLOUT;
        }
        bits.cast_unsigned()
    }
}

/// What happened to a socket.
#[allow(clippy::struct_excessive_bools, reason = "the kernel's bits, any of which may come together")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its number.
    pub(super) number: usize,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The target has sent FIN.
    pub(super) ended: bool,
    /// The connection is in error: reset or refused.
    pub(super) failed: bool,
}

/// Sockets that are waited for. A socket that is closed leaves by itself.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    buffer: Vec<libc::epoll_event>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, buffer: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] })
    }

    pub(super) fn add(&self, socket: impl AsFd, number: usize, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, number, interest)
    }

    pub(super) fn change(&self, socket: impl AsFd, number: usize, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, number, interest)
    }

    fn control(
        &self,
        operation: i32,
        socket: impl AsFd,
        number: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: number as u64 };
        let (epoll, socket) = (self.epoll.as_raw_fd(), socket.as_fd().as_raw_fd());
        // SAFETY: both descriptors are open; the kernel copies the event.
        let done = unsafe { libc::epoll_ctl(epoll, operation, socket, &raw mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Appends what happened to `events`; returns after `timeout` (rounded up to a ms) at the latest.
    pub(super) fn wait(&mut self, timeout: Duration, events: &mut Vec<Event>) -> io::Result<()> {
        let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let room = i32::try_from(self.buffer.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `room` events into the buffer, which has that many.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.buffer.as_mut_ptr(), room, ms) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        let count = usize::try_from(count).unwrap_or(0);
        events.extend(self.buffer[..count].iter().map(|event| {
            let has = |bit: i32| event.events & bit.cast_unsigned() != 0;
            Event {
                number: usize::try_from(event.u64).unwrap_or(usize::MAX),
                readable: has(libc::EPOLLIN),
                writable: has(libc::EPOLLOUT),
                ended: has(libc::EPOLLRDHUP),
                failed: has(libc::EPOLLERR | libc::EPOLLHUP),
            }
        }));
        Ok(())
    }
}
