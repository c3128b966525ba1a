//! `millrun health`: asks the engine that runs with this configuration whether it lives, for health checks of
//! containers, which have no other client at hand.
//!
//! It asks the data port, since that is what the engine is for: an answer comes from a shard, not from a thread beside
//! it. One connection reaches one shard; which one is the kernel's choice, another time another.
//!
//! | what happens | exit code |
//! | --- | --- |
//! | 200 on `/health` | 0 |
//! | the engine turns the connection away: 503, or closed without a word (`limits.connections_max`, or it is ending) | 0: it lives, and ending it would help nobody |
//! | no connection, no answer in two seconds, or the answer of something else | 1 |
//! | the configuration is wrong, or names port 0 | 2 |

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{FAILED, MISUSED};
use crate::config::Settings;

/// From the first packet to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// As much of an answer as is looked at, in bytes. The engine's own has some 200.
const ANSWER_BYTES_MAX: u64 = 4096;

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Asks, says what came, and gives the exit code for it.
pub(super) fn run(settings: &Settings) -> ExitCode {
    let Some(address) = target(settings.server.listen) else {
        eprintln!("error: server.listen names port 0, so nobody knows where the engine listens: name a port");
        return ExitCode::from(MISUSED);
    };
    match ask(address, PATIENCE) {
        Ok(answer) => match judge(&answer) {
            Ok(state) => {
                println!("{address}: {state}");
                ExitCode::SUCCESS
            }
            Err(problem) => unhealthy(address, &problem),
        },
        Err(error) => unhealthy(address, &error.to_string()),
    }
}

fn unhealthy(address: SocketAddr, problem: &str) -> ExitCode {
    eprintln!("error: {address}: {problem}");
    ExitCode::from(FAILED)
}

/// Where to ask an engine that listens on `listen`: loopback where it listens on every address.
fn target(listen: SocketAddr) -> Option<SocketAddr> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (listen.port() != 0).then_some(SocketAddr::new(ip, listen.port()))
}

/// The bytes of the answer; none where the connection was closed without a word.
fn ask(address: SocketAddr, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let stream = TcpStream::connect_timeout(&address, patience)?;
    let mut answer = Vec::new();
    match converse(&stream, deadline, &mut answer) {
        Ok(()) => Ok(answer),
        // Closed with our request unread: the kernel makes a reset of it.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            Ok(answer)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            let text = format!("no answer within {} ms", patience.as_millis());
            Err(io::Error::new(ErrorKind::TimedOut, text))
        }
        Err(error) => Err(error),
    }
}

fn converse(mut stream: &TcpStream, deadline: Instant, answer: &mut Vec<u8>) -> io::Result<()> {
    // A timeout of zero would mean none.
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(REQUEST)?;
    let mut block = [0; 512];
    while (answer.len() as u64) < ANSWER_BYTES_MAX {
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut block)? {
            0 => return Ok(()),
            count => answer.extend_from_slice(&block[..count]),
        }
    }
    Ok(())
}

/// What an answer says about the engine: alive, in words, or why not.
fn judge(answer: &[u8]) -> Result<&'static str, String> {
    const TURNED_AWAY: &str = "alive, and turns connections away: it is full or ending";
    if answer.is_empty() {
        return Ok(TURNED_AWAY);
    }
    let line = answer.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
    match line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
        Some("200") => Ok("alive"),
        Some("503") => Ok(TURNED_AWAY),
        _ => Err(format!("answered {line:?}, as no engine does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn it_asks_where_the_engine_listens() {
        let of = |listen: &str| target(listen.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(of("0.0.0.0:8088").as_deref(), Some("127.0.0.1:8088"));
        assert_eq!(of("[::]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(of("10.0.0.7:9").as_deref(), Some("10.0.0.7:9"));
        assert_eq!(of("127.0.0.1:0"), None);
    }

    #[test]
    fn an_answer_is_life_only_where_an_engine_gave_it() {
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}"), Ok("alive"));
        for turned_away in [&b""[..], b"HTTP/1.1 503 Service Unavailable\r\n\r\n"] {
            assert!(judge(turned_away).unwrap().contains("full or ending"));
        }
        for other in
            [&b"HTTP/1.1 404 Not Found\r\n"[..], b"HTTP/1.1 2", b"SSH-2.0-x\r\n", b"\xff\xfe", b"\r\n"]
        {
            assert!(judge(other).is_err(), "{other:?}");
        }
    }

    /// A server that does this with its only connection.
    fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        address
    }

    #[test]
    fn an_answer_in_pieces_is_read_to_its_end() {
        let address = server(|mut stream| {
            let mut request = vec![0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            for piece in [&b"HTTP/1.1 2"[..], b"00 OK\r\nContent-Length: 2\r\n\r\n", b"ok"] {
                stream.write_all(piece).unwrap();
                stream.flush().unwrap();
            }
        });
        let answer = ask(address, Duration::from_secs(20)).unwrap();
        assert!(answer.ends_with(b"\r\n\r\nok"), "{answer:?}");
        assert_eq!(judge(&answer), Ok("alive"));
    }

    #[test]
    fn closed_without_a_word_is_an_empty_answer() {
        assert_eq!(ask(server(drop), Duration::from_secs(20)).unwrap(), b"");
    }

    #[test]
    fn silence_and_a_closed_port_are_errors() {
        // Accepted by the kernel, served by nobody.
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = ask(hung.local_addr().unwrap(), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("no answer within 50 ms"), "{error}");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(ask(closed, Duration::from_secs(20)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
