//! A lane as the shards see it.

use super::Gate;
use crate::handoff::LaneQueue;

/// Where a shard puts sealed batches for one sink, and what it asks before it takes records for it.
#[derive(Debug)]
pub struct LanePort {
    /// The way in.
    pub queue: LaneQueue,
    /// The breaker's face.
    pub gate: Gate,
}
