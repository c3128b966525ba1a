//! Holds what clients were told against what is stored.
//!
//! ```text
//!                     stored                     not stored
//!   answered 200      true                       LOST: the worst defect
//!   retryable error   a retry makes a duplicate  true
//!   no answer         unknown to the client      unknown to the client
//! ```

use std::collections::BTreeMap;

use crate::ledger::{Ledger, Outcome, Silence, body_of, id_of};

/// What the comparison found. Ids, in order.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Answered 200 and not stored. Must be empty, always.
    pub lost: Vec<String>,
    /// Stored with other bytes than were sent. Must be empty, always.
    pub corrupt: Vec<String>,
    /// Stored and never sent. Must be empty, always.
    pub invented: Vec<String>,
    /// Answers that a client can't act on: neither success, nor retryable, nor expected.
    pub bad_answers: Vec<(String, u16)>,
    /// 503 or 429 without `Retry-After`.
    pub without_retry_after: Vec<String>,
    /// Answers that ended in the middle, or were none.
    pub cut: Vec<(String, Silence)>,
    /// Stored although the client was told otherwise: allowed, as its retry makes a duplicate and no loss.
    pub stored_though_refused: Vec<String>,
    /// Stored, and the client had no answer.
    pub stored_unanswered: Vec<String>,
    /// Stored more than once.
    pub duplicates: Vec<String>,
}

/// Statuses after which the same request can succeed later.
const RETRYABLE: [u16; 4] = [408, 429, 500, 503];

/// Compares a ledger with the `data` of everything that is stored.
///
/// `expected` are statuses that are the truth about some of the events, such as 413 for those that are too large.
pub fn judge<'a>(ledger: &Ledger, stored: impl IntoIterator<Item = &'a str>, expected: &[u16]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    for data in stored {
        match id_of(data).filter(|id| ledger.entries.contains_key(*id)) {
            None => verdict.invented.push(data.chars().take(120).collect()),
            Some(id) => {
                if data != body_of(id) {
                    verdict.corrupt.push(id.to_owned());
                }
                *copies.entry(id).or_default() += 1;
            }
        }
    }
    for (id, outcome) in &ledger.entries {
        let count = copies.get(id.as_str()).copied().unwrap_or(0);
        if count > 1 {
            verdict.duplicates.push(id.clone());
        }
        judge_one(&mut verdict, id, outcome, count > 0, expected);
    }
    verdict
}

fn judge_one(verdict: &mut Verdict, id: &str, outcome: &Outcome, is_stored: bool, expected: &[u16]) {
    let id = id.to_owned();
    match outcome {
        Outcome::Answered { status: 200, .. } => {
            if !is_stored {
                verdict.lost.push(id);
            }
        }
        Outcome::Answered { status, retry_after } => {
            if !RETRYABLE.contains(status) && !expected.contains(status) {
                verdict.bad_answers.push((id.clone(), *status));
            }
            if matches!(status, 429 | 503) && !retry_after {
                verdict.without_retry_after.push(id.clone());
            }
            if is_stored {
                verdict.stored_though_refused.push(id);
            }
        }
        Outcome::Unanswered(silence) => {
            if matches!(silence, Silence::Cut(_) | Silence::Malformed(_)) {
                verdict.cut.push((id.clone(), silence.clone()));
            }
            if is_stored {
                verdict.stored_unanswered.push(id);
            }
        }
    }
}

impl Verdict {
    /// Panics unless every answer was true and one that the client could act on.
    ///
    /// Answers that were cut off are allowed only where the engine was killed: see [`Self::assert_whole`].
    pub fn assert_truthful(&self) {
        fn first<T: std::fmt::Debug>(list: &[T]) -> String {
            format!("{} of them, such as {:?}", list.len(), &list[..list.len().min(3)])
        }
        assert!(self.lost.is_empty(), "answered 200 and lost: {}", first(&self.lost));
        assert!(self.corrupt.is_empty(), "stored with other bytes: {}", first(&self.corrupt));
        assert!(self.invented.is_empty(), "stored and never sent: {}", first(&self.invented));
        assert!(self.bad_answers.is_empty(), "neither retryable nor expected: {}", first(&self.bad_answers));
        assert!(
            self.without_retry_after.is_empty(),
            "503 or 429 without Retry-After: {}",
            first(&self.without_retry_after)
        );
    }

    /// Panics where a client saw the beginning of an answer and not its end.
    pub fn assert_whole(&self) {
        assert!(self.cut.is_empty(), "cut off: {:?}", &self.cut[..self.cut.len().min(3)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(entries: &[(&str, Outcome)]) -> Ledger {
        let entries = entries.iter().map(|(id, outcome)| ((*id).to_owned(), outcome.clone())).collect();
        Ledger { entries, ..Ledger::default() }
    }

    fn answered(status: u16, retry_after: bool) -> Outcome {
        Outcome::Answered { status, retry_after }
    }

    #[test]
    fn the_truth_passes() {
        let ledger = ledger(&[
            ("a", answered(200, false)),
            ("b", answered(503, true)),
            ("c", Outcome::Unanswered(Silence::Reset)),
            ("d", answered(413, false)),
        ]);
        let (a, c) = (body_of("a"), body_of("c"));
        let verdict = judge(&ledger, [a.as_str(), c.as_str()], &[413]);
        verdict.assert_truthful();
        verdict.assert_whole();
        assert_eq!(verdict.stored_unanswered, ["c"]);
    }

    #[test]
    fn each_lie_is_found() {
        let ledger = ledger(&[
            ("lost", answered(200, false)),
            ("corrupt", answered(200, false)),
            ("twice", answered(200, false)),
            ("refused", answered(503, true)),
            ("impatient", answered(503, false)),
            ("gone", answered(404, false)),
            ("cut", Outcome::Unanswered(Silence::Cut("HTTP/1.1 200".to_owned()))),
        ]);
        let corrupt = body_of("corrupt").replace("load", "lead");
        let (twice, refused) = (body_of("twice"), body_of("refused"));
        let stored = [corrupt.as_str(), &twice, &twice, &refused, "[]", &body_of("never")];
        let verdict = judge(&ledger, stored, &[]);
        assert_eq!(verdict.lost, ["lost"]);
        assert_eq!(verdict.corrupt, ["corrupt"]);
        assert_eq!(verdict.duplicates, ["twice"]);
        assert_eq!(verdict.stored_though_refused, ["refused"]);
        assert_eq!(verdict.without_retry_after, ["impatient"]);
        assert_eq!(verdict.bad_answers, [("gone".to_owned(), 404)]);
        assert_eq!(verdict.invented.len(), 2);
        assert_eq!(verdict.cut.len(), 1);
    }
}
