//! What the sink believes about its brokers, and log lines that can't flood.
//!
//! librdkafka reports trouble twice: as error events when it happens, and as failed records when their time is up.
//! The first say why, the second say whom it hurt. So a record that merely "timed out" gets the reason of the last
//! error event, if nothing has worked since.

use std::time::{Duration, Instant};

use super::client::{Code, code};
use super::fault::meaning;
use crate::{Fault, FaultKind, Health, Retry, Whose};

/// At most one line of a kind in this time.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Kinds of line that are told apart; beyond, they share one.
const LOG_KINDS_MAX: usize = 64;

/// Health, its reason, and the log's brake.
#[derive(Debug)]
pub(super) struct Watch {
    brokers: String,
    topic: String,
    health: Health,
    /// Why records time out, as far as error events told since the last success.
    cause: Option<(FaultKind, Whose)>,
    brake: Brake,
}

impl Watch {
    pub(super) fn new(brokers: &str, topic: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            health: Health::Unknown,
            cause: None,
            brake: Brake::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health.clone()
    }

    /// Records were confirmed.
    pub(super) fn delivered(&mut self) {
        if self.health == Health::Up && self.cause.is_none() {
            return;
        }
        if let Health::Down(_) = self.health {
            tracing::info!(topic = self.topic, "kafka works again");
        }
        self.health = Health::Up;
        self.cause = None;
    }

    /// A connection to a broker is up, which ends an outage that was one of connections.
    pub(super) fn connected(&mut self) {
        if matches!(self.cause, Some((FaultKind::Unreachable | FaultKind::Unauthenticated, _))) {
            self.delivered();
        }
    }

    /// An error event.
    pub(super) fn error(&mut self, code: Code, text: &str, now: Instant) {
        let (kind, whose, _) = meaning(code);
        let definite = match kind {
            FaultKind::Unauthenticated | FaultKind::Unauthorized | FaultKind::DestinationMissing => true,
            // One broker out of several may be away: only when all are, records can't be delivered.
            FaultKind::Unreachable => code == code::ALL_BROKERS_DOWN,
            _ => false,
        };
        // A broker that refuses the password also closes the connection: the first is the reason.
        let known = self.cause.is_some_and(|(known, _)| known == FaultKind::Unauthenticated);
        if definite && !(known && kind == FaultKind::Unreachable) {
            self.cause = Some((kind, whose));
            self.down(kind, text);
        }
        if self.brake.allows(code.name(), now) {
            tracing::warn!(topic = self.topic, brokers = self.brokers, error = code.name(), "kafka: {text}");
        }
    }

    /// A record failed. Returns the fault with the reason that is known.
    pub(super) fn failed(&mut self, fault: Fault, code: Code, text: &str, now: Instant) -> Fault {
        let fault = match self.cause {
            Some((kind, whose)) if fault.kind == FaultKind::TimedOut => Fault { kind, whose, ..fault },
            _ => fault,
        };
        // What is the record's own fault, and what the sink does by itself, says nothing about the brokers.
        let own = fault.retry == Retry::No
            || matches!(
                fault.kind,
                FaultKind::QueueFull
                    | FaultKind::Closing
                    | FaultKind::Internal
                    | FaultKind::RecordTooLarge
                    | FaultKind::RecordRejected
            );
        if !own && !matches!(self.health, Health::Down(_)) {
            self.down(fault.kind, text);
        }
        if self.brake.allows(fault.kind.name(), now) {
            tracing::warn!(
                topic = self.topic,
                fault = fault.kind.name(),
                error = code.name(),
                "kafka refused or lost a record: {text}"
            );
        }
        fault
    }

    /// A line of librdkafka's own log. Its errors come as events too, so the rest is for debugging.
    pub(super) fn log(&mut self, level: i32, facility: &str, text: &str, now: Instant) {
        const SYSLOG_WARNING: i32 = 4;
        if !self.brake.allows(facility, now) {
            return;
        }
        if level <= SYSLOG_WARNING {
            tracing::warn!(topic = self.topic, facility, "librdkafka: {text}");
        } else {
            tracing::debug!(topic = self.topic, facility, "librdkafka: {text}");
        }
    }

