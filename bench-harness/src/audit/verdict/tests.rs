//! The verdict against a model that counts from the script, one class at a time.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::audit::ledger::WorkerLedger;
use crate::audit::record::RecordForm;
use crate::audit::sightings::SHOWN;
use crate::load::Observer as _;
use crate::request::{Outcome, Shape, Stored, digest};

const RUN: u32 = 7;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Body,
    Target,
    Nothing,
}

/// A record that the store holds of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Copied {
    Whole,
    /// One byte is another.
    Flipped,
    /// Its end is missing.
    Cut,
}

#[derive(Clone, Copy, Debug)]
enum Noise {
    OtherRun,
    Phantom,
    Garbage,
}

#[derive(Clone, Debug)]
struct Request {
    worker: u8,
    leaves: Leaves,
    outcome: Option<Outcome>,
    events: u32,
    copies: Vec<Copied>,
}

impl Request {
    fn acked(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Answered(200..=299)))
    }

    fn refused(&self) -> bool {
        !self.acked() && matches!(self.outcome, Some(Outcome::Answered(_) | Outcome::NotSent))
    }

    fn there(&self) -> bool {
        !self.copies.is_empty()
    }

    fn corrupt(&self) -> bool {
        self.copies.iter().any(|copied| *copied != Copied::Whole)
    }
}

fn request() -> impl Strategy<Value = Request> {
    let outcome = prop_oneof![
        4 => Just(Some(Outcome::Answered(200))),
        2 => prop_oneof![Just(199_u16), Just(204), Just(299), Just(300), Just(413), Just(503)]
            .prop_map(|status| Some(Outcome::Answered(status))),
        1 => Just(Some(Outcome::NotSent)),
        2 => prop_oneof![Just(Outcome::Reset), Just(Outcome::TimedOut), Just(Outcome::Garbled)].prop_map(Some),
        1 => Just(None),
    ];
    let leaves = prop_oneof![4 => Just(Leaves::Body), 2 => Just(Leaves::Target), 1 => Just(Leaves::Nothing)];
    let copied = prop_oneof![4 => Just(Copied::Whole), 1 => Just(Copied::Flipped), 1 => Just(Copied::Cut)];
    (0_u8..3, leaves, outcome, 0_u32..100, vec(copied, 0..4)).prop_map(
        |(worker, leaves, outcome, events, copies)| Request { worker, leaves, outcome, events, copies },
    )
}

fn noise() -> impl Strategy<Value = Noise> {
    prop_oneof![Just(Noise::OtherRun), Just(Noise::Phantom), Just(Noise::Garbage)]
}

fn record(body: &str, uri: &str) -> String {
    serde_json::json!({ "appId": null, "data": body, "uri": uri }).to_string()
}

/// What was sent: the body, and the target.
fn sent(request: &Request, id: RequestId) -> (String, String) {
    if request.leaves == Leaves::Body {
        (format!("[\"{id}-00\", \"text\"]"), "/collect?appId=a".into())
    } else {
        (String::new(), format!("/collect?id={id}&x=text"))
    }
}

/// The ledger as load would have kept it, and all that the store holds.
fn play(requests: &[Request], noise: &[Noise]) -> (Ledger, Vec<String>) {
    let mut parts: Vec<_> = (0..3).map(|worker| WorkerLedger::new(worker, 0)).collect();
    let (mut numbers, mut records) = ([0; 3], Vec::new());
    for request in requests {
        let number = &mut numbers[usize::from(request.worker)];
        let id = RequestId { run: RUN, worker: request.worker, number: *number };
        *number += 1;
        let (body, target) = sent(request, id);
        let stored = match request.leaves {
            Leaves::Body => Stored::Body(digest(body.as_bytes())),
            Leaves::Target => Stored::Target(digest(target.as_bytes())),
            Leaves::Nothing => Stored::Nothing,
        };
        let shape = Shape { kind: 0, events: request.events, stored };
        let part = &mut parts[usize::from(request.worker)];
        part.sending(id, &shape);
        if let Some(outcome) = request.outcome {
            part.ended(id, &shape, outcome);
        }
        records.extend(request.copies.iter().map(|copied| match copied {
            Copied::Whole => record(&body, &target),
            Copied::Flipped => record(&body.replace("text", "tent"), &target.replace("text", "tent")),
            Copied::Cut => record(&body, &target).trim_end_matches('}').to_owned(),
        }));
    }
    records.extend(noise.iter().map(|noise| match noise {
        Noise::OtherRun => record("bh-00000008-00-0000000000", "/"),
        Noise::Phantom => record("", "/?bh-00000007-00-00000fffff"),
        Noise::Garbage => "{\"data\":".to_owned(),
    }));
    (Ledger::merge(RUN, parts), records)
}

fn judged(ledger: &Ledger, records: &[String]) -> Verdict {
    let mut seen = Sightings::default();
    for (number, record) in records.iter().enumerate() {
        seen.see(ledger, RecordForm::Clickstream.find(record.as_bytes(), RUN), || format!("line {number}"));
    }
    Verdict::of(ledger, &seen)
}

fn count(requests: &[Request], is: impl Fn(&Request) -> bool) -> u64 {
    requests.iter().filter(|request| request.leaves != Leaves::Nothing && is(request)).count() as u64
}

