//! The auditor against servers that lie: each lie must be found, and called by its name.

mod liar;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use liar::{Act, Liar, Sink};

use super::files::Files;
use super::record::RecordForm;
use super::run::{AuditError, AuditResult, audit};
use super::store::{Store, StoreError};
use crate::load::{Driver, Live, LoadPlan, Pace, new_run};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::workload::WorkloadSpec;

fn plan(liar: &Liar) -> LoadPlan {
    LoadPlan {
        target: Target::resolve(&format!("http://{}/collect", liar.address), false).unwrap(),
        workload: WorkloadSpec { name: "single".into(), seed: 1 },
        pace: Pace::Open(Schedule::constant(200.0, 1.0)),
        connections: 8,
        threads: 2,
        cpus: Vec::new(),
        requests_per_connection: 0,
        pipelining: 1,
        timeout: Duration::from_millis(1500),
        driver: Driver::Auto,
        run: new_run(),
    }
}

/// Audits records in the clickstream form.
fn audited(plan: &LoadPlan, store: &mut dyn Store, settle_ms: u64) -> AuditResult {
    let settle = Duration::from_millis(settle_ms);
    audit(plan, store, RecordForm::Clickstream, settle, &Arc::default()).unwrap()
}

/// Appends every record to one file, a line each.
fn lines(path: &Path) -> Arc<Sink> {
    let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let file: Mutex<File> = Mutex::new(file);
    Arc::new(move |mut record| {
        record.push(b'\n');
        file.lock().unwrap().write_all(&record).unwrap();
    })
}

/// Audits a server that does `act` with every tenth of 200 requests, and is honest otherwise.
fn audit_of(act: Act) -> AuditResult {
    let directory = tempfile::tempdir().unwrap();
    let script = move |number| if number % 10 == 9 { act } else { Act::Honest };
    let liar = Liar::start(script, lines(&directory.path().join("events.ndjson")));
    let mut store = Files::new(directory.path().to_owned(), false);
    let result = audited(&plan(&liar), &mut store, 700);
    let verdict = &result.verdict;
    assert_eq!((verdict.sent, verdict.acked), (200, result.load.totals.succeeded), "{}", result.verdict);
    result
}

/// Of the process; `ExitCode` itself can't be read.
fn exit_code(result: &AuditResult) -> u8 {
    u8::from(result.exit_code() != ExitCode::SUCCESS)
}

/// That of these classes, in order, as many were found, and nothing else: lost, corrupt, duplicated, stored though
/// refused, unknown and stored, unknown and missing, phantom.
fn assert_found(result: &AuditResult, expected: [u64; 7]) {
    let verdict = &result.verdict;
    let found = [
        verdict.lost.count,
        verdict.corrupt.count,
        verdict.duplicated.count,
        verdict.stored_though_refused.count,
        verdict.unknown_stored,
        verdict.unknown_missing,
        verdict.phantom.count,
    ];
    assert_eq!(found, expected, "{}", result.verdict);
    let others =
        [verdict.foreign, verdict.unreadable.count, verdict.damaged.count, verdict.torn, verdict.unread];
    assert_eq!(others, [0; 5], "{}", result.verdict);
}

#[test]
fn an_honest_server_passes() {
    let result = audit_of(Act::Honest);
    assert_found(&result, [0; 7]);
    assert_eq!(
        (exit_code(&result), result.verdict.stored, result.verdict.records),
        (0, 200, 200),
        "{}",
        result.verdict
    );
}

#[test]
fn every_workload_is_found_again() {
    for (name, leaving_nothing) in [("sdk-mix", true), ("pixel", false)] {
        let directory = tempfile::tempdir().unwrap();
        let liar = Liar::start(|_| Act::Honest, lines(&directory.path().join("events.ndjson")));
        let plan = LoadPlan { workload: WorkloadSpec { name: name.into(), seed: 1 }, ..plan(&liar) };
        let result = audited(&plan, &mut Files::new(directory.path().to_owned(), false), 700);
        assert_found(&result, [0; 7]);
        let verdict = &result.verdict;
        assert_eq!(
            (exit_code(&result), verdict.sent + verdict.leaving_nothing),
            (0, 200),
            "{name}: {verdict}"
        );
        assert_eq!(verdict.stored, verdict.acked, "{name}: {verdict}");
        assert_eq!(verdict.leaving_nothing > 0, leaving_nothing, "{name}: {verdict}");
    }
}

