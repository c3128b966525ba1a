//! A shard's side of a lane: the open batch, when it is sealed, and the batches that are on their way.
//!
//! ```text
//!            append                 seal: bytes, count, age, idle            returned
//!  free ───────────────▶ open ───────────────────────────────▶ in flight ─────────────▶ free
//!                         ▲                                        │
//!                         └── at most one                          └── at its deadline its waiters are told that
//!                                                                      nobody knows; the batch stays in flight
//! ```
//!
//! A batch is always in exactly one of these places, and there are never more than were made at the start: no free
//! batch means that the sink takes less than arrives, and the request is refused. That is the whole of
//! back-pressure.

mod feed;

pub use feed::{Feed, FeedLimits, Homecoming};
