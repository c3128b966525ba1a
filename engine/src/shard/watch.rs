//! What the sweep knows of a connection: what it waits for and until when.
//!
//! A connection arms no timer. It writes its phase and its deadline into its [`Watch`]; the shard's sweep reads
//! all of them and cuts the socket of one that is late. The connection's pending read or write then ends, and it
//! finds the reason here.

use std::cell::Cell;
use std::os::fd::{BorrowedFd, RawFd};

use crate::limits;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// The outcome of its records: bounded by the acknowledgement deadline, not by the sweep.
    Outcome,
    /// The client, to take the answer.
    Answer,
    /// The client, to stop sending.
    Linger,
}

/// Why the sweep cut a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its phase took too long.
    Late(Phase),
    /// Its body came in too slowly.
    Slow,
    /// The process drains.
    Drain,
}

/// Time as the sweep counts it.
pub type Tick = u64;

/// One connection's entry.
#[derive(Debug)]
pub struct Watch {
    /// The socket; `None` where the stream is none (simulation).
    socket: Option<RawFd>,
    phase: Cell<Phase>,
    deadline: Cell<Tick>,
    cut: Cell<Option<Cut>>,
    turned_away: Cell<bool>,
    /// When the body began, and what has come since.
    body_since: Cell<Tick>,
    body_bytes: Cell<u64>,
}

/// Ticks in `time`, rounded up, and one more since the running tick has partly passed.
#[must_use]
pub fn ticks(time: std::time::Duration) -> Tick {
    let ticks = time.as_millis().div_ceil(limits::TICK.as_millis()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

impl Watch {
    /// A watch on `socket`, which must stay open until the watch is taken out of the registry.
    #[must_use]
    pub fn new(socket: Option<RawFd>, deadline: Tick) -> Self {
        Self {
            socket,
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(deadline),
            cut: Cell::new(None),
            turned_away: Cell::new(false),
            body_since: Cell::new(0),
            body_bytes: Cell::new(0),
        }
    }

    /// The connection waits for `phase` from now on, until `deadline`.
    pub fn enter(&self, phase: Phase, deadline: Tick) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    /// The connection waits for a body from `now` on; `bytes` of it are here already.
    pub fn enter_body(&self, now: Tick, deadline: Tick, bytes: u64) {
        self.enter(Phase::Body, deadline);
        self.body_since.set(now);
        self.body_bytes.set(bytes);
    }

    /// More of the body has come.
    pub fn received(&self, bytes: usize) {
        self.body_bytes.set(self.body_bytes.get() + bytes as u64);
    }

    /// The connection is told to go elsewhere: no request of its own is taken.
    pub fn turn_away(&self) {
        self.turned_away.set(true);
    }

    /// Whether [`Watch::turn_away`] was called.
    pub fn is_turned_away(&self) -> bool {
        self.turned_away.get()
    }

    /// What it waits for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Why it was cut, if it was.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        self.cut.get()
    }

    /// The sweep's question. `body_rate_min` in bytes a second; 0: any rate will do.
    #[must_use]
    pub fn overdue(&self, now: Tick, body_rate_min: u64) -> Option<Cut> {
        let phase = self.phase.get();
        if phase != Phase::Outcome && now >= self.deadline.get() {
            return Some(Cut::Late(phase));
        }
        let body_ticks = now.saturating_sub(self.body_since.get());
        let slow = phase == Phase::Body
            && body_ticks > ticks(limits::BODY_RATE_GRACE)
            && self.body_bytes.get() < body_ticks * body_rate_min / ticks_per_second();
        slow.then_some(Cut::Slow)
    }

    /// Ends the connection's pending read (and, where it is the client that does not read, its write).
    pub fn cut_off(&self, cut: Cut) {
        if self.cut.get().is_some() && !matches!(cut, Cut::Late(Phase::Linger | Phase::Answer)) {
            return;
        }
        self.cut.set(Some(cut));
        let how = match cut {
            Cut::Late(Phase::Answer | Phase::Linger) => std::net::Shutdown::Both,
            _ => std::net::Shutdown::Read,
        };
        let Some(socket) = self.socket else { return };
        // SAFETY: a watch leaves the registry before its stream is closed (see `Registration`), and only the
        // registry's sweep calls this; so the descriptor is open and is this connection's.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        // An error means that the peer has gone already: the pending operation ends without us.
        let _ = socket2::SockRef::from(&socket).shutdown(how);
    }
}

const fn ticks_per_second() -> u64 {
    1_000_000_000 / limits::TICK.subsec_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deadline_is_never_early() {
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::from_millis(100)), 2);
        assert_eq!(ticks(Duration::from_millis(101)), 3);
    }

    #[test]
    fn each_phase_has_its_deadline_and_the_outcome_has_none() {
        let watch = Watch::new(None, 10);
        assert_eq!(watch.overdue(9, 0), None);
        assert_eq!(watch.overdue(10, 0), Some(Cut::Late(Phase::Idle)));
        watch.enter(Phase::Head, 20);
        assert_eq!(watch.overdue(19, 0), None);
        assert_eq!(watch.overdue(20, 0), Some(Cut::Late(Phase::Head)));
        watch.enter(Phase::Outcome, 0);
        assert_eq!(watch.overdue(1_000_000, 1000), None);
    }

    #[test]
    fn a_slow_body_is_cut_after_its_grace_and_a_fast_one_is_not() {
        let watch = Watch::new(None, 0);
        watch.enter_body(100, 10_000, 0);
        assert_eq!(watch.overdue(150, 1000), None, "five seconds are its grace");
        assert_eq!(watch.overdue(152, 1000), Some(Cut::Slow));
        assert_eq!(watch.overdue(152, 0), None, "0 switches it off");
        watch.received(10_000);
        assert_eq!(watch.overdue(152, 1000), None);
        assert_eq!(watch.overdue(210, 1000), Some(Cut::Slow));
    }
}
