//! Attacks against servers that follow a script: one that guards itself, and one that does not.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser as _;

use super::conduct::Conduct;
use super::report::{AttackResult, EvilResult};
use super::run::{EvilArgs, EvilError, attack};
use super::verdict::Verdict;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LATE: &[u8] = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const LARGE: &[u8] = b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// More than any request of the well-behaved.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The guarded server ends what is not whole by then.
const DEADLINE: Duration = Duration::from_millis(500);

/// How many bytes the first request of `input` has, once its head is whole.
fn request_bytes(input: &[u8]) -> Option<usize> {
    let head = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let body: u64 = length.map_or(0, |length| length.parse().unwrap_or(u64::MAX));
    Some(head.saturating_add(usize::try_from(body).unwrap_or(usize::MAX)))
}

/// A thread per connection, a deadline for the whole of each request, a bound for its size.
fn guarded() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || converse(&mut stream.unwrap()));
        }
    });
    address
}

/// Ends the connection when it returns.
fn converse(stream: &mut TcpStream) -> Option<()> {
    let (mut input, mut buffer, mut is_first) = (Vec::new(), [0; 4096], true);
    loop {
        // Who has been well-behaved may be idle for longer.
        let deadline = Instant::now() + if is_first { DEADLINE } else { 20 * DEADLINE };
        while request_bytes(&input).is_none_or(|bytes| input.len() < bytes) {
            if input.len().max(request_bytes(&input).unwrap_or(0)) > REQUEST_BYTES_MAX {
                return stream.write_all(LARGE).ok();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return stream.write_all(LATE).ok();
            }
            stream.set_read_timeout(Some(left)).ok()?;
            match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => input.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        input.drain(..request_bytes(&input)?);
        stream.write_all(OK).ok()?;
        is_first = false;
    }
}

/// One thread that turns to whoever has sent a byte, and reads the request to its end, however long that takes.
fn naive() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let mut streams: Vec<TcpStream> = Vec::new();
        loop {
            while let Ok((stream, _)) = listener.accept() {
                streams.push(stream);
            }
            let before = streams.len();
            let mut was_idle = true;
            streams.retain_mut(|stream| {
                stream.set_nonblocking(true).unwrap();
                match stream.peek(&mut [0]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                    Ok(1) => {
                        was_idle = false;
                        stream.set_nonblocking(false).unwrap();
                        read_one(stream).is_some()
                    }
                    Ok(_) | Err(_) => false,
                }
            });
            if was_idle && streams.len() == before {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    address
}

fn read_one(stream: &mut TcpStream) -> Option<()> {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while request_bytes(&input).is_none_or(|bytes| input.len() < bytes) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => input.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    stream.write_all(OK).ok()
}

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    evil: EvilArgs,
}

fn arguments(target: &str, more: &str) -> EvilArgs {
    let line = format!("x --target {target} --connections 4 --rate 100 {more}");
    Line::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}")).evil
}

fn against(address: SocketAddr, more: &str) -> EvilResult {
    attack(&arguments(&format!("http://{address}/collect"), more), |_| {}).unwrap()
}

fn only(result: EvilResult) -> AttackResult {
    let [attack] = <[AttackResult; 1]>::try_from(result.attacks).unwrap();
    attack
}

fn answers(conduct: &Conduct, status: &str) -> u64 {
    conduct.answers.iter().find(|answer| answer.outcome == status).map_or(0, |answer| answer.count)
}

#[test]
fn a_server_that_guards_itself_is_not_harmed() {
    let more = "--seconds 1.5 --attackers 8 --attack slow_headers --attack slow_body --attack half_open";
    let result = against(guarded(), more);
    assert_eq!(result.attacks.len(), 3);
    for attack in &result.attacks {
        assert!(!attack.verdict.is_failure(), "{}: {} {:?}", attack.attack, attack.verdict, attack.notes);
        let conduct = &attack.conduct[0];
        // Every attacker was cut, told why, and came back.
        assert!(conduct.connects > 8 && conduct.closed >= 8, "{}: {conduct:?}", attack.attack);
        // A body that is announced to be too large is refused at once; the others waste their time.
        let told = if attack.attack == "slow_body" { "413" } else { "408" };
        assert!(answers(conduct, told) >= 8, "{}: {conduct:?}", attack.attack);
    }
    assert!(!result.is_failure());
    let text = result.to_string();
    assert!(text.contains("slow_headers") && text.contains("408: "), "{text}");
}

