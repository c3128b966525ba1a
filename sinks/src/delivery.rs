//! The outcome of one submission, record by record.

use crate::Fault;

/// What became of the records of one [`crate::Submission`].
///
/// Indices are those of the batch. A record that was submitted and is not listed as failed was delivered as the
/// sink promises: there is no third state.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a delivery result decides what clients are told: dropping it is a lie"]
pub enum Delivery {
    /// Every submitted record was delivered.
    All,
    /// These records failed, in ascending order of index and each index once; every other one was delivered.
    Some(Vec<(u32, Fault)>),
    /// Every submitted record failed, for this reason.
    None(Fault),
}

impl Delivery {
    /// The outcome of record `index`, which must be one that was submitted.
    ///
    /// # Errors
    /// The fault, where that record failed.
    pub fn of(&self, index: u32) -> Result<(), Fault> {
        match self {
            Self::All => Ok(()),
            Self::None(fault) => Err(*fault),
            Self::Some(failed) => match failed.binary_search_by_key(&index, |(failed, _)| *failed) {
                Ok(place) => Err(failed[place].1),
                Err(_) => Ok(()),
            },
        }
    }

    /// The delivery of `submitted` records of which `failed` (ascending, each index once) did not arrive.
    pub fn from_failed(submitted: usize, failed: Vec<(u32, Fault)>) -> Self {
        debug_assert!(failed.is_sorted_by(|a, b| a.0 < b.0), "indices ascend");
        match failed.first() {
            None => Self::All,
            Some((_, first))
                if failed.len() == submitted && failed.iter().all(|(_, fault)| fault == first) =>
            {
                Self::None(*first)
            }
            Some(_) => Self::Some(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fate, FaultKind, Retry, Whose};

    const LARGE: Fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

    #[test]
    fn each_record_has_its_own_outcome() {
        let delivery = Delivery::from_failed(4, vec![(1, LARGE), (3, LATE)]);
        assert_eq!(delivery.of(0), Ok(()));
        assert_eq!(delivery.of(1), Err(LARGE));
        assert_eq!(delivery.of(2), Ok(()));
        assert_eq!(delivery.of(3), Err(LATE));
    }

    #[test]
    fn the_simple_cases_take_the_simple_form() {
        assert_eq!(Delivery::from_failed(2, vec![]), Delivery::All);
        assert_eq!(Delivery::from_failed(2, vec![(0, LATE), (1, LATE)]), Delivery::None(LATE));
        assert_eq!(
            Delivery::from_failed(2, vec![(0, LATE), (1, LARGE)]),
            Delivery::Some(vec![(0, LATE), (1, LARGE)])
        );
        assert_eq!(Delivery::from_failed(3, vec![(0, LATE), (1, LATE)]).of(2), Ok(()));
    }
}
