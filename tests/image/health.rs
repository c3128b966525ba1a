//! The image as it is, in a network of its own: where it listens, and what its health check says.

use support::poll::{PATIENCE, poll_until};

use super::container::{Container, Options};

/// Listening sockets of `/proc/net/tcp`: address and port, in the kernel's order of bytes.
fn listening(table: &str) -> Vec<(u32, u16)> {
    const LISTEN: &str = "0A";
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row[3] == LISTEN).map(|row| {
        let (address, port) = row[1].split_once(':').unwrap();
        (u32::from_str_radix(address, 16).unwrap(), u16::from_str_radix(port, 16).unwrap())
    });
    listening.collect()
}

fn wait_until_healthy(container: &Container) {
    poll_until("the health check to be content", PATIENCE, || container.is_healthy().then_some(()));
}

#[test]
fn its_data_port_is_on_every_address_and_its_admin_port_on_none_but_loopback() {
    let container = Container::start_alone(&Options::plain());
    wait_until_healthy(&container);
    let found = listening(&container.proc("net/tcp"));
    let addresses =
        |port: u16| found.iter().filter(move |(_, found)| *found == port).map(|(address, _)| *address);
    assert!(addresses(8088).count() > 0 && addresses(8088).all(|address| address == 0), "{found:x?}");
    let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
    assert!(addresses(8686).eq([loopback]), "{found:x?}");
}

#[test]
fn its_health_check_asks_the_engine() {
    let container = Container::start_alone(&Options::plain());
    wait_until_healthy(&container);
    // It lives, and does nothing: no process list would tell.
    container.signal(libc::SIGSTOP);
    assert!(!container.is_healthy(), "an engine that answers nobody");
    container.signal(libc::SIGCONT);
    wait_until_healthy(&container);
}

#[test]
fn its_health_check_follows_the_configured_port() {
    let options = Options::plain().environment("MILLRUN_SERVER__LISTEN", "0.0.0.0:9000");
    let container = Container::start_alone(&options);
    wait_until_healthy(&container);
    assert!(listening(&container.proc("net/tcp")).iter().all(|(_, port)| *port != 8088));
}
