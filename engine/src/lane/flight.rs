//! What is known about one batch between its sealing and its return: attempts, and the records that are decided.

use std::time::{Duration, Instant};

use millrun_sinks::{Delivery, Fate, Fault, FaultKind, Records, Retry, Whose};

/// As long as any process runs.
const PATIENCE: Duration = Duration::from_hours(24 * 365 * 10);

/// The account of one batch.
#[derive(Debug)]
pub(super) struct Flight {
    /// When its requests are answered whatever happens; nothing is submitted from then on.
    pub deadline: Instant,
    /// Some of its records were answered before they were stored: nothing is given up that a further attempt may store.
    patient: bool,
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
    /// Records that an earlier attempt may have stored, whatever a later one says.
    in_doubt: Vec<u32>,
    /// Most records of the next attempt; see [`Flight::book`].
    together_max: usize,
    /// How often the batch had to pause.
    pauses: u32,
}

/// How a batch goes on after an attempt, and why the first of the records that are still pending failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Every record is decided.
    Home,
    /// At once: the sink works, what failed was the company of other records.
    AtOnce(FaultKind),
    /// After the pause that follows this many failures.
    Pause(FaultKind, u32),
}

impl Flight {
    pub(super) fn new(deadline: Instant, patient: bool, now: Instant) -> Self {
        Self {
            deadline: if patient { now + PATIENCE } else { deadline },
            patient,
            in_doubt: Vec::new(),
            submitted_at: now,
            attempts: 0,
            submitted: Records::All,
            failed: Vec::new(),
            pending: Vec::new(),
            together_max: usize::MAX,
            pauses: 0,
        }
    }

    /// Begins an attempt: all records at first, afterwards those that are pending, or the first of them. Returns what
    /// to submit.
    pub(super) fn start_attempt(&mut self, now: Instant) -> Records {
        self.submitted_at = now;
        self.attempts += 1;
        if self.attempts > 1 {
            let count = self.pending.len().min(self.together_max);
            self.submitted = Records::Only(self.pending.drain(..count).map(|(index, _)| index).collect());
        }
        self.submitted.clone()
    }

    /// Books the outcome of the running attempt on a batch of `records`, and says how to go on.
    ///
    /// Records that were refused because they were too large *together* are tried in halves, and halves of those, and
    /// in twice as many after each attempt that was not: one of 64 that is too large by itself costs 24 attempts
    /// at most.
    pub(super) fn book(&mut self, records: usize, delivery: Delivery) -> Next {
        let submitted = match &self.submitted {
            Records::All => records,
            Records::Only(only) => only.len(),
        };
        let (mut again, mut too_large_together) = (false, false);
        let patient = self.patient;
        let mut sort = |index: u32, fault: Fault| {
            let retried = match fault.retry {
                Retry::Yes => true,
                // No client will: it has its 200. Twice is better than never.
                Retry::Client => patient,
                Retry::No => false,
            };
            if fault.fate == Fate::Unknown {
                self.in_doubt.push(index);
            }
            if retried {
                again = true;
                too_large_together |= fault.kind == FaultKind::RecordTooLarge;
                self.pending.push((index, fault));
            } else {
                self.failed.push((index, fault));
            }
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
        self.pending.sort_unstable_by_key(|(index, _)| *index);
        self.together_max =
            if too_large_together { (submitted / 2).max(1) } else { self.together_max.saturating_mul(2) };
        match self.pending.first() {
            None => Next::Home,
            Some((_, fault)) if !again || (too_large_together && submitted > 1) => Next::AtOnce(fault.kind),
            // One by itself can be in the company of other batches' records: time parts them.
            Some((_, fault)) => {
                self.pauses += 1;
                Next::Pause(fault.kind, self.pauses)
            }
        }
    }

    /// The account of a batch of `records` whose time is over while it waits for an attempt.
    pub(super) fn give_up(self, records: usize) -> Delivery {
        const TOO_LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::NotStored);
        if self.attempts == 0 { Delivery::None(TOO_LATE) } else { self.conclude(records) }
    }

