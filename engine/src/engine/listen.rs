//! The data port: one listener a shard on the same address (`SO_REUSEPORT`), so that the kernel spreads connections.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long a predecessor on the same port may take to be gone.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(3);
const PREDECESSOR_POLL: Duration = Duration::from_millis(20);

/// The data port can't be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "server.listen = \"{address}\": {source}; is another process on this port, or the address not this host's?"
)]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Binds `shards` listeners to `address`. Port 0 takes a free one, the same for all; the address that it became is
/// returned.
pub(super) fn bind(
    address: SocketAddr,
    shards: u16,
    backlog: u32,
) -> Result<(Vec<TcpListener>, SocketAddr), ListenError> {
    let fail = |source| ListenError { address, source };
    await_exclusive(address).map_err(fail)?;
    let first = listener(address, backlog).map_err(fail)?;
    let bound = first.local_addr().map_err(fail)?;
    let mut listeners = vec![first];
    for _ in 1..shards {
        listeners.push(listener(bound, backlog).map_err(fail)?);
    }
    Ok((listeners, bound))
}

/// Waits until nobody else is on the port. Without this a second engine would silently share the first one's
/// connections. It waits a little, since the kernel closes the sockets of a killed process behind its back: its
/// `io_uring` is torn down after the process is gone.
fn await_exclusive(address: SocketAddr) -> std::io::Result<()> {
    let give_up = Instant::now() + PREDECESSOR_TIMEOUT;
    loop {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < give_up => {
                std::thread::sleep(PREDECESSOR_POLL);
            }
            Err(error) => return Err(error),
        }
    }
}

fn listener(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    // Inherited by every accepted socket: an answer is one small write that must not wait for an acknowledgement.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shards_share_one_port_and_a_foreign_port_is_refused_with_its_address() {
        let (listeners, address) = bind("127.0.0.1:0".parse().unwrap(), 3, 16).unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        let error = bind(address, 1, 16).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