#[test]
fn a_naive_server_is_taken_down_by_one_slow_client() {
    let result = only(against(naive(), "--seconds 1 --timeout 0.5 --attackers 1 --attack slow_headers"));
    assert!(result.verdict.is_failure(), "{} {:?}", result.verdict, result.notes);
    assert_eq!((result.failed_before, result.conduct[0].held), (0, 1));
    assert!(result.failed_during > 0 && result.notes.iter().any(|note| note.contains("failed during")));
}

#[test]
fn a_naive_server_survives_those_who_say_nothing() {
    let result = only(against(naive(), "--seconds 1 --attackers 8 --attack half_open"));
    assert!(!result.verdict.is_failure(), "{} {:?}", result.verdict, result.notes);
    assert_eq!((result.conduct[0].connects, result.conduct[0].held), (8, 8));
}

#[test]
fn every_attack_runs_and_its_ends_add_up() {
    let result = against(guarded(), "--seconds 0.2 --attackers 12");
    let names: Vec<&str> = result.attacks.iter().map(|attack| attack.attack.as_str()).collect();
    assert_eq!(names, super::attack::ALL.map(|attack| attack.name));
    for attack in &result.attacks {
        for conduct in &attack.conduct {
            let name = (&attack.attack, &conduct.variant);
            let ends = conduct.closed + conduct.reset + conduct.left + conduct.held;
            assert!(conduct.connects > 0 && conduct.connects == ends, "{name:?}: {conduct:?}");
            assert_eq!(conduct.cut_after.count, conduct.closed + conduct.reset, "{name:?}");
        }
    }
    let of = |name: &str| &result.attacks.iter().find(|attack| attack.attack == name).unwrap().conduct;
    assert!(answers(&of("oversized")[0], "413") > 0, "{:?}", of("oversized"));
    assert!(answers(&of("lying_length")[0], "200") > 0, "{:?}", of("lying_length"));
    assert!(of("abandoned").iter().all(|conduct| conduct.left > 4 && conduct.bytes_taken > 0));
    assert!(of("connection_churn")[0].left > 12);
    assert!(of("never_reads")[0].answers.is_empty());
    let json = serde_json::to_string(&result).unwrap();
    let reread: EvilResult = serde_json::from_str(&json).unwrap();
    assert!(reread.to_string() == result.to_string() && reread.version == super::report::VERSION);
}

#[test]
fn this_process_as_the_target_is_measured() {
    let more = format!("--seconds 0.5 --attackers 4 --attack half_open --pid {}", std::process::id());
    let result = against(guarded(), &more);
    let resources = result.attacks[0].resources.unwrap();
    assert!(resources.before.rss_peak_bytes > 0 && resources.during.is_some() && resources.after.is_some());
    assert!(result.to_string().contains("CPU seconds per second"));
}

#[test]
fn what_can_not_be_attacked_is_said() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fails = |args: &EvilArgs| attack(args, |_| {}).unwrap_err();
    let error = fails(&arguments(&format!("http://{dead}/"), "--seconds 0.2 --timeout 0.2"));
    assert!(matches!(error, EvilError::NotWell { .. }), "{error}");
    let error = fails(&arguments("http://192.0.2.1/", ""));
    assert!(error.to_string().contains("--allow-remote"), "{error}");
    let url = format!("http://{}/", guarded());
    let error = fails(&arguments(&url, "--seconds 0.2 --pid 2147483640"));
    assert!(matches!(error, EvilError::Process { .. }), "{error}");
    let line = ["x", "--target", "http://127.0.0.1:1/", "--attack", "rude"];
    let error = Line::try_parse_from(line).err().unwrap().to_string();
    assert!(error.contains("slow_headers"), "{error}");
}

#[test]
fn verdicts_are_ordered_by_harm() {
    assert!(Verdict::Unmoved < Verdict::Slower && Verdict::Harmed < Verdict::Down);
}
