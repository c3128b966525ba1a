//! `millrun health`: asks the engine that runs with this configuration, as a container's health check does.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For connecting, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/health` of the data port that listens on `listen`.
///
/// # Errors
/// What is wrong, with the address.
pub(super) fn ask(listen: SocketAddr) -> Result<(), String> {
    let address = reachable(listen);
    let text = |what: &str, error: &dyn std::fmt::Display| format!("{address} {what}: {error}");
    if address.port() == 0 {
        return Err(format!("server.listen = \"{listen}\" is a port that only the engine knows: name one"));
    }
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .map_err(|error| text("can't be reached; is the engine running?", &error))?;
    let limit = |stream: &TcpStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))
    };
    limit(&stream).map_err(|error| text("has no timeouts", &error))?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| text("does not take a request", &error))?;
    let mut answer = [0; 256];
    let len = stream.read(&mut answer).map_err(|error| text("does not answer", &error))?;
    let line = answer[..len].split(|byte| *byte == b'\r').next().unwrap_or_default();
    if line.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(format!("{address} answers {:?}", String::from_utf8_lossy(line)))
}

/// Where a socket that listens on every address is reached from this host.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        });
        address
    }

    #[test]
    fn only_200_is_healthy() {
        assert_eq!(ask(answering(b"HTTP/1.1 200 OK\r\n\r\n")), Ok(()));
        let refused = ask(answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap_err();
        assert!(refused.contains("503"), "{refused}");
        assert!(ask(answering(b"")).is_err());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(nobody).unwrap_err().contains("is the engine running?"));
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()).to_string(), "10.0.0.1:80");
    }
}
