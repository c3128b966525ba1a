//! One attacker: a connection at a time, made, misused by its script, and made again when it is over.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::attack::{Attack, Moment, Script, Step};
use super::conduct::{End, Tally};
use super::poller::{Event, Interest, Poller};
use crate::load::answer::AnswerReader;
use crate::target::Target;

/// After a connection that could not be made.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Steps that an attacker takes before the others have their turn: one piece is sent, and the script says what is next.
const STEPS: usize = 2;

/// The receive buffer of who never reads: small, so that the answers are soon the target's burden.
const UNREAD_BYTES: usize = 2304;

/// What an attacker works with.
pub(super) struct Shared<'a> {
    pub(super) attack: Attack,
    pub(super) target: &'a Target,
    pub(super) poller: &'a Poller,
    /// One per variant.
    pub(super) tallies: &'a mut [Tally],
    /// Where answers are read to.
    pub(super) buffer: &'a mut [u8],
}

struct Connection {
    stream: TcpStream,
    script: Box<dyn Script>,
    /// When it was made; `None` while that is under way.
    since: Option<Instant>,
    out: Vec<u8>,
    written: usize,
    reader: AnswerReader,
    answers: u64,
    garbled: bool,
    interest: Interest,
}

/// See the module.
pub(super) struct Attacker {
    number: usize,
    /// Which of the attack's variants it does.
    variant: usize,
    connection: Option<Connection>,
    /// When it wants to be called without an event.
    pub(super) wake: Option<Instant>,
}

impl Attacker {
    pub(super) fn new(number: usize, variants: usize, now: Instant) -> Self {
        Self { number, variant: number % variants, connection: None, wake: Some(now) }
    }

    /// Its time has come.
    pub(super) fn woken(&mut self, shared: &mut Shared<'_>, now: Instant) {
        self.wake = None;
        if self.connection.is_none() && self.connect(shared).is_err() {
            shared.tallies[self.variant].connect_failures += 1;
            self.rest(AFTER_REFUSAL, now);
            return;
        }
        self.proceed(shared, now);
    }

    /// Something happened on its socket.
    pub(super) fn notified(&mut self, event: Event, shared: &mut Shared<'_>, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        if connection.since.is_none() {
            if event.failed || !matches!(connection.stream.take_error(), Ok(None)) {
                shared.tallies[self.variant].connect_failures += 1;
                self.connection = None;
                self.rest(AFTER_REFUSAL, now);
                return;
            }
            if !event.writable {
                return;
            }
            connection.since = Some(now);
            shared.tallies[self.variant].connects += 1;
        }
        if shared.attack.reads && (event.readable || event.ended || event.failed) {
            if let Some(end) = connection.read(&mut shared.tallies[self.variant], shared.buffer) {
                self.end(end, shared, now);
                return;
            }
        } else if event.failed {
            return self.end(End::Reset, shared, now);
        } else if event.ended {
            return self.end(End::Closed, shared, now);
        }
        self.proceed(shared, now);
    }

    /// The attack is over.
    pub(super) fn stop(&mut self, tallies: &mut [Tally], now: Instant) {
        let tally = &mut tallies[self.variant];
        let Some(connection) = self.connection.take() else { return };
        match connection.since {
            Some(since) => tally.ended(End::Held, now.saturating_duration_since(since)),
            None => tally.connect_failures += 1,
        }
        drop_with_reset(&connection.stream);
    }

    fn connect(&mut self, shared: &mut Shared<'_>) -> io::Result<()> {
        let stream = begin_connect(shared.target.address, self.number, shared.attack.reads)?;
        let interest = Interest { read: shared.attack.reads, write: true };
        shared.poller.add(&stream, self.number, interest)?;
        self.connection = Some(Connection {
            stream,
            script: (shared.attack.script)(shared.target, self.variant),
            since: None,
            out: Vec::new(),
            written: 0,
            reader: AnswerReader::default(),
            answers: 0,
            garbled: false,
            interest,
        });
        Ok(())
    }

    /// Does what the script says for as long as it goes, but not for too long at once.
    fn proceed(&mut self, shared: &mut Shared<'_>, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        let Some(since) = connection.since else { return };
        let moment = Moment { since: now.saturating_duration_since(since), answers: connection.answers };
        let mut wants_to_write = true;
        for _ in 0..STEPS {
            match connection.flush(&mut shared.tallies[self.variant]) {
                Ok(true) => {}
                Ok(false) => break,
                // The target has closed while it was written to. An answer may stand before the reset.
                Err(_) => {
                    let end = if shared.attack.reads {
                        connection.read(&mut shared.tallies[self.variant], shared.buffer)
                    } else {
                        None
                    };
                    return self.end(end.unwrap_or(End::Reset), shared, now);
                }
            }
            match connection.script.next(moment, &mut connection.out) {
                Step::Send => {}
                Step::WaitUntil(then) => {
                    (self.wake, wants_to_write) = (Some(since + then), false);
                    break;
                }
                Step::WaitForAnswer | Step::Hold => {
                    wants_to_write = false;
                    break;
                }
                Step::Close => return self.end(End::Left, shared, now),
                Step::Reset => {
                    drop_with_reset(&connection.stream);
                    return self.end(End::Left, shared, now);
                }
            }
        }
        let interest = Interest { write: wants_to_write, ..connection.interest };
        if interest != connection.interest {
            connection.interest = interest;
            if shared.poller.change(&connection.stream, self.number, interest).is_err() {
                self.end(End::Left, shared, now);
            }
        }
    }

    fn end(&mut self, end: End, shared: &mut Shared<'_>, now: Instant) {
        if let Some(since) = self.connection.take().and_then(|connection| connection.since) {
            shared.tallies[self.variant].ended(end, now.saturating_duration_since(since));
        }
        self.rest(shared.attack.pause, now);
    }

    fn rest(&mut self, pause: Duration, now: Instant) {
        self.wake = Some(now + pause);
    }
}