#[test]
fn what_is_answered_200_and_thrown_away_is_lost() {
    let result = audit_of(Act::ThrowAway);
    assert_found(&result, [20, 0, 0, 0, 0, 0, 0]);
    assert_eq!((exit_code(&result), result.verdict.lost.first.len()), (1, 20));
    assert!(result.verdict.to_string().contains("FAILED, of 200 acked 20 are lost"), "{}", result.verdict);
}

#[test]
fn what_is_stored_twice_is_duplicated() {
    let result = audit_of(Act::Twice);
    assert_found(&result, [0, 0, 20, 0, 0, 0, 0]);
    assert_eq!((exit_code(&result), result.verdict.extra_copies), (0, 20));
}

#[test]
fn a_flipped_bit_and_a_cut_record_are_corrupt() {
    for act in [Act::Flip, Act::Cut] {
        let result = audit_of(act);
        assert_found(&result, [0, 20, 0, 0, 0, 0, 0]);
        assert_eq!((exit_code(&result), result.verdict.corrupt_acked), (1, 20), "{act:?}");
    }
}

#[test]
fn a_refusal_is_honest_only_if_nothing_is_stored() {
    let result = audit_of(Act::Refuse);
    assert_found(&result, [0; 7]);
    assert_eq!(
        (exit_code(&result), result.verdict.refused, result.verdict.stored),
        (0, 20, 180),
        "{}",
        result.verdict
    );
    let result = audit_of(Act::StoreAndRefuse);
    assert_found(&result, [0, 0, 0, 20, 0, 0, 0]);
    assert_eq!(
        (exit_code(&result), result.verdict.refused, result.verdict.stored),
        (0, 20, 200),
        "{}",
        result.verdict
    );
}

#[test]
fn without_an_answer_either_is_honest() {
    // Each silence takes a connection until it times out, so there are fewer of them than connections.
    for (act, stored, missing) in [(Act::StoreSilently, 4, 0), (Act::Silent, 0, 4)] {
        let directory = tempfile::tempdir().unwrap();
        let script = move |number| if number % 50 == 9 { act } else { Act::Honest };
        let liar = Liar::start(script, lines(&directory.path().join("events.ndjson")));
        let mut store = Files::new(directory.path().to_owned(), false);
        let result = audited(&plan(&liar), &mut store, 700);
        assert_found(&result, [0, 0, 0, 0, stored, missing, 0]);
        assert_eq!((exit_code(&result), result.verdict.unanswered, result.verdict.acked), (0, 4, 196));
    }
}

#[test]
fn what_is_stored_late_is_waited_for() {
    let result = audit_of(Act::Later);
    assert_found(&result, [0; 7]);
    assert_eq!((exit_code(&result), result.verdict.stored), (0, 200));
}

#[test]
fn what_is_stored_under_another_name_is_lost_and_a_phantom() {
    let result = audit_of(Act::Misname);
    assert_found(&result, [20, 0, 0, 0, 0, 0, 20]);
    assert_eq!(exit_code(&result), 1);
}

/// Audits a server that does `act` with the 60th and the 120th request.
fn audit_of_deaths(act: Act, sink: Arc<Sink>, directory: &Path) -> AuditResult {
    let script = move |number| if number == 60 || number == 120 { act } else { Act::Honest };
    let liar = Liar::start(script, sink);
    let mut store = Files::new(directory.to_owned(), false);
    audited(&plan(&liar), &mut store, 700)
}

#[test]
fn a_server_that_dies_and_comes_back_keeps_what_it_acked() {
    for act in [Act::Die, Act::StoreAndDie] {
        let directory = tempfile::tempdir().unwrap();
        let result = audit_of_deaths(act, lines(&directory.path().join("events.ndjson")), directory.path());
        let verdict = &result.verdict;
        assert_eq!(
            (exit_code(&result), verdict.lost.count, verdict.corrupt.count),
            (0, 0, 0),
            "{}",
            result.verdict
        );
        let unanswered = if act == Act::Die { verdict.unknown_missing } else { verdict.unknown_stored };
        assert!(unanswered >= 2, "{act:?}: {}", result.verdict);
        assert!(verdict.acked > 150 && result.load.totals.connects > 16, "{act:?}: {}", result.verdict);
    }
}

