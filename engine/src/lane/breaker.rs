//! When a sink counts as down. Pure: the lane feeds it outcomes and hands its verdict to the [`super::Gate`].
//!
//! ```text
//!            failures in a row >= failures_max, or the sink says that it is down
//!   closed ───────────────────────────────────────────────────────────────────▶ open
//!     ▲                                                                          │ every failure: open_for anew
//!     └────────────────────────── any record delivered ◀─────────────────────────┘
//! ```

/// What the lane has to tell the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changed.
    Unchanged,
    /// Let requests pass.
    Close,
    /// Refuse requests from now on for the configured time.
    Open,
}

/// Counts failed attempts in a row.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    failures_max: u32,
    open: bool,
}

impl Breaker {
    /// A closed breaker that opens after `failures_max` (at least 1) failed attempts in a row.
    #[must_use]
    pub fn new(failures_max: u32) -> Self {
        Self { failures: 0, failures_max: failures_max.max(1), open: false }
    }

    /// An attempt delivered at least one record.
    pub fn succeeded(&mut self) -> Verdict {
        self.failures = 0;
        if std::mem::take(&mut self.open) { Verdict::Close } else { Verdict::Unchanged }
    }

    /// An attempt delivered nothing, and not because of its records.
    pub fn failed(&mut self) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        if self.open || self.failures >= self.failures_max { self.trip() } else { Verdict::Unchanged }
    }

    /// The sink itself says that its destination is down.
    pub fn trip(&mut self) -> Verdict {
        self.open = true;
        Verdict::Open
    }

    /// True while requests are refused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_on_the_first_success() {
        let mut breaker = Breaker::new(3);
        assert_eq!(breaker.failed(), Verdict::Unchanged);
        assert_eq!(breaker.failed(), Verdict::Unchanged);
        assert_eq!(breaker.succeeded(), Verdict::Unchanged, "a success starts the count anew");
        assert_eq!(breaker.failed(), Verdict::Unchanged);
        assert_eq!(breaker.failed(), Verdict::Unchanged);
        assert_eq!(breaker.failed(), Verdict::Open);
        assert_eq!(breaker.failed(), Verdict::Open, "a failed probe opens it anew");
        assert_eq!(breaker.succeeded(), Verdict::Close);
        assert_eq!(breaker.failed(), Verdict::Unchanged);
    }

    #[test]
    fn a_sink_that_knows_better_trips_it_at_once() {
        let mut breaker = Breaker::new(3);
        assert_eq!(breaker.trip(), Verdict::Open);
        assert!(breaker.is_open());
        assert_eq!(breaker.succeeded(), Verdict::Close);
    }
}
