//! What crosses threads: sealed batches out to a lane, decided ones back to their shard.
//!
//! ```text
//!  shard ── Sealed ──▶ LaneQueue (bounded, crossbeam) ──▶ lane thread        wake: unpark
//!  shard ◀─ Returned ─ ReturnRing (bounded, crossbeam) ◀─ lane thread        wake: Doorbell, one byte
//! ```
//!
//! Every queue is as long as there are batches that can be in it, so a push never fails and never waits: a batch
//! is a token. The queues are crossbeam's; ours is the doorbell, whose protocol is tested under loom.

mod doorbell;
mod lane_queue;
mod return_ring;

pub use doorbell::Doorbell;
pub use lane_queue::{LaneQueue, Sealed};
pub use return_ring::{ReturnRing, Returned};
