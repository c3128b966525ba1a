//! What misbehaving clients cost everyone else: `bench-harness evil`.
//!
//! Each attack is run beside a well-behaved open-loop load; the load's latency and failures are the result, what the
//! target did to the attackers explains it.
//!
//! ```text
//!             before        during         after        (well-behaved load, from `load::run`)
//!           ├─── S ────┼────── S ──────┼─── S/2 ──┤
//!                      ├ swarm: one thread, N attackers ┤
//!                           │  script (pure: bytes, waits) ◀── attack/*.rs
//!                           └▶ conduct: answers, closes, time until cut, bytes taken
//! ```
//!
//! The attackers of a loopback target have addresses of their own (127.66.0.0/16), one each, so that a limit per
//! address tells them from the well-behaved, and their closed connections use up nobody else's ports.

pub mod attack;
mod attacker;
mod conduct;
mod files;
mod poller;
pub mod report;
mod resources;
pub mod run;
mod swarm;
mod table;
pub mod verdict;

#[cfg(test)]
mod tests;

pub use run::{EvilArgs, EvilError, run};
