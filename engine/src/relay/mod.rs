//! From a journal to a lane: what was answered "journaled" is delivered here, in the background and across restarts.
//!
//! ```text
//!   journal ──read──▶ Relay ── Sealed (patient) ──▶ lane ──▶ sink
//!      ▲               │ ▲                            │
//!      └─ delivered ───┘ └──────── Returned ◀─────────┘
//! ```
//!
//! A relay is one more owner of batches beside the shards, with a number behind theirs. It promises:
//!
//! - A batch is reported delivered to the journal only when the sink has confirmed each of its records, or when a
//!   record that the sink refuses for good has been set aside in a file.
//! - Batches of one stream (one shard's) are delivered in their order: one at a time is under way.
//! - Live traffic comes first: while batches of shards wait in the lane, the relay holds back, but never for longer
//!   than [`state::PATIENCE`], so that it is not starved either.
//!
//! The lane tries a patient batch again for as long as the process runs, so an outage needs nothing here.

mod rejected;
pub mod state;
pub mod thread;

pub(crate) use rejected::REJECTED;
pub use state::{Relay, RelayLimits};
pub use thread::{RelayHandle, RelayThread};
