//! Where the process is in its life: set by the main thread, read by the admin thread.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The four phases, in their only order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Shards and sinks are being started; the data port may not answer yet.
    Starting,
    /// Everything runs.
    Serving,
    /// A signal to stop has come: requests are still served while load balancers notice and batches flush.
    Draining,
    /// The data port is closed; only the end of the process is left.
    Stopped,
}

impl Phase {
    /// Every phase, in the order of its number: `ALL[phase as usize] == phase`.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Serving, Self::Draining, Self::Stopped];

    /// Stable name, snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// The current phase. Begins as [`Phase::Starting`] and never goes back.
#[derive(Debug)]
pub struct PhaseCell(AtomicU8);

impl Default for PhaseCell {
    fn default() -> Self {
        Self(AtomicU8::new(Phase::Starting as u8))
    }
}

impl PhaseCell {
    /// Moves on to `phase`; an earlier one than the current is ignored, so that a signal that comes while the
    /// engine starts can't be undone by the start's last step.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Relaxed);
    }

    /// The phase now.
    #[must_use]
    pub fn get(&self) -> Phase {
        Phase::ALL[usize::from(self.0.load(Relaxed))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_advance() {
        let cell = PhaseCell::default();
        assert_eq!(cell.get(), Phase::Starting);
        for phase in Phase::ALL {
            assert_eq!(Phase::ALL[phase as usize], phase);
            cell.advance(phase);
            assert_eq!(cell.get(), phase);
        }
        cell.advance(Phase::Serving);
        assert_eq!(cell.get(), Phase::Stopped);
    }
}
