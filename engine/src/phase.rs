//! Where the process is in its life. Set by the main thread, read by everybody.

use std::sync::atomic::{AtomicU8, Ordering};

/// The phases, in order; a process never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Sinks and shards are being made.
    Starting,
    /// Requests are served.
    Serving,
    /// The process was told to stop: requests are still served, but `/ready` fails and connections are closed
    /// behind their answers, so that load balancers look elsewhere.
    Draining,
    /// Nothing new is taken; what was taken is finished.
    Stopping,
}

/// The phase, shared.
#[derive(Debug)]
pub struct PhaseCell(AtomicU8);

impl Default for PhaseCell {
    fn default() -> Self {
        Self(AtomicU8::new(Phase::Starting as u8))
    }
}

impl PhaseCell {
    /// The phase now.
    #[must_use]
    pub fn get(&self) -> Phase {
        // Relaxed: nobody infers anything else from it.
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            2 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Moves on. A phase that lies behind is ignored.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_way_back() {
        let cell = PhaseCell::default();
        assert_eq!(cell.get(), Phase::Starting);
        cell.advance(Phase::Draining);
        cell.advance(Phase::Serving);
        assert_eq!(cell.get(), Phase::Draining);
    }
}
