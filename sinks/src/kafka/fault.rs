//! librdkafka's error codes to [`Fault`].
//!
//! `retry`: librdkafka has already retried what can be retried, for the whole delivery timeout. What comes back from
//! a report is therefore [`Retry::Client`], unless the record certainly never left and another attempt meets other
//! circumstances (a full queue, a neighbour's fault, a producer that is being replaced).
//!
//! `fate`: librdkafka keeps for each message whether a request that held it may have reached a broker, and never
//! takes a "possibly" back. That is the base, with two corrections towards [`Fate::Unknown`]: errors after which
//! a broker may have kept the record all the same ([`Code::is_in_doubt`]), which librdkafka calls "not persisted".
//! One gap remains, in the count only: a leader that steps down after it appended a record, and a retry that then
//! runs out of time, is reported as not stored. Such a record is [`Retry::Client`] like every one that timed out.

use super::client::{Code, code};
use crate::{Fate, Fault, FaultKind, Retry, Whose};

/// What librdkafka knows about a failed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It was in no request that may have reached a broker.
    Not,
    /// It may be stored.
    Possibly,
    /// A broker acknowledged it.
    Yes,
}

/// One delivery report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// librdkafka's code.
    pub code: Code,
    /// Where the message may be.
    pub persistence: Persistence,
    /// Whether the message was alone in its request to the broker, so that the request's error is its own.
    pub alone: bool,
    /// Whether the sink closes. If it doesn't, purged messages are those of a producer that failed for good.
    pub closing: bool,
}

/// The outcome of a message that librdkafka had taken.
pub(super) fn of_report(report: Report) -> Result<(), Fault> {
    let Report { code, persistence, alone, closing } = report;
    if code == code::NO_ERROR {
        // With acks=all success and "persisted" are the same; a record that has only one of them is in doubt.
        return match persistence {
            Persistence::Yes => Ok(()),
            _ => Err(Fault::new(FaultKind::Internal, Whose::Sink, Retry::Client, Fate::Unknown)),
        };
    }
    let certain = persistence == Persistence::Not && !code.is_in_doubt();
    let fate = if certain { Fate::NotStored } else { Fate::Unknown };
    let (kind, whose, retry) = match code {
        code::PURGE_QUEUE | code::PURGE_INFLIGHT if !closing => {
            (FaultKind::Internal, Whose::Sink, Retry::Yes)
        }
        _ if code.is_size() && !alone => (FaultKind::RecordTooLarge, Whose::Operator, Retry::Yes),
        _ => meaning(code),
    };
    // A record that may be stored is never sent again by the lane: it could be stored twice.
    let retry = if fate == Fate::Unknown && retry == Retry::Yes { Retry::Client } else { retry };
    Err(Fault::new(kind, whose, retry, fate))
}

/// The outcome of a message that librdkafka refused to take: it is certainly not stored.
pub(super) fn of_refusal(code: Code) -> Fault {
    let (kind, whose, retry) = meaning(code);
    Fault::new(kind, whose, retry, Fate::NotStored)
}

/// What happened, whose fault it is, and whether to try again.
pub(super) fn meaning(code: Code) -> (FaultKind, Whose, Retry) {
    use FaultKind as Kind;
    match code {
        code::QUEUE_FULL => (Kind::QueueFull, Whose::Sink, Retry::Yes),
        // Refused by a producer that is about to be replaced.
        code::FATAL => (Kind::Internal, Whose::Sink, Retry::Yes),
        _ if code.is_size() => (Kind::RecordTooLarge, Whose::Client, Retry::No),
        code::INVALID_DIFFERENT_RECORD => (Kind::RecordRejected, Whose::Operator, Retry::Yes),
        // What the brokers check beyond the size hangs on the topic's settings (a compacted topic wants keys, a
        // window for timestamps, a policy): changing them helps, changing the record does not.
        code::INVALID_RECORD
        | code::INVALID_TIMESTAMP
        | code::POLICY_VIOLATION
        | code::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | code::UNSUPPORTED_COMPRESSION_TYPE => (Kind::RecordRejected, Whose::Operator, Retry::Client),
        code::INVALID_MSG => (Kind::RecordRejected, Whose::Sink, Retry::Client),
        code::LOCAL_UNKNOWN_TOPIC
        | code::LOCAL_UNKNOWN_PARTITION
        | code::UNKNOWN_TOPIC_OR_PART
        | code::UNKNOWN_TOPIC_ID
        | code::TOPIC_EXCEPTION => (Kind::DestinationMissing, Whose::Operator, Retry::Client),
        code::LOCAL_AUTHENTICATION
        | code::LOCAL_SSL
        | code::SASL_AUTHENTICATION_FAILED
        | code::UNSUPPORTED_SASL_MECHANISM
        | code::ILLEGAL_SASL_STATE => (Kind::Unauthenticated, Whose::Operator, Retry::Client),
        code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => {
            (Kind::Unauthorized, Whose::Operator, Retry::Client)
        }
        code::NOT_ENOUGH_REPLICAS
        | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | code::LEADER_NOT_AVAILABLE
        | code::NOT_LEADER_FOR_PARTITION
        | code::REPLICA_NOT_AVAILABLE
        | code::FENCED_LEADER_EPOCH => (Kind::NotEnoughReplicas, Whose::Sink, Retry::Client),
        code::MSG_TIMED_OUT | code::LOCAL_TIMED_OUT | code::TIMED_OUT_QUEUE | code::REQUEST_TIMED_OUT => {
            (Kind::TimedOut, Whose::Sink, Retry::Client)
        }
        code::TRANSPORT
        | code::ALL_BROKERS_DOWN
        | code::RESOLVE
        | code::NETWORK_EXCEPTION
        | code::BROKER_NOT_AVAILABLE
        | code::COORDINATOR_LOAD_IN_PROGRESS
        | code::COORDINATOR_NOT_AVAILABLE => (Kind::Unreachable, Whose::Sink, Retry::Client),
        code::THROTTLING_QUOTA_EXCEEDED => (Kind::Throttled, Whose::Sink, Retry::Client),
        code::KAFKA_STORAGE_ERROR => (Kind::StorageFailed, Whose::Sink, Retry::Client),
        code::PURGE_QUEUE | code::PURGE_INFLIGHT | code::DESTROY => {
            (Kind::Closing, Whose::Sink, Retry::Client)
        }
        _ => (Kind::Internal, Whose::Sink, Retry::Client),
    }
}