    /// The final account of a batch of `records`. What is still pending has failed for good.
    pub(super) fn conclude(mut self, records: usize) -> Delivery {
        self.failed.append(&mut self.pending);
        self.failed.sort_unstable_by_key(|(index, _)| *index);
        for (index, fault) in &mut self.failed {
            if self.in_doubt.contains(index) {
                fault.fate = Fate::Unknown;
            }
        }
        Delivery::from_failed(records, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const AGAIN: Fault = Fault::new(FaultKind::Throttled, Whose::Sink, Retry::Yes, Fate::NotStored);
    const LARGE: Fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

    fn flight() -> Flight {
        let now = Instant::now();
        Flight::new(now, false, now)
    }

    #[test]
    fn only_what_failed_and_may_be_tried_again_is_submitted_again() {
        let mut flight = flight();
        assert_eq!(flight.start_attempt(Instant::now()), Records::All);
        assert_eq!(
            flight.book(4, Delivery::Some(vec![(0, LARGE), (1, AGAIN), (3, AGAIN)])),
            Next::Pause(FaultKind::Throttled, 1)
        );
        assert_eq!(flight.start_attempt(Instant::now()), Records::Only(vec![1, 3]));
        assert_eq!(flight.book(4, Delivery::Some(vec![(3, LATE)])), Next::Home);
        assert_eq!(flight.conclude(4), Delivery::Some(vec![(0, LARGE), (3, LATE)]));
    }

    #[test]
    fn a_record_once_in_doubt_stays_in_doubt() {
        let doubt = Fault { fate: Fate::Unknown, ..AGAIN };
        let mut flight = flight();
        flight.start_attempt(Instant::now());
        flight.book(2, Delivery::Some(vec![(0, doubt), (1, AGAIN)]));
        flight.start_attempt(Instant::now());
        flight.book(2, Delivery::None(AGAIN));
        assert_eq!(flight.conclude(2), Delivery::Some(vec![(0, doubt), (1, AGAIN)]));
    }

    #[test]
    fn giving_up_turns_pending_into_failed() {
        let mut flight = flight();
        assert_eq!(flight.book(2, Delivery::None(AGAIN)), Next::Pause(FaultKind::Throttled, 1));
        assert_eq!(flight.conclude(2), Delivery::None(AGAIN));
    }

    #[test]
    fn a_second_attempt_that_fails_whole_fails_only_what_it_submitted() {
        let mut flight = flight();
        flight.start_attempt(Instant::now());
        assert_eq!(flight.book(3, Delivery::Some(vec![(2, AGAIN)])), Next::Pause(FaultKind::Throttled, 1));
        assert_eq!(flight.start_attempt(Instant::now()), Records::Only(vec![2]));
        assert_eq!(flight.book(3, Delivery::None(LATE)), Next::Home);
        assert_eq!(flight.conclude(3), Delivery::Some(vec![(2, LATE)]));
    }

    /// A sink that takes requests of at most `request_max` bytes; these are the records' sizes.
    fn attempts_until_home(sizes: &[usize], request_max: usize) -> (u32, Delivery) {
        let crowd = Fault::new(FaultKind::RecordTooLarge, Whose::Operator, Retry::Yes, Fate::NotStored);
        let mut flight = flight();
        loop {
            let submitted: Vec<usize> = match flight.start_attempt(Instant::now()) {
                Records::All => (0..sizes.len()).collect(),
                Records::Only(only) => only.iter().map(|index| *index as usize).collect(),
            };
            assert!(submitted.is_sorted() && !submitted.is_empty());
            let fits = submitted.iter().map(|index| sizes[*index]).sum::<usize>() <= request_max;
            let delivery = match (fits, submitted.len()) {
                (true, _) => Delivery::All,
                (false, 1) => Delivery::None(LARGE),
                (false, _) => Delivery::None(crowd),
            };
            match flight.book(sizes.len(), delivery) {
                Next::Home => return (flight.attempts, flight.conclude(sizes.len())),
                Next::AtOnce(FaultKind::RecordTooLarge) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_record_too_large_is_parted_from_its_neighbours() {
        for large in 0..64 {
            let mut sizes = [1; 64];
            sizes[large] = 1000;
            let (attempts, delivery) = attempts_until_home(&sizes, 100);
            assert_eq!(delivery, Delivery::Some(vec![(u32::try_from(large).unwrap(), LARGE)]));
            assert!(attempts <= 24, "{attempts} attempts for the one at {large}");
        }
    }

    #[test]
    fn records_that_are_too_large_only_together_are_all_delivered() {
        let (attempts, delivery) = attempts_until_home(&[10; 64], 100);
        assert_eq!((attempts, delivery), (17, Delivery::All));
    }

    #[test]
    fn a_single_record_in_strange_company_pauses() {
        let crowd = Fault::new(FaultKind::RecordTooLarge, Whose::Operator, Retry::Yes, Fate::NotStored);
        let mut flight = flight();
        flight.start_attempt(Instant::now());
        assert_eq!(flight.book(1, Delivery::None(crowd)), Next::Pause(FaultKind::RecordTooLarge, 1));
    }
}
