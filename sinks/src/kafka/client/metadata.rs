//! What brokers say about themselves and the topic.

use std::ffi::c_int;

use rdkafka_sys as rd;

use super::{Code, code, lossy};

/// What the brokers know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Metadata {
    /// `host:port` of each broker.
    pub brokers: Vec<String>,
    /// Number of one of the brokers.
    pub any_broker: i32,
    /// The topic's error, if any.
    pub topic_code: Option<Code>,
    /// For each partition: whether it has a leader, its replicas, and how many are in sync.
    pub partitions: Vec<Partition>,
}

/// One partition of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Partition {
    pub has_leader: bool,
    pub replicas: usize,
    pub in_sync: usize,
}

impl Metadata {
    /// # Safety
    /// `raw` is librdkafka's answer, not destroyed yet.
    pub(super) unsafe fn copy(raw: &rd::rd_kafka_metadata) -> Self {
        // SAFETY: the counts belong to the arrays, or the arrays are not read.
        let (brokers, topics) =
            unsafe { (slice(raw.brokers, raw.broker_cnt), slice(raw.topics, raw.topic_cnt)) };
        // SAFETY: a broker's host is a C string.
        let name = |b: &rd::rd_kafka_metadata_broker| unsafe { format!("{}:{}", lossy(b.host), b.port) };
        let mut metadata = Self {
            brokers: brokers.iter().map(name).collect(),
            any_broker: brokers.first().map_or(-1, |broker| broker.id),
            ..Self::default()
        };
        if let Some(topic) = topics.first() {
            // SAFETY: reads the enumeration as the number that it is.
            let code = Code(unsafe { (&raw const topic.err).cast::<i32>().read() });
            metadata.topic_code = (code != code::NO_ERROR).then_some(code);
            // SAFETY: the count belongs to the array.
            let partitions = unsafe { slice(topic.partitions, topic.partition_cnt) };
            metadata.partitions = partitions
                .iter()
                .map(|p| Partition {
                    has_leader: p.leader >= 0,
                    replicas: usize::try_from(p.replica_cnt).unwrap_or(0),
                    in_sync: usize::try_from(p.isr_cnt).unwrap_or(0),
                })
                .collect();
        }
        metadata
    }
}

/// # Safety
/// `first` points to `count` values that live as long as the result is used, unless `count` is 0.
unsafe fn slice<'a, T>(first: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: the caller's promise.
        Ok(count) if count > 0 => unsafe { std::slice::from_raw_parts(first, count) },
        _ => &[],
    }
}
