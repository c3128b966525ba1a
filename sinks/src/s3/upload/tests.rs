use super::*;
use std::time::Duration;

const CONTENT: Content = Content { records: 2, raw_bytes: 9, bytes: 5, crc32c: 1 };

struct Bench {
    upload: Upload,
    now: Instant,
    ids: u64,
    sent: Vec<Work>,
}

impl Bench {
    fn new() -> Self {
        let upload = Upload::new("k".into(), Kind::Data, 2, 1);
        Self { upload, now: Instant::now(), ids: 0, sent: Vec::new() }
    }

    fn turn(&mut self) -> Vec<&'static str> {
        let before = self.sent.len();
        self.upload.turn(self.now, &mut self.ids, &mut |work| self.sent.push(work));
        self.sent[before..].iter().map(|work| work.task.name()).collect()
    }

    fn say(&mut self, id: u64, result: Result<Said, Failure>) {
        let work = self.sent.iter().find(|work| work.id == id).unwrap();
        let answer = Answer { id, name: work.task.name(), result };
        assert!(self.upload.answer(&answer, self.now).is_some());
    }

    fn last(&self) -> u64 {
        self.sent.last().unwrap().id
    }

    fn stored(&mut self, id: u64) {
        let work = self.sent.iter().find(|work| work.id == id).unwrap();
        let Task::Part { number, .. } = work.task else { panic!("{work:?}") };
        let stored = Stored { number, etag: format!("e{number}"), checksum: "c".into() };
        self.say(id, Ok(Said::Part(stored)));
    }

    fn wait(&mut self) {
        self.now += Duration::from_mins(1);
    }
}

fn service(status: u16, code: &str) -> Result<Said, Failure> {
    Err(Failure::Service { status, code: code.to_owned(), message: String::new() })
}

#[test]
fn a_small_object_is_put_and_tried_again_under_its_name() {
    let mut bench = Bench::new();
    assert!(bench.turn().is_empty());
    bench.upload.seal(b"hello".to_vec(), CONTENT);
    assert_eq!(bench.turn(), ["PutObject"]);
    assert!(bench.turn().is_empty(), "one at a time");
    bench.say(bench.last(), service(503, "SlowDown"));
    assert!(bench.turn().is_empty(), "it pauses");
    assert!(bench.upload.next_turn().is_some());
    bench.wait();
    assert_eq!(bench.turn(), ["PutObject"]);
    assert_eq!(bench.upload.next_turn(), None, "only its answer brings something to do");
    assert_eq!(bench.sent[0].key, bench.sent[1].key);
    bench.say(bench.last(), Ok(Said::Done));
    assert_eq!(bench.upload.outcome(), Outcome::Stored);
    assert!(bench.turn().is_empty());
}

#[test]
fn a_growing_object_goes_in_parts_of_which_few_are_held() {
    let mut bench = Bench::new();
    bench.upload.push(b"one".to_vec());
    assert_eq!(bench.turn(), ["CreateMultipartUpload"]);
    bench.upload.push(b"two".to_vec());
    assert!(!bench.upload.has_room());
    assert!(bench.turn().is_empty());
    bench.say(bench.last(), Ok(Said::Created("u".into())));
    assert_eq!(bench.upload.id(), Some("u"));
    assert_eq!(bench.turn(), ["UploadPart", "UploadPart"]);
    let (one, two) = (bench.sent[1].id, bench.sent[2].id);
    bench.say(one, Err(Failure::Broken(String::new())));
    bench.stored(two);
    assert!(bench.upload.has_room());
    bench.upload.seal(b"three".to_vec(), CONTENT);
    bench.wait();
    assert_eq!(bench.turn(), ["UploadPart", "UploadPart"]);
    let (again, last) = (bench.sent[3].id, bench.sent[4].id);
    bench.stored(last);
    assert!(bench.turn().is_empty(), "not before all parts are there");
    bench.stored(again);
    assert_eq!(bench.turn(), ["CompleteMultipartUpload"]);
    let Task::Complete { parts, .. } = &bench.sent.last().unwrap().task else { panic!() };
    assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 3]);
    bench.say(bench.last(), Ok(Said::Done));
    assert_eq!(bench.upload.outcome(), Outcome::Stored);
}

