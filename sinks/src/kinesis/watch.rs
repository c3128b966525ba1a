//! Health, and log lines that can't flood.

use std::time::{Duration, Instant};

use super::fault::Failure;
use crate::{Fault, FaultKind, Health, Whose};

/// At most one line of a kind in this time.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Calls in a row that bring no answer before the stream counts as down: one that fails by itself is the lane's to try
/// again, and no reason to refuse others.
const FAILURES_DOWN: u32 = 3;

/// What the sink believes about its stream.
#[derive(Debug)]
pub(super) struct Watch {
    stream: String,
    health: Health,
    failures: u32,
    logged: [Option<Instant>; FaultKind::ALL.len()],
}

impl Watch {
    pub(super) fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            health: Health::Unknown,
            failures: 0,
            logged: [None; FaultKind::ALL.len()],
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health.clone()
    }

    /// A call was answered record by record.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
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
        let harmless = matches!(
            fault.kind,
            FaultKind::Throttled | FaultKind::RecordTooLarge | FaultKind::RecordRejected
        );
        // The operator has to act, or nobody listens: that does not pass within a call or two.
        let definite = fault.whose == Whose::Operator || matches!(failure, Failure::NotConnected(_));
        self.failures += u32::from(!harmless);
        if !harmless && (definite || self.failures >= FAILURES_DOWN) {
            let why = match fault.kind {
                FaultKind::Unreachable | FaultKind::TimedOut => "does not answer",
                FaultKind::DestinationMissing => "does not exist",
                FaultKind::Unauthenticated => "refuses these credentials, or there are none",
                FaultKind::Unauthorized => "may not be written with these credentials",
                _ => "fails",
            };
            self.health = Health::Down(format!("stream {} {why}: {text}", self.stream));
        }
        self.log(fault, now, || text);
    }

    /// A record was refused in a call that was answered.
    pub(super) fn refused(&mut self, fault: Fault, code: &str, message: &str, now: Instant) {
        self.log(fault, now, || format!("{code}: {message}"));
    }

    /// `text` is asked for only if the line is written: a storm of refusals must not cost a text each.
    fn log(&mut self, fault: Fault, now: Instant, text: impl FnOnce() -> String) {
        let logged = &mut self.logged[fault.kind as usize];
        if logged.is_none_or(|at| now >= at + LOG_PAUSE) {
            *logged = Some(now);
            tracing::warn!(stream = self.stream, fault = fault.kind.name(), "kinesis: {}", text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_without_answer_is_no_outage_three_are_and_a_refused_password_is() {
        let now = Instant::now();
        let mut watch = Watch::new("s");
        let fail = |watch: &mut Watch, failure: Failure| watch.failed(&failure, failure.fault(), now);
        for _ in 0..2 {
            fail(&mut watch, Failure::TimedOut("late".to_owned()));
        }
        assert_eq!(watch.health(), Health::Unknown);
        watch.answered();
        for _ in 0..2 {
            fail(&mut watch, Failure::TimedOut("late".to_owned()));
        }
        assert_eq!(watch.health(), Health::Up);
        fail(&mut watch, Failure::Broken("cut".to_owned()));
        assert_eq!(watch.health(), Health::Down("stream s does not answer: cut".to_owned()));
        watch.answered();
        assert_eq!(watch.health(), Health::Up);
        let code = "ThrottlingException".to_owned();
        fail(&mut watch, Failure::Service { status: 400, code, message: String::new() });
        assert_eq!(watch.health(), Health::Up, "it works, and asks for less");
        fail(&mut watch, Failure::NotSent("no credentials".to_owned()));
        assert!(matches!(watch.health(), Health::Down(text) if text.contains("no credentials")));
    }
}
