//! What S3 and the SDK say, to [`Fault`] ("Error responses" in the API reference).
//!
//! Nearly everything can be tried again: what the operator has to mend passes when it is mended, and an object has one
//! name for all attempts, so that a second success changes nothing. What can't: an upload that S3 does not know any
//! more has to be made anew ([`is_gone`]).

use crate::aws::Failure;
use crate::{Fate, Fault, FaultKind, Retry, Whose};

const fn fault(kind: FaultKind, whose: Whose, fate: Fate) -> Fault {
    Fault::new(kind, whose, Retry::Yes, fate)
}

/// The fault of every record of an object that such a call was to store.
pub(super) fn of(failure: &Failure) -> Fault {
    match failure {
        Failure::Service { status, code, .. } => of_code(code).unwrap_or_else(|| of_status(*status)),
        Failure::TimedOut(_) => fault(FaultKind::TimedOut, Whose::Sink, Fate::Unknown),
        Failure::NotConnected(_) => fault(FaultKind::Unreachable, Whose::Sink, Fate::NotStored),
        Failure::Broken(_) => fault(FaultKind::Unreachable, Whose::Sink, Fate::Unknown),
        Failure::NotSent(_) => fault(FaultKind::Unauthenticated, Whose::Operator, Fate::NotStored),
    }
}

/// The upload is not there any more: completed by an attempt whose answer was lost, aborted by a lifecycle rule, or its
/// parts are not those that were named.
pub(super) fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::Service { code, .. }
        if matches!(code.as_str(), "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder"))
}

/// What was to be completed is refused for what it is: its checksum, say. The same again would be refused again.
pub(super) fn is_refused(failure: &Failure) -> bool {
    matches!(failure, Failure::Service { status: 400, code, .. } if code == "BadDigest" || of_code(code).is_none())
}

/// This caller may not ask: there is no right to read.
pub(super) fn is_denied(failure: &Failure) -> bool {
    let found = of(failure);
    found.kind == FaultKind::Unauthorized
}

fn of_status(status: u16) -> Fault {
    match status {
        429 => fault(FaultKind::Throttled, Whose::Sink, Fate::NotStored),
        503 => fault(FaultKind::NotEnoughReplicas, Whose::Sink, Fate::Unknown),
        500.. => fault(FaultKind::StorageFailed, Whose::Sink, Fate::Unknown),
        401 => fault(FaultKind::Unauthenticated, Whose::Operator, Fate::NotStored),
        403 => fault(FaultKind::Unauthorized, Whose::Operator, Fate::NotStored),
        // A redirect is to another region's bucket.
        404 | 301 | 307 => fault(FaultKind::DestinationMissing, Whose::Operator, Fate::NotStored),
        // The rest is none of S3's answers: a proxy's page, say.
        _ => fault(FaultKind::Internal, Whose::Operator, Fate::Unknown),
    }
}

/// The fault of an error code; `None` for one that nobody here knows.
fn of_code(code: &str) -> Option<Fault> {
    use FaultKind as Kind;
    let not_stored = |kind, whose| Some(fault(kind, whose, Fate::NotStored));
    match code {
        "SlowDown"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "BandwidthLimitExceeded"
        | "KMS.ThrottlingException" => not_stored(Kind::Throttled, Whose::Sink),
        "InternalError" | "InternalFailure" => Some(fault(Kind::StorageFailed, Whose::Sink, Fate::Unknown)),
        "ServiceUnavailable" | "503" => Some(fault(Kind::NotEnoughReplicas, Whose::Sink, Fate::Unknown)),
        // The body did not come whole, or not in time: it goes again.
        "RequestTimeout"
        | "IncompleteBody"
        | "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch"
        | "OperationAborted"
        | "ConditionalRequestConflict" => not_stored(Kind::Unreachable, Whose::Sink),
        // Redirects: the bucket is elsewhere, and the region has to be changed.
        "NoSuchBucket"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => not_stored(Kind::DestinationMissing, Whose::Operator),
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "TokenRefreshRequired"
        | "CredentialsNotSupported"
        | "NotSignedUp" => not_stored(Kind::Unauthenticated, Whose::Operator),
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidBucketOwnerAWSAccountID"
        | "KMS.AccessDeniedException"
        | "AccessControlListNotSupported" => not_stored(Kind::Unauthorized, Whose::Operator),
        "KMS.DisabledException"
        | "KMS.InvalidStateException"
        | "KMS.KMSInvalidStateException"
        | "KMS.NotFoundException"
        | "InvalidObjectState"
        | "QuotaExceeded" => not_stored(Kind::StorageFailed, Whose::Operator),
        _ => None,
    }
}

