//! The sink's own figures.

use super::pack::Call;
use crate::{Fault, FaultKind, Gauge};

/// Counts since opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub calls: u64,
    pub calls_failed: u64,
    pub entries: u64,
    pub bytes: u64,
    pub records_delivered: u64,
    pub records_throttled: u64,
    pub records_failed: u64,
    pub landed_elsewhere: u64,
    pub astray: u64,
    pub decreases: u64,
    pub maps: u64,
}

impl Figures {
    /// A call went out.
    pub(super) fn sent(&mut self, call: &Call, bytes: usize) {
        self.calls += 1;
        self.entries += call.entries.len() as u64;
        self.bytes += bytes as u64;
    }

    /// Records failed.
    pub(super) fn failed(&mut self, fault: Fault, records: usize) {
        let records = records as u64;
        if fault.kind == FaultKind::Throttled {
            self.records_throttled += records;
        } else {
            self.records_failed += records;
        }
    }

    /// Publishes all of it; `levels` are calls on their way, records that wait, open shards, shards held back.
    pub(super) fn publish(&self, levels: [usize; 4], aggregating: bool, publish: &mut dyn FnMut(Gauge)) {
        let [calls, queued, shards, held] = levels;
        #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let mut tell = |name, help, value: u64, counter| {
            publish(Gauge { name, help, value: value as f64, counter });
        };
        tell("kinesis_calls_in_flight", "PutRecords calls on their way.", calls as u64, false);
        tell("kinesis_records_queued", "Records that wait to be sent.", queued as u64, false);
        tell("kinesis_shards_open", "Open shards of the stream; 0: not known.", shards as u64, false);
        tell(
            "kinesis_shards_held_back",
            "Shards written more slowly because they throttle.",
            held as u64,
            false,
        );
        tell("kinesis_aggregating", "1 while records are aggregated.", aggregating.into(), false);
        tell("kinesis_calls_total", "PutRecords calls.", self.calls, true);
        tell(
            "kinesis_calls_failed_total",
            "PutRecords calls that failed as a whole.",
            self.calls_failed,
            true,
        );
        tell("kinesis_entries_total", "Kinesis records sent, aggregated or not.", self.entries, true);
        tell("kinesis_sent_bytes_total", "Data and keys sent, before base64.", self.bytes, true);
        tell("kinesis_records_delivered_total", "Records stored.", self.records_delivered, true);
        tell(
            "kinesis_records_throttled_total",
            "Records refused or held back as too many.",
            self.records_throttled,
            true,
        );
        tell("kinesis_records_failed_total", "Records that failed otherwise.", self.records_failed, true);
        tell(
            "kinesis_landed_elsewhere_total",
            "Entries on another shard than foretold.",
            self.landed_elsewhere,
            true,
        );
        tell(
            "kinesis_records_astray_total",
            "Records of aggregates on a shard that does not take them.",
            self.astray,
            true,
        );
        tell("kinesis_pace_decreases_total", "Times that a shard's pace was lowered.", self.decreases, true);
        tell("kinesis_shard_maps_total", "Lists of shards taken in.", self.maps, true);
    }
}
