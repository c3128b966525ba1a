//! What Kinesis and the SDK say, to [`Fault`].
//!
//! Retries: unlike Kafka's, this client tries nothing twice by itself; the lane does. A record whose fate is unknown
//! (a timeout, an internal failure) is tried again as well, since Kinesis has no way to ask: so a record can be stored
//! twice, and is never lost. That is Kinesis' own contract towards its producers (at least once).

pub(super) use crate::aws::Failure;
use crate::{Fate, Fault, FaultKind, Retry, Whose};

impl Failure {
    /// Whether the call was refused for what is in it: its size, or one of its records. Then others can do without
    /// the one, and it has to be found.
    pub(super) fn is_about_content(&self) -> bool {
        match self {
            Self::Service { status, code, .. } => {
                *status == 413
                    || matches!(
                        code.as_str(),
                        "ValidationException"
                            | "InvalidArgumentException"
                            | "SerializationException"
                            | "RequestEntityTooLargeException"
                    )
            }
            _ => false,
        }
    }

    /// The fault of every record of the call.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Service { status, message, .. } if self.is_about_content() => of_content(*status, message),
            Self::Service { status, code, .. } => of_code(code).unwrap_or_else(|| of_status(*status)),
            Self::TimedOut(_) => fault(FaultKind::TimedOut, Whose::Sink, Fate::Unknown),
            Self::NotConnected(_) => fault(FaultKind::Unreachable, Whose::Sink, Fate::NotStored),
            Self::Broken(_) => fault(FaultKind::Unreachable, Whose::Sink, Fate::Unknown),
            Self::NotSent(_) => fault(FaultKind::Unauthenticated, Whose::Operator, Fate::NotStored),
        }
    }
}

const fn fault(kind: FaultKind, whose: Whose, fate: Fate) -> Fault {
    Fault::new(kind, whose, Retry::Yes, fate)
}

/// The fault of a record alone in a call that was refused for its content.
fn of_content(status: u16, message: &str) -> Fault {
    let lower = message.to_ascii_lowercase();
    let too_large = status == 413
        || ["size", "length less than", "too large", "bytes", "exceed"]
            .iter()
            .any(|word| lower.contains(word));
    let kind = if too_large { FaultKind::RecordTooLarge } else { FaultKind::RecordRejected };
    Fault::new(kind, Whose::Client, Retry::No, Fate::NotStored)
}

fn of_status(status: u16) -> Fault {
    match status {
        429 => fault(FaultKind::Throttled, Whose::Sink, Fate::NotStored),
        503 => fault(FaultKind::NotEnoughReplicas, Whose::Sink, Fate::Unknown),
        500.. => fault(FaultKind::StorageFailed, Whose::Sink, Fate::Unknown),
        401 => fault(FaultKind::Unauthenticated, Whose::Operator, Fate::NotStored),
        403 => fault(FaultKind::Unauthorized, Whose::Operator, Fate::NotStored),
        // An answer that is none of Kinesis': a proxy's page, say.
        _ => fault(FaultKind::Internal, Whose::Operator, Fate::Unknown),
    }
}

/// The fault of an error code, of one record or of a call; `None` for one that nobody here knows.
fn of_code(code: &str) -> Option<Fault> {
    use FaultKind as Kind;
    let not_stored = |kind, whose| Some(fault(kind, whose, Fate::NotStored));
    match code {
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "KMSThrottlingException" => not_stored(Kind::Throttled, Whose::Sink),
        "InternalFailure" | "InternalFailureException" | "InternalServerError" | "InternalServiceError" => {
            Some(fault(Kind::StorageFailed, Whose::Sink, Fate::Unknown))
        }
        "ServiceUnavailable" | "ServiceUnavailableException" => {
            Some(fault(Kind::NotEnoughReplicas, Whose::Sink, Fate::Unknown))
        }
        "ResourceNotFoundException" => not_stored(Kind::DestinationMissing, Whose::Operator),
        // The stream is being created, updated or deleted.
        "ResourceInUseException" => not_stored(Kind::NotEnoughReplicas, Whose::Sink),
        "ExpiredTokenException"
        | "ExpiredToken"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "RequestInTheFuture"
        | "SignatureDoesNotMatch"
        | "OptInRequired" => not_stored(Kind::Unauthenticated, Whose::Operator),
        "AccessDeniedException" | "AccessDenied" | "KMSAccessDeniedException" | "NotAuthorized" => {
            not_stored(Kind::Unauthorized, Whose::Operator)
        }
        "KMSDisabledException" | "KMSInvalidStateException" | "KMSNotFoundException" | "KMSOptInRequired" => {
            not_stored(Kind::StorageFailed, Whose::Operator)
        }
        _ => None,
    }
}

