//! `check --connect`: asks for the bucket. Writes nothing.

use std::time::Duration;

use super::options::Options;
use super::{client, fault, layout};
use crate::{CheckReport, Fate, Fault, FaultKind, Retry, Whose};

/// Asks S3 about the bucket. Blocks for at most about `timeout`. Needs the right `s3:ListBucket`; without it the bucket
/// may still take objects, which the report says.
///
/// # Errors
/// [`FaultKind::DestinationMissing`] when there is no such bucket or it is in another region,
/// [`FaultKind::Unauthenticated`] for credentials, [`FaultKind::Unreachable`] and [`FaultKind::TimedOut`] for the
/// network, [`FaultKind::Internal`] (whose: operator) when the options can't work; the log has the text.
pub fn check(options: &Options, timeout: Duration) -> CheckReport {
    if let Some(problem) = super::problems(options).into_iter().next() {
        tracing::error!("s3: {problem}");
        return Err(Fault::new(FaultKind::Internal, Whose::Operator, Retry::No, Fate::NotStored));
    }
    let prefix = &options.prefix;
    let example = layout::suffix(options.compression);
    let place = format!("objects: {prefix}year=…/month=…/day=…/hour=…/<epoch>-<uuid>{example}");
    match client::head_bucket(options, timeout) {
        Ok(region) => {
            let region = region.map_or_else(String::new, |region| format!(" in {region}"));
            Ok(vec![format!("bucket {}{region}: there", options.bucket), place])
        }
        Err(failure) if fault::is_denied(&failure) => Ok(vec![
            format!(
                "bucket {}: may not be looked at ({}); whether objects may be put is not known: the role needs \
                 s3:PutObject and s3:AbortMultipartUpload on the prefix, and s3:GetObject with s3:ListBucket so that a \
                 restart can tell what is stored",
                options.bucket,
                failure.text()
            ),
            place,
        ]),
        Err(failure) => {
            tracing::error!("s3: bucket {}: {}{}", options.bucket, failure.text(), fault::hint(&failure));
            Err(fault::of(&failure))
        }
    }
}
