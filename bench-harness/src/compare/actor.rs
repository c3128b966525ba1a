//! Targets for tests: this test program itself, started again in a role.
//!
//! A role is played by the test `play`, which does nothing when no role is given. So the tests need no other program.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::cpus::CpuSet;
use super::process::Process;
use super::spec::Spec;

const ROLE: &str = "BENCH_HARNESS_TEST_ROLE";
const PORT: &str = "BENCH_HARNESS_TEST_PORT";
const FILE: &str = "BENCH_HARNESS_TEST_FILE";

/// CPU time that a spinner uses at least.
pub(super) const SPIN: Duration = Duration::from_millis(150);

/// A target of this role, listening at a free port. `file` is where roles that report do so; `more` is added to the file.
pub(super) fn spec(role: &str, file: &Path, more: &str) -> Spec {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "name = '{role}'\n\
         command = ['{program}', 'compare::actor::play', '--exact', '--nocapture', '--test-threads=1']\n\
         url = 'http://127.0.0.1:{port}/collect'\n\
         env = {{ {ROLE} = '{role}', {PORT} = '{port}', {FILE} = '{file}' }}\n\
         {more}\n",
        program = std::env::current_exe().unwrap().display(),
        file = file.display(),
    );
    Spec::parse(&std::env::temp_dir().join("test.toml"), &text).unwrap()
}

#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "serve" => serve(200),
        "refuse" => serve(503),
        "quit" => panic!("no configuration"),
        "silent" => sleep_for_ever(),
        "stubborn" => {
            // SAFETY: the disposition of a signal in a process of our own; no handler.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            serve(200);
        }
        "family" => family(),
        "spin" => {
            spin();
            report(&format!("spin-{}", std::process::id()));
        }
        "spin_and_stay" => {
            spin();
            report("stay");
            sleep_for_ever();
        }
        "runaway" => {
            // SAFETY: no pointers.
            unsafe { libc::setsid() };
            std::fs::write(file().join("runaway"), std::process::id().to_string()).unwrap();
            sleep_for_ever();
        }
        "parent_of_runaway" => {
            let mut child = start_as("runaway");
            std::thread::spawn(move || child.wait());
            serve(200);
        }
        "die_with_a_target" => {
            let spec = spec("serve", &file(), "");
            let mut process = Process::start(&spec, &CpuSet::allowed().unwrap()).unwrap();
            process.wait_ready(&spec.ready).unwrap();
            let pids: Vec<_> =
                process.tree().members().unwrap().iter().map(|stat| stat.pid.to_string()).collect();
            std::fs::write(file().join("pids"), pids.join(" ")).unwrap();
            // SAFETY: ends this process at once: nothing is dropped, as when it is killed.
            unsafe { libc::_exit(0) };
        }
        other => panic!("no such role: {other}"),
    }
}

fn file() -> PathBuf {
    PathBuf::from(std::env::var(FILE).unwrap())
}

fn start_as(role: &str) -> Child {
    let arguments = ["compare::actor::play", "--exact", "--nocapture", "--test-threads=1"];
    Command::new(std::env::current_exe().unwrap()).args(arguments).env(ROLE, role).spawn().unwrap()
}

/// Two children that spin, of which one ends and is waited for; spins itself, in a thread that ends; then listens.
fn family() {
    let mut ends = start_as("spin");
    let mut stays = start_as("spin_and_stay");
    std::thread::spawn(move || stays.wait());
    std::thread::spawn(spin).join().unwrap();
    assert!(ends.wait().unwrap().success());
    while !file().join("stay").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    report("family");
    serve(200);
}

/// Works until this process's own accounting says that it has used `SPIN`.
fn spin() {
    let end = used() + SPIN;
    let mut value = 1_u64;
    while used() < end {
        for _ in 0..10_000 {
            value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Writes the CPU time of this process, in ns, to `name`; whole or not at all.
fn report(name: &str) {
    let (path, part) = (file().join(name), file().join(format!("{name}.part")));
    std::fs::write(&part, used().as_nanos().to_string()).unwrap();
    std::fs::rename(part, path).unwrap();
}

fn used() -> Duration {
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one rusage.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_usec).unwrap() * 1000))
        .sum()
}

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

fn serve(status: u16) {
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming() {
        std::thread::spawn(move || converse(stream.unwrap(), status));
    }
}

/// Answers every request with an empty body.
pub(crate) fn converse(mut stream: TcpStream, status: u16) {
    let answer = format!("HTTP/1.1 {status} As told\r\nContent-Length: 0\r\n\r\n");
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        input.extend_from_slice(&buffer[..read]);
        while let Some(end) = request_end(&input) {
            input.drain(..end);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn request_end(input: &[u8]) -> Option<usize> {
    let head = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let end = head + length.map_or(0, |length| length.parse::<usize>().unwrap());
    (input.len() >= end).then_some(end)
}