/// The fault of one record that an answered call did not store.
pub(super) fn of_entry(code: &str) -> Fault {
    // A code that nobody here knows: not stored, says the API, but who knows why.
    of_code(code).unwrap_or(fault(FaultKind::Internal, Whose::Sink, Fate::Unknown))
}

/// An answer that does not account for a record: neither stored nor refused.
pub(super) const UNACCOUNTED: Fault = fault(FaultKind::Internal, Whose::Sink, Fate::Unknown);

/// A shard asks for less, or is known to.
pub(super) const THROTTLED: Fault = fault(FaultKind::Throttled, Whose::Sink, Fate::NotStored);

/// An aggregated record landed on a shard whose range does not hold this record of it: a consumer built on the KCL
/// would drop it. Stored all the same, so it can be there twice after the next attempt.
pub(super) const ASTRAY: Fault = fault(FaultKind::NotEnoughReplicas, Whose::Sink, Fate::Unknown);

/// Larger than the stream takes.
pub(super) const TOO_LARGE: Fault =
    Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);

/// The submission's time is over.
pub(super) const fn late(fate: Fate) -> Fault {
    Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, fate)
}

/// The process ends.
pub(super) const fn closing(fate: Fate) -> Fault {
    Fault::new(FaultKind::Closing, Whose::Sink, Retry::Client, fate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(status: u16, code: &str, message: &str) -> Failure {
        Failure::Service { status, code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn codes_have_their_kind_and_who_has_to_act() {
        use FaultKind as Kind;
        for (status, code, kind, whose, fate) in [
            (400, "ProvisionedThroughputExceededException", Kind::Throttled, Whose::Sink, Fate::NotStored),
            (400, "KMSThrottlingException", Kind::Throttled, Whose::Sink, Fate::NotStored),
            (400, "ExpiredTokenException", Kind::Unauthenticated, Whose::Operator, Fate::NotStored),
            (400, "InvalidSignatureException", Kind::Unauthenticated, Whose::Operator, Fate::NotStored),
            (400, "ResourceNotFoundException", Kind::DestinationMissing, Whose::Operator, Fate::NotStored),
            (400, "AccessDeniedException", Kind::Unauthorized, Whose::Operator, Fate::NotStored),
            (400, "KMSAccessDeniedException", Kind::Unauthorized, Whose::Operator, Fate::NotStored),
            (400, "KMSDisabledException", Kind::StorageFailed, Whose::Operator, Fate::NotStored),
            (500, "InternalFailure", Kind::StorageFailed, Whose::Sink, Fate::Unknown),
            (500, "", Kind::StorageFailed, Whose::Sink, Fate::Unknown),
            (503, "", Kind::NotEnoughReplicas, Whose::Sink, Fate::Unknown),
            (302, "", Kind::Internal, Whose::Operator, Fate::Unknown),
        ] {
            let found = service(status, code, "").fault();
            assert_eq!(found, Fault::new(kind, whose, Retry::Yes, fate), "{status} {code}");
        }
        assert_eq!(Failure::TimedOut(String::new()).fault().fate, Fate::Unknown);
        assert_eq!(Failure::NotConnected(String::new()).fault().fate, Fate::NotStored);
        assert_eq!(Failure::NotSent(String::new()).fault().kind, Kind::Unauthenticated);
        assert_eq!(of_entry("InternalFailure").fate, Fate::Unknown);
        assert_eq!(of_entry("NeverHeardOf").kind, Kind::Internal);
    }

    #[test]
    fn what_is_the_records_own_fault_is_never_tried_again() {
        let long = "Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than \
                    or equal to 1048576";
        let failure = service(400, "ValidationException", long);
        assert!(failure.is_about_content());
        assert_eq!(failure.fault(), TOO_LARGE);
        let failure = service(400, "InvalidArgumentException", "no");
        assert_eq!(failure.fault().kind, FaultKind::RecordRejected);
        assert_eq!(service(413, "", "").fault(), TOO_LARGE);
        assert!(!service(400, "ResourceNotFoundException", "").is_about_content());
        assert!(!Failure::TimedOut(String::new()).is_about_content());
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let message = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z";
        assert!(service(400, "InvalidSignatureException", message).text().contains("clock is wrong"));
        assert!(!service(400, "InvalidSignatureException", "no").text().contains("clock"));
    }
}
