//! From sealed batch to delivery. One lane per sink: it decides what is tried again and when, and whether the
//! sink is worth trying at all.
//!
//! ```text
//!             accept                submit                       settled
//!  Sealed ──▶ held back (at capacity) ──▶ sink ──────────────────────┬─▶ all decided ─▶ Returned
//!                                          ▲                        │
//!                                          └── waiting (backoff) ◀──┘ some may be tried again
//! ```
//!
//! [`Lane`] is the state machine: it is given the time, the sink and a seed, so that a simulation can run it.
//! [`thread`] is the shell that sleeps, wakes and moves batches between the queues.

mod breaker;
mod flight;
mod gate;
mod port;
mod retry;
mod state;
pub mod thread;

pub use breaker::Breaker;
pub use gate::{Admission, Gate};
pub use port::LanePort;
pub use retry::Backoff;
pub use state::{Lane, LaneEvents, LaneLimits};
