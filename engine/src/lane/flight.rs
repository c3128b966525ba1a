//! What is known about one batch between its sealing and its return: attempts, and the records that are decided.

use std::time::Instant;

use millrun_sinks::{Delivery, Fault, FaultKind, Records, Retry};

/// The account of one batch.
#[derive(Debug)]
pub(super) struct Flight {
    /// When its requests are answered whatever happens.
    pub deadline: Instant,
    /// When the running attempt began.
    pub submitted_at: Instant,
    /// Attempts so far, the running one included.
    pub attempts: u32,
    /// Which records the running attempt submitted.
    pub submitted: Records,
    /// Records that failed for good, in any order.
    failed: Vec<(u32, Fault)>,
    /// Records that may be tried again, ascending, each with why it failed last.
    pending: Vec<(u32, Fault)>,
}

impl Flight {
    pub(super) fn new(deadline: Instant, now: Instant) -> Self {
        Self {
            deadline,
            submitted_at: now,
            attempts: 0,
            submitted: Records::All,
            failed: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Begins an attempt: all records at first, afterwards those that are pending. Returns what to submit.
    pub(super) fn start_attempt(&mut self, now: Instant) -> Records {
        self.submitted_at = now;
        self.attempts += 1;
        if self.attempts > 1 {
            self.submitted = Records::Only(self.pending.drain(..).map(|(index, _)| index).collect());
        }
        self.submitted.clone()
    }

    /// Books the outcome of the running attempt on a batch of `records`. Where some of them may be tried again: why
    /// the first of those failed.
    pub(super) fn book(&mut self, records: usize, delivery: Delivery) -> Option<FaultKind> {
        debug_assert!(self.pending.is_empty(), "what was pending has been submitted");
        let mut sort = |index: u32, fault: Fault| match fault.retry {
            Retry::Yes => self.pending.push((index, fault)),
            Retry::Client | Retry::No => self.failed.push((index, fault)),
        };
        match delivery {
            Delivery::All => {}
            Delivery::None(fault) => match &self.submitted {
                #[allow(clippy::cast_possible_truncation, reason = "a batch indexes its records by u32")]
                Records::All => (0..records as u32).for_each(|index| sort(index, fault)),
                Records::Only(only) => only.iter().for_each(|index| sort(*index, fault)),
            },
            Delivery::Some(failed) => failed.into_iter().for_each(|(index, fault)| sort(index, fault)),
        }
        self.pending.first().map(|(_, fault)| fault.kind)
    }

    /// The final account of a batch of `records`. What is still pending has failed for good.
    pub(super) fn conclude(mut self, records: usize) -> Delivery {
        self.failed.append(&mut self.pending);
        self.failed.sort_unstable_by_key(|(index, _)| *index);
        Delivery::from_failed(records, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrun_sinks::{Fate, Whose};

    const AGAIN: Fault = Fault::new(FaultKind::Throttled, Whose::Sink, Retry::Yes, Fate::NotStored);
    const LARGE: Fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

    fn flight() -> Flight {
        let now = Instant::now();
        Flight::new(now, now)
    }

    #[test]
    fn only_what_failed_and_may_be_tried_again_is_submitted_again() {
        let mut flight = flight();
        assert_eq!(flight.start_attempt(Instant::now()), Records::All);
        assert_eq!(
            flight.book(4, Delivery::Some(vec![(0, LARGE), (1, AGAIN), (3, AGAIN)])),
            Some(FaultKind::Throttled)
        );
        assert_eq!(flight.start_attempt(Instant::now()), Records::Only(vec![1, 3]));
        assert_eq!(flight.book(4, Delivery::Some(vec![(3, LATE)])), None);
        assert_eq!(flight.conclude(4), Delivery::Some(vec![(0, LARGE), (3, LATE)]));
    }

    #[test]
    fn giving_up_turns_pending_into_failed() {
        let mut flight = flight();
        assert_eq!(flight.book(2, Delivery::None(AGAIN)), Some(FaultKind::Throttled));
        assert_eq!(flight.conclude(2), Delivery::None(AGAIN));
    }

    #[test]
    fn a_second_attempt_that_fails_whole_fails_only_what_it_submitted() {
        let mut flight = flight();
        flight.start_attempt(Instant::now());
        assert_eq!(flight.book(3, Delivery::Some(vec![(2, AGAIN)])), Some(FaultKind::Throttled));
        assert_eq!(flight.start_attempt(Instant::now()), Records::Only(vec![2]));
        assert_eq!(flight.book(3, Delivery::None(LATE)), None);
        assert_eq!(flight.conclude(3), Delivery::Some(vec![(2, LATE)]));
    }
}