#[test]
fn a_server_that_dies_with_what_it_acked_in_memory_has_lost_it() {
    // Acked from memory, stored in batches of 16; a death empties the memory. Request 60 finds at least the acks of 48 to 59 there.
    let directory = tempfile::tempdir().unwrap();
    let write = lines(&directory.path().join("events.ndjson"));
    let (memory, count) = (Mutex::new(Vec::new()), Mutex::new(0));
    let sink: Arc<Sink> = Arc::new(move |record| {
        let (mut memory, mut count) = (memory.lock().unwrap(), count.lock().unwrap());
        *count += 1;
        memory.push(record);
        if *count == 64 {
            memory.clear();
        }
        if memory.len() == 16 {
            memory.drain(..).for_each(&*write);
        }
    });
    let result = audit_of_deaths(Act::Die, sink, directory.path());
    assert!(result.verdict.lost.count > 0 && exit_code(&result) == 1, "{}", result.verdict);
}

#[test]
fn a_target_that_is_down_proves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let liar = Liar::start(|_| Act::Refuse, lines(&directory.path().join("events.ndjson")));
    let mut store = Files::new(directory.path().to_owned(), false);
    let result = audited(&plan(&liar), &mut store, 0);
    assert!(result.verdict.passed() && exit_code(&result) == 1, "{}", result.verdict);
    assert!(result.verdict.to_string().contains("nothing was acked"), "{}", result.verdict);
}

#[test]
fn open_files_and_other_runs_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let open = directory.path().join(".events.ndjson.open");
    let liar = Liar::start(|_| Act::Honest, lines(&open));
    let plan = plan(&liar);
    for (include_open, code) in [(false, 1), (true, 0)] {
        let plan = LoadPlan { run: new_run(), ..plan.clone() };
        let mut store = Files::new(directory.path().to_owned(), include_open);
        let result = audited(&plan, &mut store, 300);
        assert_eq!(exit_code(&result), code, "{}", result.verdict);
        let verdict = &result.verdict;
        let expected = if include_open { (0, 200) } else { (1, 0) };
        assert_eq!((verdict.unread, verdict.foreign), expected, "{}", result.verdict);
        assert_eq!(result.verdict.to_string().contains("include_open"), !include_open, "{}", result.verdict);
    }
}

#[test]
fn a_store_that_is_not_there_is_told_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let liar = Liar::start(|_| Act::Honest, lines(&directory.path().join("events.ndjson")));
    let mut store = Files::new(directory.path().join("none"), false);
    let live = Arc::new(Live::default());
    let error = audit(&plan(&liar), &mut store, RecordForm::Clickstream, Duration::ZERO, &live).unwrap_err();
    assert!(matches!(error, AuditError::Store(StoreError::File { .. })), "{error}");
    assert_eq!(live.succeeded.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(fs::read(directory.path().join("events.ndjson")).unwrap(), b"");
}

#[cfg(feature = "kafka")]
#[test]
fn a_topic_is_audited_as_a_directory_is() {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};

    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("events", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    let sink: Arc<Sink> = Arc::new(move |record| {
        producer
            .send(BaseRecord::<(), _>::to("events").payload(&record))
            .unwrap_or_else(|(error, _)| panic!("{error}"));
    });
    let script = |number| match number {
        10 => Act::ThrowAway,
        20 => Act::Twice,
        30 => Act::Flip,
        _ => Act::Honest,
    };
    let liar = Liar::start(script, sink);
    let mut store = super::kafka::Topic::new(&brokers, "events", &[]).unwrap();
    let result = audited(&plan(&liar), &mut store, 1500);
    assert_found(&result, [1, 1, 1, 0, 0, 0, 0]);
    assert_eq!((exit_code(&result), result.verdict.records), (1, 200), "{}", result.verdict);
}
