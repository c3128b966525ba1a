//! The program itself, on both drivers: every request gets its answer, however it comes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// How long an answer may take before the test calls it missing.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bare {
    process: Child,
    address: String,
}

impl Bare {
    fn start(driver: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_bare"))
            .args(["--driver", driver, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Self { process, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn post(body_bytes: usize) -> Vec<u8> {
    let head = format!("POST /collect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body_bytes}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; body_bytes]].concat()
}

fn expect_answers(stream: &mut TcpStream, count: usize) {
    let mut answers = vec![0; ANSWER.len() * count];
    stream.read_exact(&mut answers).unwrap();
    assert_eq!(String::from_utf8(answers).unwrap(), ANSWER.repeat(count));
}

fn answers_requests_however_they_come(driver: &str) {
    let bare = Bare::start(driver);
    let mut stream = bare.connect();

    stream.write_all(&post(1024)).unwrap();
    expect_answers(&mut stream, 1);

    // Pipelined, more of them than leave with one write, and bodies that are longer than the buffer.
    stream.write_all(&post(10).repeat(100)).unwrap();
    expect_answers(&mut stream, 100);
    stream.write_all(&[post(50_000), post(0), post(5000)].concat()).unwrap();
    expect_answers(&mut stream, 3);

    // Byte by byte; nothing is answered before the last one.
    let request = post(30);
    for byte in &request[..request.len() - 1] {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    stream.write_all(&request[request.len() - 1..]).unwrap();
    expect_answers(&mut stream, 1);

    // Another connection is served while this one is open.
    let mut other = bare.connect();
    other.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    expect_answers(&mut other, 1);

    // A head that outgrows the buffer has no end that could be found: the connection is closed.
    other.write_all(&[b'x'; 4096]).unwrap();
    assert_eq!(other.read(&mut [0]).unwrap(), 0);
}

#[test]
fn answers_requests_however_they_come_on_io_uring() {
    answers_requests_however_they_come("io_uring");
}

#[test]
fn answers_requests_however_they_come_on_epoll() {
    answers_requests_however_they_come("epoll");
}
