//! Whether a target answers yet.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::spec::Probe;
use crate::target::{Target, TargetError};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long the sockets of a process that has ended may still be there.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(20);

/// A probe with its address looked up.
#[derive(Clone, Debug)]
pub(super) struct Door {
    address: SocketAddr,
    /// What must answer over HTTP; none when a connection is enough.
    http: Option<Target>,
}

/// Why a probe's address makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// The address.
    #[error("ready.tcp = {address:?} has no address ({error}); write HOST:PORT")]
    Tcp {
        /// As given.
        address: String,
        /// Why.
        error: std::io::Error,
    },
}

impl Door {
    pub(super) fn find(probe: &Probe) -> Result<Self, DoorError> {
        match probe {
            Probe::Url(url) => {
                let target = Target::resolve(url, false)?;
                Ok(Self { address: target.address, http: Some(target) })
            }
            Probe::Tcp(text) => {
                let wrong = |error| DoorError::Tcp { address: text.clone(), error };
                let address = text.to_socket_addrs().map_err(wrong)?.next();
                let address = address.ok_or_else(|| wrong(std::io::ErrorKind::NotFound.into()))?;
                Ok(Self { address, http: None })
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks once.
    ///
    /// # Errors
    /// What came instead of an answer, in words.
    pub(super) fn knock(&self) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", self.address);
        let mut stream = TcpStream::connect_timeout(&self.address, ATTEMPT).map_err(said)?;
        let Some(target) = &self.http else { return Ok(()) };
        stream.set_read_timeout(Some(ATTEMPT)).map_err(said)?;
        let request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.host);
        stream.write_all(request.as_bytes()).map_err(said)?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).map_err(said)?;
        match status(start) {
            Some(status) if status < 400 => Ok(()),
            Some(status) => Err(format!("{} answered {status}", target.url)),
            None => Err(format!("{} answered something that is not HTTP", target.url)),
        }
    }
}

/// Whether someone accepts connections at `address`.
fn is_taken(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, ATTEMPT).is_ok()
}

/// Whether someone goes on accepting connections at `address`. The kernel closes the sockets of a process on `io_uring`
/// some time after its end: what a target of the last round leaves behind is waited for.
pub(super) fn stays_taken(address: SocketAddr) -> bool {
    let until = Instant::now() + LEFT_BEHIND;
    while is_taken(address) {
        if Instant::now() >= until {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// The status in `HTTP/1.1 200`.
fn status(start: [u8; 12]) -> Option<u16> {
    let (version, status) = start.split_at(9);
    let known = version == b"HTTP/1.1 " || version == b"HTTP/1.0 ";
    known.then(|| std::str::from_utf8(status).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one connection with `answer`; returns the address.
    fn once(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _request = stream.read(&mut [0; 1024]);
            let _gone = stream.write_all(answer);
        });
        address
    }

    fn knock(answer: &'static [u8]) -> Result<(), String> {
        Door::find(&Probe::Url(format!("http://{}/ready", once(answer)))).unwrap().knock()
    }

    #[test]
    fn only_a_good_status_is_ready() {
        assert_eq!(knock(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(()));
        assert_eq!(knock(b"HTTP/1.0 302 Found\r\n\r\n"), Ok(()));
        assert!(knock(b"HTTP/1.1 503 Wait\r\n\r\n").unwrap_err().contains("503"));
        assert!(knock(b"SSH-2.0-Something").unwrap_err().contains("not HTTP"));
        assert!(knock(b"").is_err());
    }

    #[test]
    fn a_tcp_door_needs_only_a_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::find(&Probe::Tcp(address.to_string())).unwrap();
        assert!(is_taken(address));
        assert_eq!(door.knock(), Ok(()));
        drop(listener);
        assert!(!is_taken(address));
        assert!(door.knock().unwrap_err().contains(&address.to_string()));
        assert!(Door::find(&Probe::Tcp("127.0.0.1".into())).unwrap_err().to_string().contains("HOST:PORT"));
    }
}
