//! What the target did to the attackers.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::latency::{Distribution, Latencies};
use crate::result::OutcomeCount;

/// What the target did to the attackers of one variant, over the whole attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conduct {
    /// What these attackers did: a variant of the attack.
    pub variant: String,
    /// Connections that attackers made.
    pub connects: u64,
    /// Attempts to connect that failed, or were still under way in the end.
    pub connect_failures: u64,
    /// Whole answers that were read, by status; `garbled` where one was no HTTP (nothing more is read on that connection).
    pub answers: Vec<OutcomeCount>,
    /// Connections that the target ended in order (FIN).
    pub closed: u64,
    /// Connections that the target reset, or that failed while open.
    pub reset: u64,
    /// Connections that the attacker left.
    pub left: u64,
    /// Connections still open when the attack ended.
    pub held: u64,
    /// From connecting to the end that the target made of it (`closed` and `reset`).
    pub cut_after: Distribution,
    /// The age of the oldest connection of `held`, in µs.
    pub held_us_max: u64,
    /// Bytes that the attackers could write: read by the target, or in its host's socket buffers.
    pub bytes_taken: u64,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The target sent FIN.
    Closed,
    /// The target reset it.
    Reset,
    /// The attacker left.
    Left,
    /// The attack is over.
    Held,
}

/// Counts it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connects: u64,
    pub(super) connect_failures: u64,
    pub(super) bytes_taken: u64,
    answers: BTreeMap<u16, u64>,
    garbled: u64,
    ends: [u64; 4],
    cut_after: Latencies,
    held_max: Duration,
}

impl Tally {
    pub(super) fn answered(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    pub(super) fn garbled(&mut self) {
        self.garbled += 1;
    }

    /// A connection that was made `age` ago has ended.
    pub(super) fn ended(&mut self, end: End, age: Duration) {
        self.ends[end as usize] += 1;
        match end {
            End::Closed | End::Reset => self.cut_after.record(age),
            End::Held => self.held_max = self.held_max.max(age),
            End::Left => {}
        }
    }

    pub(super) fn conduct(&self, variant: &str) -> Conduct {
        let mut answers: Vec<OutcomeCount> = self
            .answers
            .iter()
            .map(|(status, &count)| OutcomeCount { outcome: status.to_string(), count })
            .collect();
        if self.garbled > 0 {
            answers.push(OutcomeCount { outcome: "garbled".into(), count: self.garbled });
        }
        let [closed, reset, left, held] = self.ends;
        Conduct {
            variant: variant.to_owned(),
            connects: self.connects,
            connect_failures: self.connect_failures,
            answers,
            closed,
            reset,
            left,
            held,
            cut_after: self.cut_after.distribution(),
            held_us_max: u64::try_from(self.held_max.as_micros()).unwrap_or(u64::MAX),
            bytes_taken: self.bytes_taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart_and_only_the_targets_are_timed() {
        let mut tally = Tally::default();
        for (end, ms) in [(End::Closed, 10), (End::Reset, 30), (End::Left, 500), (End::Held, 700)] {
            tally.ended(end, Duration::from_millis(ms));
        }
        tally.answered(408);
        tally.answered(408);
        tally.garbled();
        let conduct = tally.conduct("a");
        assert_eq!((conduct.closed, conduct.reset, conduct.left, conduct.held), (1, 1, 1, 1));
        assert_eq!((conduct.cut_after.count, conduct.held_us_max), (2, 700_000));
        assert!(conduct.cut_after.max_us.abs_diff(30_000) < 50, "{}", conduct.cut_after.max_us);
        let answers: Vec<(&str, u64)> =
            conduct.answers.iter().map(|answer| (answer.outcome.as_str(), answer.count)).collect();
        assert_eq!(answers, [("408", 2), ("garbled", 1)]);
        assert_eq!(conduct.variant, "a");
    }
}
