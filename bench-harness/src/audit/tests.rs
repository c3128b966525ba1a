//! The auditor is audited: by servers that lie in every way that it should notice.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::files::Files;
use super::record::RecordForm;
use super::run::{AuditResult, audit};
use crate::load::{Driver, LoadPlan, Pace, new_run};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::workload::WorkloadSpec;

/// What the server does with every tenth request; the others it stores and acknowledges.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    None,
    ThrowAway,
    StoreTwice,
    FlipAByte,
    StoreButRefuse,
    StoreAndSayNothing,
    Refuse,
}

struct Liar {
    lie: Lie,
    file: Mutex<File>,
    count: AtomicU64,
}

impl Liar {
    fn start(dir: &Path, lie: Lie) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let file = File::create(dir.join("events.ndjson")).unwrap();
        let liar = Arc::new(Self { lie, file: Mutex::new(file), count: AtomicU64::new(0) });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let liar = Arc::clone(&liar);
                thread::spawn(move || liar.converse(stream.unwrap()));
            }
        });
        address
    }

    fn converse(&self, mut stream: TcpStream) {
        let (mut input, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            while let Some((target, body, end)) = request(&input) {
                input.drain(..end);
                if !self.answer(&mut stream, &target, &body) {
                    return;
                }
            }
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 => input.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
    }

    fn answer(&self, stream: &mut TcpStream, target: &str, body: &str) -> bool {
        let lies = self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(10);
        let lie = if lies { self.lie } else { Lie::None };
        let flipped = body.replace("Shoes", "Shoez");
        let copies: &[&str] = match lie {
            Lie::ThrowAway | Lie::Refuse => &[],
            Lie::StoreTwice => &[body, body],
            Lie::FlipAByte => &[&flipped],
            _ => &[body],
        };
        for copy in copies {
            let stored = serde_json::json!({ "data": copy, "uri": target }).to_string();
            self.file.lock().unwrap().write_all(format!("{stored}\n").as_bytes()).unwrap();
        }
        let status = if matches!(lie, Lie::StoreButRefuse | Lie::Refuse) { "503 Busy" } else { "200 OK" };
        lie != Lie::StoreAndSayNothing
            && write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_ok()
    }
}

/// Target, body and length of the first whole request.
fn request(input: &[u8]) -> Option<(String, String, usize)> {
    let text = String::from_utf8_lossy(input);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head]
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?
        .parse::<usize>()
        .unwrap();
    let body = input.get(head..head + length)?;
    let target = text.split(' ').nth(1)?.to_owned();
    Some((target, String::from_utf8(body.to_vec()).unwrap(), head + length))
}

fn plan(address: SocketAddr) -> LoadPlan {
    LoadPlan {
        target: Target::resolve(&format!("http://{address}/collect"), false).unwrap(),
        workload: WorkloadSpec { name: "single".into(), seed: 1 },
        pace: Pace::Open(Schedule::constant(400.0, 0.5)),
        connections: 8,
        threads: 2,
        cpus: Vec::new(),
        requests_per_connection: 0,
        pipelining: 1,
        timeout: Duration::from_secs(5),
        driver: Driver::Auto,
        run: new_run(),
    }
}

fn audited(lie: Lie) -> AuditResult {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(Liar::start(dir.path(), lie));
    let settle = Duration::from_millis(300);
    audit(&plan, &mut Files::new(dir.path().into()), RecordForm::Clickstream, settle, &Arc::default())
        .unwrap()
}

#[test]
fn an_honest_server_passes() {
    let verdict = audited(Lie::None).verdict;
    assert_eq!((verdict.sent, verdict.acked, verdict.stored), (200, 200, 200), "{verdict}");
    assert!(verdict.passed() && verdict.duplicated.count == 0 && verdict.phantom.count == 0, "{verdict}");
}

#[test]
fn an_ack_without_a_record_is_a_loss() {
    let result = audited(Lie::ThrowAway);
    assert_eq!((result.verdict.lost.count, result.verdict.passed()), (20, false), "{}", result.verdict);
    assert_eq!(result.exit_code(), std::process::ExitCode::FAILURE);
}

#[test]
fn a_changed_record_is_corrupt() {
    let verdict = audited(Lie::FlipAByte).verdict;
    assert_eq!((verdict.corrupt.count, verdict.lost.count, verdict.passed()), (20, 0, false), "{verdict}");
}

#[test]
fn a_record_stored_twice_is_a_duplicate() {
    let verdict = audited(Lie::StoreTwice).verdict;
    assert_eq!(
        (verdict.duplicated.count, verdict.surplus_copies, verdict.passed()),
        (20, 20, true),
        "{verdict}"
    );
}

#[test]
fn a_refusal_of_what_was_stored_is_noticed() {
    let verdict = audited(Lie::StoreButRefuse).verdict;
    assert_eq!(
        (verdict.stored_though_refused.count, verdict.acked, verdict.passed()),
        (20, 180, true),
        "{verdict}"
    );
}

#[test]
fn an_honest_refusal_is_nothing_but_that() {
    let verdict = audited(Lie::Refuse).verdict;
    assert_eq!(
        (verdict.acked, verdict.stored, verdict.stored_though_refused.count),
        (180, 180, 0),
        "{verdict}"
    );
    assert!(verdict.passed());
}

#[test]
fn no_answer_is_no_lie() {
    let result = audited(Lie::StoreAndSayNothing);
    let verdict = &result.verdict;
    assert!(verdict.passed() && verdict.unanswered_stored > 0 && verdict.lost.count == 0, "{verdict}");
    assert_eq!(verdict.acked + verdict.unanswered_stored, verdict.sent, "{verdict}");
}
