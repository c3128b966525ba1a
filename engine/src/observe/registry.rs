//! All metrics of the process: made at start, handed out to their writers, read by the admin thread.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use super::lane::{LaneMetrics, LaneRecorder};
use super::latency::Distribution;
use super::outcome::Outcome;
use super::shard::{ShardMetrics, ShardRecorder};
use crate::config::{Settings, SinkKind};

/// A sink as metrics name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkName {
    /// Name in the configuration: the value of the label `sink`.
    pub name: String,
    /// `file`, `kafka`, …
    pub kind: &'static str,
}

/// One term of the start-up memory sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryShare {
    /// What the memory is for, snake case: the value of the label `owner`.
    pub owner: String,
    /// Its bound in bytes.
    pub bytes: u64,
}

/// How many of everything there are, and what they are called. Every label value in the metrics comes from here
/// or from an enum: their number is fixed at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of shards.
    pub shards: usize,
    /// Names of the routes, in the order of their indices.
    pub routes: Vec<String>,
    /// The sinks, in the order of their indices.
    pub sinks: Vec<SinkName>,
}

impl Shape {
    /// The shape of an engine with these settings and `shards` shards.
    #[must_use]
    pub fn of(settings: &Settings, shards: usize, journals: impl IntoIterator<Item = SinkName>) -> Self {
        let routes = settings.routes.iter().map(|route| route.name.clone()).collect();
        let sinks = settings
            .sinks
            .iter()
            .map(|sink| SinkName { name: sink.name.clone(), kind: kind_name(&sink.kind) })
            .chain(journals)
            .collect();
        Self { shards, routes, sinks }
    }
}

fn kind_name(kind: &SinkKind) -> &'static str {
    match kind {
        SinkKind::Null(_) => "null",
        SinkKind::File(_) => "file",
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(_) => "kafka",
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(_) => "kinesis",
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => "s3",
    }
}

/// A part and whether its recorder has been handed out.
#[derive(Debug)]
struct Part<T> {
    metrics: Arc<T>,
    taken: AtomicBool,
}

impl<T> Part<T> {
    fn new(metrics: T) -> Self {
        Self { metrics: Arc::new(metrics), taken: AtomicBool::new(false) }
    }

    fn take(&self) -> Option<Arc<T>> {
        (!self.taken.swap(true, Relaxed)).then(|| self.metrics.clone())
    }
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    shape: Shape,
    shards: Box<[Part<ShardMetrics>]>,
    lanes: Box<[Part<LaneMetrics>]>,
    started: SystemTime,
    /// The memory sum; known once the sinks are open.
    memory: OnceLock<Vec<MemoryShare>>,
}

impl Metrics {
    /// All metrics, at zero, of a process that started at `started`.
    #[must_use]
    pub fn new(shape: Shape, started: SystemTime) -> Arc<Self> {
        let (routes, sinks) = (shape.routes.len(), shape.sinks.len());
        Arc::new(Self {
            shards: (0..shape.shards).map(|_| Part::new(ShardMetrics::new(routes, sinks))).collect(),
            lanes: (0..sinks).map(|_| Part::new(LaneMetrics::new())).collect(),
            shape,
            started,
            memory: OnceLock::new(),
        })
    }

    /// The writer for shard number `shard`. `None` when there is no such shard or its writer was given out before:
    /// a second one would lose counts.
    #[must_use]
    pub fn shard_recorder(&self, shard: usize) -> Option<ShardRecorder> {
        self.shards.get(shard)?.take().map(ShardRecorder::new)
    }

    /// The writer for the lane of sink number `sink`. `None` as for [`Self::shard_recorder`].
    #[must_use]
    pub fn lane_recorder(&self, sink: usize) -> Option<LaneRecorder> {
        self.lanes.get(sink)?.take().map(LaneRecorder::new)
    }

    /// How many of everything there are.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Says what the memory sum is made of. Only the first call counts.
    pub fn set_memory(&self, memory: Vec<MemoryShare>) {
        let _ = self.memory.set(memory);
    }

    /// The memory sum; empty before it is known.
    #[must_use]
    pub fn memory(&self) -> &[MemoryShare] {
        self.memory.get().map_or(&[], Vec::as_slice)
    }

    /// When the process started.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// All shards, in the order of their indices.
    #[must_use]
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &ShardMetrics> {
        self.shards.iter().map(|part| part.metrics.as_ref())
    }

    /// All lanes with their sinks, in the order of their indices.
    #[must_use]
    pub fn lanes(&self) -> impl ExactSizeIterator<Item = (&SinkName, &LaneMetrics)> {
        self.shape.sinks.iter().zip(self.lanes.iter().map(|part| part.metrics.as_ref()))
    }

    /// Answers with this outcome, all shards and routes.
    #[must_use]
    pub fn answers(&self, outcome: Outcome) -> u64 {
        self.shards().map(|shard| shard.answers(outcome)).sum()
    }

    /// Request durations of all shards.
    #[must_use]
    pub fn request(&self) -> Distribution {
        let mut total = Distribution::durations();
        self.shards().for_each(|shard| shard.request().merge_into(&mut total));
        total
    }

    /// Acknowledgement durations of all shards.
    #[must_use]
    pub fn acknowledgement(&self) -> Distribution {
        let mut total = Distribution::durations();
        self.shards().for_each(|shard| shard.acknowledgement().merge_into(&mut total));
        total
    }
}
