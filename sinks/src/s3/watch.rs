//! Health, figures, and log lines that can't flood.

use std::time::{Duration, Instant};

use super::encode::Content;
use super::fault;
use crate::aws::Failure;
use crate::{Fault, FaultKind, Gauge, Health, Whose};

/// At most one line of a kind in this time.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Calls in a row that fail before the bucket counts as down: one that fails by itself is tried again, and no reason to
/// refuse others.
const FAILURES_DOWN: u32 = 3;

/// What a sink or a shipper believes about its bucket, and what it has done.
#[derive(Debug)]
pub(super) struct Watch {
    bucket: String,
    health: Health,
    failures: u32,
    logged: [Option<Instant>; FaultKind::ALL.len()],
    pub figures: Figures,
}

/// Counts since opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub calls: u64,
    pub calls_failed: u64,
    pub objects: u64,
    pub records: u64,
    pub raw_bytes: u64,
    pub bytes: u64,
    pub renamed: u64,
    pub doubtful: u64,
    pub manifests: u64,
}

impl Watch {
    pub(super) fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            health: Health::Unknown,
            failures: 0,
            logged: [None; FaultKind::ALL.len()],
            figures: Figures::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health.clone()
    }

    /// A call did what it was to do.
    pub(super) fn worked(&mut self) {
        self.figures.calls += 1;
        self.failures = 0;
        if let Health::Down(_) = self.health {
            tracing::info!(bucket = self.bucket, "s3 works again");
        }
        if self.health != Health::Up {
            self.health = Health::Up;
        }
    }

    /// A call failed.
    pub(super) fn failed(&mut self, call: &str, failure: &Failure, now: Instant) -> Fault {
        self.figures.calls += 1;
        self.figures.calls_failed += 1;
        let found = fault::of(failure);
        let harmless = found.kind == FaultKind::Throttled || fault::is_gone(failure);
        // The operator has to act, or nobody listens: that does not pass within a call or two.
        let definite = found.whose == Whose::Operator || matches!(failure, Failure::NotConnected(_));
        self.failures += u32::from(!harmless);
        let text = || format!("{call}: {}{}", failure.text(), fault::hint(failure));
        if !harmless && (definite || self.failures >= FAILURES_DOWN) {
            let why = match found.kind {
                FaultKind::Unreachable | FaultKind::TimedOut => "does not answer",
                FaultKind::DestinationMissing => "is not there",
                FaultKind::Unauthenticated => "refuses these credentials, or there are none",
                FaultKind::Unauthorized => "may not be written with these credentials",
                _ => "fails",
            };
            self.health = Health::Down(format!("bucket {} {why}: {}", self.bucket, text()));
        }
        let logged = &mut self.logged[found.kind as usize];
        if logged.is_none_or(|at| now >= at + LOG_PAUSE) {
            *logged = Some(now);
            tracing::warn!(bucket = self.bucket, fault = found.kind.name(), "s3: {}", text());
        }
        found
    }

    /// An object is in the bucket.
    pub(super) fn stored(&mut self, content: &Content) {
        self.figures.objects += 1;
        self.figures.records += content.records;
        self.figures.raw_bytes += content.raw_bytes;
        self.figures.bytes += content.bytes;
    }

    /// Publishes the counts.
    pub(super) fn publish(&self, publish: &mut dyn FnMut(Gauge)) {
        let figures = &self.figures;
        #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let mut tell = |name, help, value: u64| {
            publish(Gauge { name, help, value: value as f64, counter: true });
        };
        tell("s3_calls_total", "Calls to S3.", figures.calls);
        tell("s3_calls_failed_total", "Calls to S3 that failed.", figures.calls_failed);
        tell("s3_objects_total", "Objects of records stored.", figures.objects);
        tell("s3_records_total", "Records in them.", figures.records);
        tell("s3_raw_bytes_total", "Bytes of those records before compression.", figures.raw_bytes);
        tell("s3_stored_bytes_total", "Bytes of those objects.", figures.bytes);
        tell(
            "s3_objects_renamed_total",
            "Objects made anew because their hour was over, or their upload gone.",
            figures.renamed,
        );
        tell(
            "s3_objects_in_doubt_total",
            "Of those, how many may be there under the old name as well.",
            figures.doubtful,
        );
        tell("s3_manifests_total", "Accounts of hours stored.", figures.manifests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(status: u16, code: &str) -> Failure {
        Failure::Service { status, code: code.to_owned(), message: "m".to_owned() }
    }

    #[test]
    fn one_failure_is_no_outage_three_are_and_a_missing_bucket_is() {
        let now = Instant::now();
        let mut watch = Watch::new("b");
        for _ in 0..2 {
            watch.failed("PutObject", &service(500, "InternalError"), now);
        }
        assert_eq!(watch.health(), Health::Unknown);
        watch.failed("PutObject", &Failure::TimedOut("late".to_owned()), now);
        assert_eq!(watch.health(), Health::Down("bucket b does not answer: PutObject: late".to_owned()));
        watch.worked();
        assert_eq!(watch.health(), Health::Up);
        for _ in 0..5 {
            watch.failed("PutObject", &service(503, "SlowDown"), now);
        }
        assert_eq!(watch.health(), Health::Up, "it works, and asks for less");
        watch.failed("PutObject", &service(404, "NoSuchBucket"), now);
        assert!(matches!(watch.health(), Health::Down(text) if text.contains("make the bucket")));
    }
}