fn completing() -> Bench {
    let mut bench = Bench::new();
    bench.upload.push(b"one".to_vec());
    bench.turn();
    bench.say(bench.last(), Ok(Said::Created("u".into())));
    bench.upload.seal(Vec::new(), CONTENT);
    assert_eq!(bench.turn(), ["UploadPart"], "an empty end is no part");
    bench.stored(bench.last());
    assert_eq!(bench.turn(), ["CompleteMultipartUpload"]);
    bench
}

#[test]
fn a_lost_answer_to_complete_is_cleared_up_by_looking() {
    for (found, outcome) in [(Some(5), Outcome::Stored), (Some(4), Outcome::Gone), (None, Outcome::Gone)] {
        let mut bench = completing();
        bench.say(bench.last(), Err(Failure::Broken(String::new())));
        bench.wait();
        assert_eq!(bench.turn(), ["CompleteMultipartUpload"]);
        bench.say(bench.last(), service(404, "NoSuchUpload"));
        assert_eq!(bench.turn(), ["HeadObject"]);
        bench.say(bench.last(), Err(Failure::TimedOut(String::new())));
        bench.wait();
        assert_eq!(bench.turn(), ["HeadObject"]);
        bench.say(bench.last(), Ok(Said::Head(found)));
        assert_eq!(bench.upload.outcome(), outcome, "{found:?}");
    }
    let mut bench = completing();
    bench.say(bench.last(), service(404, "NoSuchUpload"));
    bench.turn();
    bench.say(bench.last(), service(403, ""));
    assert_eq!(
        bench.upload.outcome(),
        Outcome::Gone,
        "made anew under the same name, it can't be there twice"
    );
}

#[test]
fn an_upload_that_vanishes_under_its_parts_is_gone() {
    let mut bench = Bench::new();
    bench.upload.push(b"one".to_vec());
    bench.turn();
    bench.say(bench.last(), Ok(Said::Created("u".into())));
    bench.turn();
    bench.say(bench.last(), service(404, "NoSuchUpload"));
    assert_eq!(bench.upload.outcome(), Outcome::Gone);
}

#[test]
fn withdrawing_waits_aborts_and_looks() {
    for (found, outcome) in [
        (Ok(Said::Head(None)), Outcome::Withdrawn),
        (Ok(Said::Head(Some(5))), Outcome::Stored),
        (service(403, "AccessDenied"), Outcome::Unknown),
    ] {
        let mut bench = completing();
        let complete = bench.last();
        bench.upload.withdraw();
        assert!(bench.turn().is_empty(), "the call may still succeed");
        bench.say(complete, Err(Failure::TimedOut(String::new())));
        bench.wait();
        assert_eq!(bench.turn(), ["AbortMultipartUpload"]);
        bench.say(bench.last(), Ok(Said::Done));
        assert_eq!(bench.turn(), ["HeadObject"]);
        bench.say(bench.last(), found);
        assert_eq!(bench.upload.outcome(), outcome);
    }
    let mut bench = completing();
    let complete = bench.last();
    bench.upload.withdraw();
    bench.say(complete, Ok(Said::Done));
    assert_eq!(bench.upload.outcome(), Outcome::Stored, "it was in time after all");
}

#[test]
fn what_was_never_sealed_is_not_looked_for() {
    let mut bench = Bench::new();
    bench.upload.push(b"one".to_vec());
    bench.turn();
    bench.say(bench.last(), Ok(Said::Created("u".into())));
    bench.upload.withdraw();
    assert_eq!(bench.turn(), ["AbortMultipartUpload"]);
    bench.say(bench.last(), service(403, "AccessDenied"));
    assert!(bench.turn().is_empty());
    assert_eq!(bench.upload.outcome(), Outcome::Withdrawn);
}

#[test]
fn what_an_earlier_process_left_is_withdrawn_as_well() {
    let mut bench = Bench::new();
    bench.upload = Upload::left("k".into(), Some("u"), Some(CONTENT), 1);
    assert_eq!(bench.turn(), ["AbortMultipartUpload"]);
    bench.say(bench.last(), Ok(Said::Done));
    assert_eq!(bench.turn(), ["HeadObject"]);
    bench.say(bench.last(), Ok(Said::Head(Some(5))));
    assert_eq!(bench.upload.outcome(), Outcome::Stored);
    bench.upload = Upload::left("k".into(), None, None, 1);
    assert!(bench.turn().is_empty());
    assert_eq!(bench.upload.outcome(), Outcome::Withdrawn);
}
