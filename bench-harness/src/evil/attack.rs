//! The attacks: what a misbehaving client writes, as state machines without sockets and clocks.

mod abandoned;
mod bad_chunks;
mod bomb;
mod connection_churn;
mod half_open;
mod header_flood;
mod lying_length;
mod never_reads;
mod oversized;
mod slow_body;
mod slow_headers;

use std::time::Duration;

use crate::target::Target;

/// Bytes that a script appends at once when it sends as fast as the target takes them.
const PIECE_BYTES: usize = 16 * 1024;

/// What a script may know when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since the connection was made.
    pub since: Duration,
    /// Answers that were read on it.
    pub answers: u64,
}

/// What an attacker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write what was appended, all of it, then ask again.
    Send,
    /// Ask again then (counted from the connection's start).
    WaitUntil(Duration),
    /// Ask again when an answer has come.
    WaitForAnswer,
    /// Nothing more, until the target ends it.
    Hold,
    /// Close in order (FIN).
    Close,
    /// Drop it (RST).
    Reset,
}

/// What a misbehaving client does on one connection.
pub trait Script: Send {
    /// The next step, once the last one is done. Bytes to send are appended to `out`.
    fn next(&mut self, moment: Moment, out: &mut Vec<u8>) -> Step;
}

/// One way to misbehave.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What it is called on the command line and in results.
    pub name: &'static str,
    /// What its clients do, in one line.
    pub description: &'static str,
    /// Whether its clients read what they are answered.
    pub reads: bool,
    /// From the end of a connection to the next attempt.
    pub pause: Duration,
    /// The ways in which it is done, each by an equal share of the attackers; at least one.
    pub variants: &'static [&'static str],
    /// The script of a new connection to this target, by the index of its variant.
    pub script: fn(target: &Target, variant: usize) -> Box<dyn Script>,
}

/// From the end of a connection to the next attempt, unless connecting is the attack: 256 attackers that are cut at
/// once then come to 2,560 connections a second.
const PAUSE: Duration = Duration::from_millis(100);

/// All attacks, in the order in which they are run.
pub const ALL: [Attack; 11] = [
    slow_headers::ATTACK,
    slow_body::ATTACK,
    half_open::ATTACK,
    abandoned::ATTACK,
    oversized::ATTACK,
    lying_length::ATTACK,
    bad_chunks::ATTACK,
    bomb::ATTACK,
    never_reads::ATTACK,
    header_flood::ATTACK,
    connection_churn::ATTACK,
];

impl Attack {
    /// The attack of that name.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = ALL.into_iter().find(|attack| attack.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|attack| attack.name).collect();
            format!("no such attack; there are {}", names.join(", "))
        })
    }
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The head of a request like those of the well-behaved, but for its framing and its end.
fn open_head(target: &Target) -> Vec<u8> {
    format!(
        "POST {}?appId=shop HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
        target.path, target.host
    )
    .into_bytes()
}

/// The same, framed and ended.
fn head(target: &Target, framing: &str) -> Vec<u8> {
    let mut head = open_head(target);
    head.extend_from_slice(framing.as_bytes());
    head.extend_from_slice(b"\r\n\r\n");
    head
}

/// Sends these bytes, then does the same step for ever.
struct Once {
    bytes: Vec<u8>,
    then: Step,
}

impl Script for Once {
    fn next(&mut self, _: Moment, out: &mut Vec<u8>) -> Step {
        if self.bytes.is_empty() {
            return self.then;
        }
        out.append(&mut self.bytes);
        Step::Send
    }
}

/// Sends these bytes, then the piece again and again, as fast as it is taken.
struct Endless {
    first: Vec<u8>,
    piece: Vec<u8>,
}

impl Script for Endless {
    fn next(&mut self, _: Moment, out: &mut Vec<u8>) -> Step {
        out.append(&mut self.first);
        out.extend_from_slice(&self.piece);
        Step::Send
    }
}

/// Sends these bytes at once, then one byte of the tail per interval, the tail again and again.
struct Drip {
    first: Vec<u8>,
    tail: &'static [u8],
    interval: Duration,
    sent: u32,
}

impl Script for Drip {
    fn next(&mut self, moment: Moment, out: &mut Vec<u8>) -> Step {
        if !self.first.is_empty() {
            out.append(&mut self.first);
            return Step::Send;
        }
        let due = self.interval * (self.sent + 1);
        if moment.since < due {
            return Step::WaitUntil(due);
        }
        out.push(self.tail[self.sent as usize % self.tail.len()]);
        self.sent += 1;
        Step::Send
    }
}

#[cfg(test)]
mod tests;