impl Connection {
    /// Writes what is left; false when the socket is full.
    fn flush(&mut self, tally: &mut Tally) -> io::Result<bool> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    tally.bytes_taken += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(true)
    }

    /// Reads what is there, and says if the target has ended the connection.
    fn read(&mut self, tally: &mut Tally, buffer: &mut [u8]) -> Option<End> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    if let (false, Some(answer)) = (self.garbled, self.reader.end()) {
                        tally.answered(answer.status);
                    }
                    return Some(End::Closed);
                }
                Ok(count) => self.take_answers(&buffer[..count], tally),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(End::Reset),
            }
        }
    }

    fn take_answers(&mut self, mut bytes: &[u8], tally: &mut Tally) {
        while !self.garbled && !bytes.is_empty() {
            let Ok((taken, answer)) = self.reader.feed(bytes) else {
                self.garbled = true;
                tally.garbled();
                return;
            };
            bytes = &bytes[taken..];
            if let Some(answer) = answer {
                self.answers += 1;
                tally.answered(answer.status);
            }
        }
    }
}

/// A connection under way. To a loopback target it comes from an address of the attacker's own.
fn begin_connect(target: SocketAddr, attacker: usize, reads: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if !reads {
        socket.set_recv_buffer_size(UNREAD_BYTES)?;
    }
    if target.is_ipv4() && target.ip().is_loopback() {
        choose_port_late(&socket)?;
        socket.bind(&SocketAddr::from((source(attacker), 0)).into())?;
    }
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// 127.66.x.y, another one for each of up to 65,536 attackers.
fn source(attacker: usize) -> IpAddr {
    let [.., high, low] = attacker.to_be_bytes();
    Ipv4Addr::new(127, 66, high, low).into()
}

/// Lets `connect` choose the port, which then needs to be free only towards this target.
fn choose_port_late(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(4);
    // SAFETY: the kernel reads one int; the descriptor is open.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length,
        )
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes closing it send RST.
fn drop_with_reset(stream: &TcpStream) {
    // It can fail only for a socket that is gone, and then there is nothing to reset.
    let _already_gone = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
