use super::*;
use crate::audit::ledger::Page;
use crate::load::Observer as _;
use crate::request::{Shape, digest};
use proptest::prelude::*;

const RUN: u32 = 7;

fn id(number: u64) -> RequestId {
    RequestId { run: RUN, worker: 0, number }
}

fn body(number: u64) -> String {
    format!("event {}", id(number))
}

/// A ledger of requests that ended like this.
fn ledger(outcomes: &[Option<Outcome>]) -> Ledger {
    let mut page = Page::default();
    for (number, outcome) in (0..).zip(outcomes) {
        let shape = Shape { kind: 0, events: 1, stored: Stored::Body(digest(body(number).as_bytes())) };
        page.sending(id(number), &shape);
        if let Some(outcome) = outcome {
            page.ended(id(number), &shape, *outcome);
        }
    }
    Ledger::new(RUN, vec![page])
}

fn verdict(outcomes: &[Option<Outcome>], stored: &[String]) -> Verdict {
    let ledger = ledger(outcomes);
    let mut inventory = Inventory::new(&ledger, RecordForm::Raw);
    for record in stored {
        inventory.take(record.as_bytes());
    }
    inventory.verdict(0)
}

const OK: Option<Outcome> = Some(Outcome::Answered(200));
const BUSY: Option<Outcome> = Some(Outcome::Answered(503));

#[test]
fn an_honest_run_passes() {
    let verdict = verdict(&[OK, BUSY, Some(Outcome::Reset), None], &[body(0), body(3)]);
    assert!(verdict.passed(), "{verdict}");
    assert_eq!((verdict.sent, verdict.acked, verdict.stored), (4, 1, 2));
    assert_eq!((verdict.unanswered_stored, verdict.unanswered_missing), (1, 1));
}

#[test]
fn every_lie_has_its_class() {
    let lost = verdict(&[OK, OK], &[body(0)]);
    assert_eq!((lost.passed(), lost.lost.first.clone()), (false, vec![id(1).to_string()]));
    let corrupt = verdict(&[OK], &[format!("{}!", body(0))]);
    assert_eq!((corrupt.passed(), corrupt.corrupt.count, corrupt.lost.count), (false, 1, 0));
    let twice = verdict(&[OK], &[body(0), body(0), body(0)]);
    assert_eq!((twice.passed(), twice.duplicated.count, twice.surplus_copies), (true, 1, 2));
    let refused = verdict(&[BUSY, Some(Outcome::NotSent)], &[body(0), body(1)]);
    assert_eq!((refused.passed(), refused.stored_though_refused.count), (true, 2));
    let phantom =
        verdict(&[OK], &[body(0), body(9), "event bh-00000008-00-0000000000".into(), "hello".into()]);
    assert_eq!((phantom.phantom.count, phantom.foreign), (1, 2));
    assert!(lost.to_string().contains("FAILED") && lost.to_string().contains(&id(1).to_string()));
}

proptest! {
    #[test]
    fn it_says_what_a_naive_count_says(
        requests in prop::collection::vec((0_u8..5, 0_usize..3, 0_usize..2), 0..60)
    ) {
        let outcomes: Vec<_> = requests
            .iter()
            .map(|(outcome, ..)| [OK, BUSY, Some(Outcome::Reset), Some(Outcome::TimedOut), None][usize::from(*outcome)])
            .collect();
        let mut stored = Vec::new();
        for (number, (_, intact, changed)) in (0..).zip(&requests) {
            stored.extend(std::iter::repeat_n(body(number), *intact));
            stored.extend(std::iter::repeat_n(format!("{}?", body(number)), *changed));
        }
        let verdict = verdict(&outcomes, &stored);
        let count = |test: &dyn Fn(&(u8, usize, usize)) -> bool| requests.iter().filter(|request| test(request)).count() as u64;
        prop_assert_eq!(verdict.acked, count(&|r| r.0 == 0));
        prop_assert_eq!(verdict.lost.count, count(&|r| r.0 == 0 && r.1 + r.2 == 0));
        prop_assert_eq!(verdict.corrupt.count, count(&|r| r.2 > 0));
        prop_assert_eq!(verdict.duplicated.count, count(&|r| r.1 + r.2 > 1));
        prop_assert_eq!(verdict.stored_though_refused.count, count(&|r| r.0 == 1 && r.1 + r.2 > 0));
        prop_assert_eq!(verdict.unanswered_stored, count(&|r| r.0 >= 2 && r.1 + r.2 > 0));
        prop_assert_eq!(verdict.unanswered_missing, count(&|r| r.0 >= 2 && r.1 + r.2 == 0));
        prop_assert_eq!(verdict.passed(), verdict.lost.count == 0 && verdict.corrupt.count == 0);
    }
}