impl Code {
    /// The broker or librdkafka found the record, or its request, too large.
    fn is_size(self) -> bool {
        matches!(self, code::MSG_SIZE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE | code::INVALID_MSG_SIZE)
    }

    /// Errors after which the record may be stored whatever librdkafka concluded: the broker failed half-way
    /// (unknown error, disk error), or it had appended the record before it answered (timeout, leader change, too
    /// few replicas after the append), or the sequence of requests is broken. So do a broker's codes that nobody here
    /// knows.
    fn is_in_doubt(self) -> bool {
        matches!(
            self,
            code::UNKNOWN
                | code::NETWORK_EXCEPTION
                | code::REQUEST_TIMED_OUT
                | code::KAFKA_STORAGE_ERROR
                | code::NOT_LEADER_FOR_PARTITION
                | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | code::OUT_OF_ORDER_SEQUENCE_NUMBER
                | code::UNKNOWN_PRODUCER_ID
                | code::PURGE_INFLIGHT
                | code::BAD_MSG
                | code::LOCAL_TIMED_OUT
        ) || self.0 > 0 && meaning(self).0 == FaultKind::Internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fate::{NotStored, Unknown};
    use FaultKind as Kind;
    use Persistence::{Not, Possibly, Yes};

    fn report(code: Code, persistence: Persistence) -> Result<(), Fault> {
        of_report(Report { code, persistence, alone: true, closing: true })
    }

    #[test]
    fn every_report_has_its_fault() {
        let (client, sink, operator) = (Whose::Client, Whose::Sink, Whose::Operator);
        let table = [
            (code::MSG_SIZE_TOO_LARGE, Not, Kind::RecordTooLarge, client, Retry::No, NotStored),
            (code::RECORD_LIST_TOO_LARGE, Not, Kind::RecordTooLarge, client, Retry::No, NotStored),
            (code::LOCAL_UNKNOWN_TOPIC, Not, Kind::DestinationMissing, operator, Retry::Client, NotStored),
            (
                code::LOCAL_UNKNOWN_PARTITION,
                Not,
                Kind::DestinationMissing,
                operator,
                Retry::Client,
                NotStored,
            ),
            (code::UNKNOWN_TOPIC_OR_PART, Not, Kind::DestinationMissing, operator, Retry::Client, NotStored),
            (code::LOCAL_AUTHENTICATION, Not, Kind::Unauthenticated, operator, Retry::Client, NotStored),
            (code::LOCAL_SSL, Not, Kind::Unauthenticated, operator, Retry::Client, NotStored),
            (code::LOCAL_SSL, Possibly, Kind::Unauthenticated, operator, Retry::Client, Unknown),
            (code::TOPIC_AUTHORIZATION_FAILED, Not, Kind::Unauthorized, operator, Retry::Client, NotStored),
            (code::NOT_ENOUGH_REPLICAS, Not, Kind::NotEnoughReplicas, sink, Retry::Client, NotStored),
            (
                code::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                Not,
                Kind::NotEnoughReplicas,
                sink,
                Retry::Client,
                Unknown,
            ),
            (code::NOT_LEADER_FOR_PARTITION, Not, Kind::NotEnoughReplicas, sink, Retry::Client, Unknown),
            (code::MSG_TIMED_OUT, Not, Kind::TimedOut, sink, Retry::Client, NotStored),
            (code::MSG_TIMED_OUT, Possibly, Kind::TimedOut, sink, Retry::Client, Unknown),
            (code::TIMED_OUT_QUEUE, Not, Kind::TimedOut, sink, Retry::Client, NotStored),
            (code::REQUEST_TIMED_OUT, Not, Kind::TimedOut, sink, Retry::Client, Unknown),
            (code::TRANSPORT, Not, Kind::Unreachable, sink, Retry::Client, NotStored),
            (code::TRANSPORT, Possibly, Kind::Unreachable, sink, Retry::Client, Unknown),
            (code::ALL_BROKERS_DOWN, Not, Kind::Unreachable, sink, Retry::Client, NotStored),
            (code::INVALID_RECORD, Not, Kind::RecordRejected, operator, Retry::Client, NotStored),
            (code::POLICY_VIOLATION, Not, Kind::RecordRejected, operator, Retry::Client, NotStored),
            (code::INVALID_DIFFERENT_RECORD, Not, Kind::RecordRejected, operator, Retry::Yes, NotStored),
            (code::THROTTLING_QUOTA_EXCEEDED, Not, Kind::Throttled, sink, Retry::Client, NotStored),
            (code::KAFKA_STORAGE_ERROR, Not, Kind::StorageFailed, sink, Retry::Client, Unknown),
            (code::PURGE_QUEUE, Not, Kind::Closing, sink, Retry::Client, NotStored),
            (code::PURGE_QUEUE, Possibly, Kind::Closing, sink, Retry::Client, Unknown),
            (code::PURGE_INFLIGHT, Possibly, Kind::Closing, sink, Retry::Client, Unknown),
            (code::DESTROY, Possibly, Kind::Closing, sink, Retry::Client, Unknown),
            (code::OUT_OF_ORDER_SEQUENCE_NUMBER, Possibly, Kind::Internal, sink, Retry::Client, Unknown),
            (code::UNKNOWN, Not, Kind::Internal, sink, Retry::Client, Unknown),
            (Code(12_345), Not, Kind::Internal, sink, Retry::Client, Unknown),
        ];
        for (code, persistence, kind, whose, retry, fate) in table {
            let expected = Err(Fault::new(kind, whose, retry, fate));
            assert_eq!(report(code, persistence), expected, "{code:?} {persistence:?}");
        }
    }

    #[test]
    fn only_a_persisted_record_is_delivered() {
        assert_eq!(report(code::NO_ERROR, Yes), Ok(()));
        for doubtful in [Not, Possibly] {
            assert_eq!(report(code::NO_ERROR, doubtful).unwrap_err().fate, Unknown);
        }
        assert_eq!(report(code::MSG_TIMED_OUT, Yes).unwrap_err().fate, Unknown);
    }

    #[test]
    fn a_neighbour_of_a_large_record_is_not_blamed() {
        let crowd = Report { code: code::MSG_SIZE_TOO_LARGE, persistence: Not, alone: false, closing: false };
        let fault = of_report(crowd).unwrap_err();
        assert_eq!(fault, Fault::new(Kind::RecordTooLarge, Whose::Operator, Retry::Yes, NotStored));
    }

    #[test]
    fn what_a_replaced_producer_never_sent_may_be_sent_again() {
        let purged = |code, persistence| {
            of_report(Report { code, persistence, alone: false, closing: false }).unwrap_err()
        };
        assert_eq!(purged(code::PURGE_QUEUE, Not).retry, Retry::Yes);
        assert_eq!(purged(code::PURGE_QUEUE, Possibly).retry, Retry::Client);
        let in_flight = purged(code::PURGE_INFLIGHT, Possibly);
        assert_eq!((in_flight.retry, in_flight.fate), (Retry::Client, Unknown));
    }

    #[test]
    fn a_refused_message_is_not_stored() {
        let full = of_refusal(code::QUEUE_FULL);
        assert_eq!(full, Fault::new(Kind::QueueFull, Whose::Sink, Retry::Yes, NotStored));
        assert_eq!(of_refusal(code::FATAL).retry, Retry::Yes);
        assert_eq!(of_refusal(code::MSG_SIZE_TOO_LARGE).retry, Retry::No);
        assert_eq!(of_refusal(code::LOCAL_UNKNOWN_TOPIC).kind, Kind::DestinationMissing);
    }

    #[test]
    fn nothing_in_doubt_is_ever_retried_by_the_lane() {
        for number in -200..200 {
            for closing in [true, false] {
                for alone in [true, false] {
                    for persistence in [Not, Possibly, Yes] {
                        let report = Report { code: Code(number), persistence, alone, closing };
                        if let Err(fault) = of_report(report) {
                            assert!(fault.fate == NotStored || fault.retry != Retry::Yes, "{report:?}");
                        }
                    }
                }
            }
        }
    }
}