    fn down(&mut self, kind: FaultKind, text: &str) {
        let (brokers, topic) = (&self.brokers, &self.topic);
        self.health = Health::Down(match kind {
            FaultKind::Unreachable => format!("no broker of {brokers} can be reached: {text}"),
            FaultKind::Unauthenticated => format!("{brokers} refuse the connection's security: {text}"),
            FaultKind::DestinationMissing => format!("topic {topic} does not exist at {brokers}: {text}"),
            FaultKind::Unauthorized => format!("no permission to write to topic {topic}: {text}"),
            _ => format!("records for topic {topic} at {brokers} fail ({}): {text}", kind.name()),
        });
    }
}

/// Lets one line of a kind pass, then none for a while.
#[derive(Debug, Default)]
struct Brake(Vec<(String, Instant)>);

impl Brake {
    fn allows(&mut self, kind: &str, now: Instant) -> bool {
        let kind = if self.0.len() >= LOG_KINDS_MAX && self.0.iter().all(|(known, _)| known != kind) {
            "others"
        } else {
            kind
        };
        match self.0.iter_mut().find(|(known, _)| known == kind) {
            Some((_, last)) if now.duration_since(*last) < LOG_PAUSE => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                self.0.push((kind.to_owned(), now));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fate;

    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::NotStored);

    fn watch() -> Watch {
        Watch::new("k1:9092,k2:9092", "events")
    }

    fn down_text(watch: &Watch) -> String {
        match watch.health() {
            Health::Down(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_password_is_the_reason_even_though_all_brokers_are_down_too() {
        let (mut watch, now) = (watch(), Instant::now());
        assert_eq!(watch.health(), Health::Unknown);
        watch.error(code::TRANSPORT, "1/2 brokers are down", now);
        assert_eq!(watch.health(), Health::Unknown);
        watch.error(code::LOCAL_AUTHENTICATION, "SASL authentication failed", now);
        watch.error(code::ALL_BROKERS_DOWN, "2/2 brokers are down", now);
        assert!(down_text(&watch).contains("SASL authentication failed"));
        let fault = watch.failed(LATE, code::MSG_TIMED_OUT, "timed out", now);
        assert_eq!(
            (fault.kind, fault.whose, fault.fate),
            (FaultKind::Unauthenticated, Whose::Operator, Fate::NotStored)
        );
    }

    #[test]
    fn an_outage_names_the_brokers_and_ends_with_a_success_or_a_connection() {
        let (mut watch, now) = (watch(), Instant::now());
        watch.error(code::ALL_BROKERS_DOWN, "2/2 brokers are down", now);
        assert_eq!(down_text(&watch), "no broker of k1:9092,k2:9092 can be reached: 2/2 brokers are down");
        let fault = watch.failed(LATE, code::MSG_TIMED_OUT, "timed out", now);
        assert_eq!(fault.kind, FaultKind::Unreachable);
        watch.connected();
        assert_eq!(watch.health(), Health::Up);
        assert_eq!(watch.failed(LATE, code::MSG_TIMED_OUT, "timed out", now).kind, FaultKind::TimedOut);
        watch.connected();
        assert!(matches!(watch.health(), Health::Down(_)), "a connection says nothing about time-outs");
        watch.delivered();
        assert_eq!(watch.health(), Health::Up);
    }

    #[test]
    fn a_bad_record_does_not_take_the_sink_down() {
        let (mut watch, now) = (watch(), Instant::now());
        watch.delivered();
        let large = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
        assert_eq!(watch.failed(large, code::MSG_SIZE_TOO_LARGE, "too large", now), large);
        assert_eq!(watch.health(), Health::Up);
    }

    #[test]
    fn one_line_of_a_kind_in_ten_seconds() {
        let (mut brake, start) = (Brake::default(), Instant::now());
        assert!(brake.allows("a", start));
        assert!(brake.allows("b", start));
        assert!(!brake.allows("a", start + LOG_PAUSE / 2));
        assert!(brake.allows("a", start + LOG_PAUSE));
        for kind in 0..200 {
            brake.allows(&kind.to_string(), start);
        }
        assert!(brake.0.len() <= LOG_KINDS_MAX + 1, "kinds are bounded");
    }
}
