//! Health, and log lines that can't flood.

use std::time::{Duration, Instant};

use super::fault::Failure;
use crate::{Fault, FaultKind, Health};

/// At most one line of a kind in this time.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// What the sink believes about its stream.
#[derive(Debug)]
pub(super) struct Watch {
    stream: String,
    health: Health,
    logged: [Option<Instant>; FaultKind::ALL.len()],
}

impl Watch {
    pub(super) fn new(stream: &str) -> Self {
        Self { stream: stream.to_owned(), health: Health::Unknown, logged: [None; FaultKind::ALL.len()] }
    }

    pub(super) fn health(&self) -> Health {
        self.health.clone()
    }

    /// A call was answered record by record.
    pub(super) fn answered(&mut self) {
        if let Health::Down(_) = self.health {
            tracing::info!(stream = self.stream, "kinesis works again");
        }
        if self.health != Health::Up {
            self.health = Health::Up;
        }
    }

    /// A call failed as a whole.
    pub(super) fn failed(&mut self, failure: &Failure, fault: Fault, now: Instant) {
        let text = failure.text();
        if !matches!(fault.kind, FaultKind::Throttled | FaultKind::RecordTooLarge | FaultKind::RecordRejected)
        {
            let why = match fault.kind {
                FaultKind::Unreachable | FaultKind::TimedOut => "does not answer",
                FaultKind::DestinationMissing => "does not exist",
                FaultKind::Unauthenticated => "refuses these credentials, or there are none",
                FaultKind::Unauthorized => "may not be written with these credentials",
                _ => "fails",
            };
            self.health = Health::Down(format!("stream {} {why}: {text}", self.stream));
        }
        self.log(fault, &text, now);
    }

    /// A record was refused in a call that was answered.
    pub(super) fn refused(&mut self, fault: Fault, code: &str, message: &str, now: Instant) {
        self.log(fault, &format!("{code}: {message}"), now);
    }

    fn log(&mut self, fault: Fault, text: &str, now: Instant) {
        let logged = &mut self.logged[fault.kind as usize];
        if logged.is_none_or(|at| now >= at + LOG_PAUSE) {
            *logged = Some(now);
            tracing::warn!(stream = self.stream, fault = fault.kind.name(), "kinesis: {text}");
        }
    }
}
