//! Free ports that stay ours, also while the engine that used them is dead.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A port of 127.0.0.1 that the kernel gives to nobody else as long as this value lives.
///
/// The engine's listeners share ports (`SO_REUSEPORT`), so two engines that were given the same number by accident
/// would not notice: each would get some of the other's requests. Hence the reservation: a socket that is bound and
/// never listens. It receives no connection, keeps the number from being handed out again (to a listener or to a
/// client), and lets a server that sets `SO_REUSEPORT` or `SO_REUSEADDR` in.
#[derive(Debug)]
pub struct ReservedPort {
    /// The address to give to the server.
    pub address: SocketAddr,
    _socket: OwnedFd,
}

impl ReservedPort {
    /// Reserves a free port.
    pub fn take() -> Self {
        let socket = bound_socket().unwrap_or_else(|error| panic!("can't reserve a port: {error}"));
        let address = address_of(&socket).unwrap_or_else(|error| panic!("can't read the port: {error}"));
        Self { address, _socket: socket }
    }
}

fn bound_socket() -> io::Result<OwnedFd> {
    // SAFETY: socket() takes no pointer.
    let raw = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: `raw` is open and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        let on: libc::c_int = 1;
        let size = length_of(&on);
        // SAFETY: `on` is a c_int that outlives the call, `size` is its size.
        check(unsafe { libc::setsockopt(raw, libc::SOL_SOCKET, option, (&raw const on).cast(), size) })?;
    }
    // SAFETY: an all-zero sockaddr_in is a valid value.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    address.sin_family = libc::sa_family_t::try_from(libc::AF_INET).expect("a small number");
    address.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
    let size = length_of(&address);
    // SAFETY: `address` is a sockaddr_in that outlives the call, `size` is its size.
    check(unsafe { libc::bind(raw, (&raw const address).cast(), size) })?;
    Ok(socket)
}

fn address_of(socket: &OwnedFd) -> io::Result<SocketAddr> {
    // SAFETY: an all-zero sockaddr_in is a valid value.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    let mut size = length_of(&address);
    // SAFETY: both pointers are to locals that outlive the call; `size` holds the room that `address` has.
    check(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut size) })?;
    let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    Ok(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(address.sin_port))))
}

fn length_of<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of_val(value)).expect("a socket structure is small")
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_server_can_listen_on_a_reserved_port_again_and_again() {
        let port = ReservedPort::take();
        for _ in 0..3 {
            // The standard library sets SO_REUSEADDR, as the admin port's library does.
            let listener = TcpListener::bind(port.address).expect("the reservation lets a server in");
            let client = TcpStream::connect(port.address).expect("the server is reached");
            let (served, _) = listener.accept().expect("the connection goes to the server");
            assert_eq!(served.peer_addr().unwrap(), client.local_addr().unwrap());
        }
    }

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let reserved: Vec<_> = (0..200).map(|_| ReservedPort::take()).collect();
        let numbers: BTreeSet<_> = reserved.iter().map(|port| port.address.port()).collect();
        assert_eq!(numbers.len(), reserved.len());
        for _ in 0..200 {
            let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            assert!(!numbers.contains(&other.local_addr().unwrap().port()));
        }
    }
}
