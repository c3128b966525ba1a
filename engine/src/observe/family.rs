//! Every metric's name, type, labels and help, in one table. `docs/metrics.md` is checked against it by a test.
//!
//! Labels take their values from enums and from the configuration only, never from a request: the number of time
//! series is fixed at start.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Name without unit and without the suffix that its type adds.
    pub name: &'static str,
    /// Unit: the next part of the name.
    pub unit: Option<Unit>,
    /// Type, which adds `_total` (counter) or `_info` (info).
    pub kind: MetricType,
    /// The labels of each of its samples, `le` of histograms left out.
    pub labels: &'static [&'static str],
    /// One line for people.
    pub help: &'static str,
}

impl Family {
    /// The name under which its samples are found; of a histogram without `_bucket`, `_sum`, `_count`.
    #[must_use]
    pub fn full_name(&self) -> String {
        let suffix = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        match &self.unit {
            Some(unit) => format!("{}_{}{suffix}", self.name, unit.as_str()),
            None => format!("{}{suffix}", self.name),
        }
    }
}

/// Declares the families as statics and `ALL`, the list of them.
macro_rules! families {
    ($($ident:ident = $kind:ident $name:literal $(in $unit:ident)? [$($label:literal),*] $help:literal;)+) => {
        $(#[allow(clippy::doc_markdown, reason = "the help is shown as it is")]
        #[doc = $help] pub static $ident: Family = Family {
            name: $name,
            unit: families!(@unit $($unit)?),
            kind: MetricType::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every family, in the order in which they are rendered.
        pub static ALL: &[&Family] = &[$(&$ident),+];
    };
    (@unit) => { None };
    (@unit $unit:ident) => { Some(Unit::$unit) };
}

families! {
    BUILD = Info "millrun_build" ["version"]
        "Version of the engine.";
    START_TIME = Gauge "millrun_start_time" in Seconds []
        "When the process started, in seconds since 1970 UTC.";
    RESIDENT_MEMORY = Gauge "process_resident_memory" in Bytes []
        "Resident memory of the process.";
    OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors of the process.";
    CPU = Counter "process_cpu" in Seconds []
        "User and system CPU time of the process.";
    SHARD_CPU = Counter "millrun_shard_cpu" in Seconds ["shard"]
        "CPU time of each shard's thread; its rate is the share of time that the shard works.";
    MEMORY_BUDGET = Gauge "millrun_memory_budget" in Bytes ["owner"]
        "Bound on memory by what it is for: the terms of the sum checked at start.";

    ANSWERS = Counter "millrun_answers" ["route", "status", "reason"]
        "Requests answered; an empty route means that the request matched none.";
    SHARD_ANSWERS = Counter "millrun_shard_answers" ["shard", "status"]
        "Requests answered, by shard.";
    PROBES = Counter "millrun_probes" ["kind"]
        "Answers on the ping path and on /health of the data port; they count in no other metric.";
    REQUEST_DURATION = Histogram "millrun_request_duration" in Seconds []
        "First byte of a request's head to the last byte of its answer.";
    ACK_DURATION = Histogram "millrun_acknowledgement_duration" in Seconds []
        "Record appended to a batch until its outcome was known.";
    RECEIVED = Counter "millrun_received" in Bytes ["shard"]
        "Body bytes received, before decoding.";
    SENT = Counter "millrun_sent" in Bytes ["shard"]
        "Bytes of answers sent, heads included.";

    CONNECTIONS_OPEN = Gauge "millrun_connections_open" ["shard"]
        "Connections open now.";
    CONNECTIONS_ACCEPTED = Counter "millrun_connections_accepted" ["shard"]
        "Connections accepted.";
    CONNECTIONS_CLOSED = Counter "millrun_connections_closed" ["reason"]
        "Connections closed.";

    ACCEPTED_RECORDS = Counter "millrun_accepted_records" ["route"]
        "Records encoded into a batch; whether they were stored is in millrun_sink_delivered_records_total.";
    ACCEPTED_BYTES = Counter "millrun_accepted" in Bytes ["route"]
        "Encoded bytes of accepted records.";
    BATCHES_SEALED = Counter "millrun_batches_sealed" ["sink", "reason"]
        "Batches sealed, by what sealed them.";
    BATCH_RECORDS = Histogram "millrun_batch_records" ["sink"]
        "Records in a sealed batch.";
    BATCHES_FREE = Gauge "millrun_batches_free" ["shard", "sink"]
        "Batches that nobody uses; at 0 requests are answered 503 overloaded.";
    BATCHES_OPEN = Gauge "millrun_batches_open" ["shard", "sink"]
        "Batches that records are being appended to.";
    LATE_DELIVERIES = Counter "millrun_late_deliveries" ["sink"]
        "Records delivered after their request was answered 503: duplicates where clients retried.";
    LOST_AFTER_ANSWER = Counter "millrun_lost_after_answer" ["sink"]
        "Records of routes with ack = accepted that were answered 200 and then failed for good.";
    UNKNOWN_DELIVERIES = Counter "millrun_unknown_deliveries" ["sink"]
        "Records whose fate nobody knows; their requests were answered 503.";

    SUBMITTED_BATCHES = Counter "millrun_sink_submitted_batches" ["sink"]
        "Batches given to the sink, first attempts only.";
    SUBMITTED_RECORDS = Counter "millrun_sink_submitted_records" ["sink"]
        "Records given to the sink, first attempts only.";
    DELIVERED_BATCHES = Counter "millrun_sink_delivered_batches" ["sink"]
        "Batches of which every record was delivered.";
    DELIVERED_RECORDS = Counter "millrun_sink_delivered_records" ["sink"]
        "Records that the sink confirmed.";
    FAILED_BATCHES = Counter "millrun_sink_failed_batches" ["sink"]
        "Batches of which at least one record was given up.";
    FAILED_RECORDS = Counter "millrun_sink_failed_records" ["sink", "kind"]
        "Records given up, by the kind of the last fault.";
    RETRIES = Counter "millrun_sink_retries" ["sink", "kind"]
        "Batches submitted again, by the kind of fault that made it necessary.";
    QUEUE = Gauge "millrun_sink_queue_batches" ["sink"]
        "Batches that wait in the lane, those between two attempts included.";
    IN_FLIGHT = Gauge "millrun_sink_in_flight_batches" ["sink"]
        "Batches submitted and not settled.";
    SINK_DURATION = Histogram "millrun_sink_duration" in Seconds ["sink"]
        "Batch submitted to batch settled, each attempt.";
    BREAKER = Gauge "millrun_sink_breaker_state" ["sink"]
        "Circuit breaker: 0 closed, 1 half open, 2 open.";
    BREAKER_OPENINGS = Counter "millrun_sink_breaker_openings" ["sink"]
        "Times that the circuit breaker opened.";
    SINK_HEALTH = Gauge "millrun_sink_health" ["sink", "state"]
        "1 for the state that the sink is in (up, down, unknown), 0 for the others.";
}