/// A hint for the operator, beyond what S3 says.
pub(super) fn hint(failure: &Failure) -> &'static str {
    match failure {
        // An answer to HEAD has no body, and so no code.
        Failure::Service { code, status, .. } => match code.as_str() {
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
                " (the bucket is in another region: set the sink's region)"
            }
            "" if matches!(status, 301 | 307) => " (the bucket is in another region: set the sink's region)",
            "" if *status == 404 => " (make the bucket, or set the sink's bucket)",
            "NoSuchBucket" => " (make the bucket, or set the sink's bucket)",
            "AccessDenied" => " (the role needs s3:PutObject and s3:AbortMultipartUpload on the prefix)",
            _ => "",
        },
        Failure::NotSent(_) => {
            " (no credentials or no region: set AWS_REGION and see the SDK's credential chain)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(status: u16, code: &str) -> Failure {
        Failure::Service { status, code: code.to_owned(), message: String::new() }
    }

    #[test]
    fn codes_have_their_kind_and_who_has_to_act() {
        use FaultKind as Kind;
        for (status, code, kind, whose, fate) in [
            (503, "SlowDown", Kind::Throttled, Whose::Sink, Fate::NotStored),
            (500, "InternalError", Kind::StorageFailed, Whose::Sink, Fate::Unknown),
            (200, "InternalError", Kind::StorageFailed, Whose::Sink, Fate::Unknown),
            (503, "", Kind::NotEnoughReplicas, Whose::Sink, Fate::Unknown),
            (400, "BadDigest", Kind::Unreachable, Whose::Sink, Fate::NotStored),
            (404, "NoSuchBucket", Kind::DestinationMissing, Whose::Operator, Fate::NotStored),
            (301, "PermanentRedirect", Kind::DestinationMissing, Whose::Operator, Fate::NotStored),
            (400, "ExpiredToken", Kind::Unauthenticated, Whose::Operator, Fate::NotStored),
            (403, "AccessDenied", Kind::Unauthorized, Whose::Operator, Fate::NotStored),
            (403, "RequestTimeTooSkewed", Kind::Unauthenticated, Whose::Operator, Fate::NotStored),
            (403, "", Kind::Unauthorized, Whose::Operator, Fate::NotStored),
            (302, "", Kind::Internal, Whose::Operator, Fate::Unknown),
        ] {
            assert_eq!(
                of(&service(status, code)),
                Fault::new(kind, whose, Retry::Yes, fate),
                "{status} {code}"
            );
        }
        assert_eq!(of(&Failure::TimedOut(String::new())).fate, Fate::Unknown);
        assert_eq!(of(&Failure::Broken(String::new())).fate, Fate::Unknown);
        assert_eq!(of(&Failure::NotConnected(String::new())).fate, Fate::NotStored);
        assert_eq!(of(&Failure::NotSent(String::new())).kind, Kind::Unauthenticated);
    }

    #[test]
    fn an_upload_that_is_gone_is_told_from_an_object_that_is() {
        assert!(is_gone(&service(404, "NoSuchUpload")));
        assert!(is_gone(&service(400, "InvalidPart")));
        assert!(!is_gone(&service(404, "NoSuchKey")));
        assert!(is_refused(&service(400, "InvalidRequest")) && is_refused(&service(400, "BadDigest")));
        assert!(!is_refused(&service(400, "ExpiredToken")) && !is_refused(&service(500, "")));
        assert!(is_denied(&service(403, "")));
        assert!(!is_denied(&service(403, "ExpiredToken")));
    }
}