proptest! {
    #[test]
    fn every_request_is_in_the_class_that_its_script_says(
        requests in vec(request(), 0..80), noise in vec(noise(), 0..10), seed: u64,
    ) {
        let (ledger, mut records) = play(&requests, &noise);
        fastrand::Rng::with_seed(seed).shuffle(&mut records);
        let verdict = judged(&ledger, &records);
        let count = |is: &dyn Fn(&Request) -> bool| count(&requests, is);
        let noises = |is: fn(&Noise) -> bool| noise.iter().filter(|noise| is(noise)).count() as u64;

        prop_assert_eq!(verdict.sent, count(&|_| true));
        prop_assert_eq!(verdict.acked, count(&Request::acked));
        prop_assert_eq!(verdict.refused, count(&Request::refused));
        prop_assert_eq!(verdict.stored, count(&Request::there));
        prop_assert_eq!(verdict.lost.count, count(&|request| request.acked() && !request.there()));
        prop_assert_eq!(verdict.duplicated.count, count(&|request| request.copies.len() > 1));
        prop_assert_eq!(verdict.corrupt.count, count(&Request::corrupt));
        prop_assert_eq!(verdict.corrupt_acked, count(&|request| request.acked() && request.corrupt()));
        let refused_there = count(&|request| request.refused() && request.there());
        prop_assert_eq!(verdict.stored_though_refused.count, refused_there);
        let unknown = |request: &Request| !request.acked() && !request.refused();
        prop_assert_eq!(verdict.unknown_stored, count(&|request| unknown(request) && request.there()));
        prop_assert_eq!(verdict.unknown_missing, count(&|request| unknown(request) && !request.there()));
        prop_assert_eq!(verdict.foreign, noises(|noise| matches!(noise, Noise::OtherRun)));
        prop_assert_eq!(verdict.phantom.count, noises(|noise| matches!(noise, Noise::Phantom)));
        prop_assert_eq!(verdict.unreadable.count, noises(|noise| matches!(noise, Noise::Garbage)));
        let needless = |request: &&Request| request.leaves == Leaves::Nothing && request.there();
        prop_assert_eq!(verdict.stored_needlessly.count, requests.iter().filter(needless).count() as u64);
        prop_assert_eq!(verdict.passed(), verdict.lost.count + verdict.corrupt_acked == 0);
    }

    #[test]
    fn the_sums_come_out(requests in vec(request(), 0..80), noise in vec(noise(), 0..10)) {
        let (ledger, records) = play(&requests, &noise);
        let verdict = judged(&ledger, &records);
        prop_assert_eq!(verdict.sent, verdict.acked + verdict.refused + verdict.unanswered);
        prop_assert_eq!(verdict.sent + verdict.leaving_nothing, requests.len() as u64);
        prop_assert_eq!(verdict.unanswered, verdict.unknown_stored + verdict.unknown_missing);
        let there = verdict.acked - verdict.lost.count + verdict.stored_though_refused.count + verdict.unknown_stored;
        prop_assert_eq!(verdict.stored, there);
        let needless: usize =
            requests.iter().filter(|request| request.leaves == Leaves::Nothing).map(|it| it.copies.len()).sum();
        let of_requests = verdict.stored + verdict.extra_copies + needless as u64;
        let others = verdict.foreign + verdict.phantom.count + verdict.unreadable.count;
        prop_assert_eq!(verdict.records, of_requests + others);
        prop_assert_eq!(verdict.records, records.len() as u64);
    }
}

fn acked(copies: Vec<Copied>) -> Request {
    Request { worker: 0, leaves: Leaves::Body, outcome: Some(Outcome::Answered(200)), events: 3, copies }
}

#[test]
fn the_first_twenty_are_named() {
    let (ledger, records) = play(&vec![acked(vec![]); 25], &[]);
    let verdict = judged(&ledger, &records);
    let first: Vec<String> =
        (0..SHOWN as u64).map(|number| RequestId { run: RUN, worker: 0, number }.to_string()).collect();
    assert_eq!((verdict.lost.count, &verdict.lost.first, verdict.lost_events), (25, &first, 75));
}

#[test]
fn only_what_was_acked_fails_an_audit() {
    let refused =
        Request { outcome: Some(Outcome::Answered(503)), ..acked(vec![Copied::Cut, Copied::Flipped]) };
    let unknown = Request { outcome: Some(Outcome::Reset), ..acked(vec![]) };
    let (ledger, records) =
        play(&[acked(vec![Copied::Whole; 2]), refused, unknown], &[Noise::Garbage, Noise::Phantom]);
    let verdict = judged(&ledger, &records);
    assert!(verdict.passed() && verdict.proves_something(), "{verdict:?}");
    for bad in [vec![], vec![Copied::Flipped], vec![Copied::Whole, Copied::Cut]] {
        let (ledger, records) = play(&[acked(bad.clone())], &[]);
        assert!(!judged(&ledger, &records).passed(), "{bad:?}");
    }
}

#[test]
fn a_verdict_fits_a_screen_and_survives_json() {
    let requests: Vec<_> = (0..30)
        .flat_map(|_| {
            let refused =
                Request { outcome: Some(Outcome::Answered(503)), ..acked(vec![Copied::Flipped; 2]) };
            [acked(vec![]), refused, Request { leaves: Leaves::Nothing, ..acked(vec![Copied::Whole]) }]
        })
        .collect();
    let (ledger, records) =
        play(&requests, &[[Noise::Garbage; 4], [Noise::Phantom; 4], [Noise::OtherRun; 4]].concat());
    let mut verdict = judged(&ledger, &records);
    (verdict.torn, verdict.unread) = (1, 1);
    let text = verdict.to_string();
    assert!(text.lines().count() <= 30 && text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for words in ["FAILED, of 30 acked 30 are lost", "LOST", "stored though refused", "include_open"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
}

#[test]
fn a_run_without_an_ack_is_not_called_a_pass() {
    let (ledger, records) = play(&[Request { outcome: Some(Outcome::Answered(503)), ..acked(vec![]) }], &[]);
    let verdict = judged(&ledger, &records);
    assert!(!verdict.proves_something());
    assert!(verdict.to_string().contains("nothing was acked"), "{verdict}");
}
