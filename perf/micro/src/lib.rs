//! What the micro-benchmarks run: the steps of an event's way through the pure core, one by one.
//!
//! Each case is made once, with everything it needs, and run as often as wanted. A run returns a number that depends on
//! all that was done, so that none of it can be left out by the compiler. The two benchmarks, by wall clock
//! (`benches/wall.rs`) and by instructions (`benches/instructions.rs`), run the same cases, through what the engine's
//! crate makes public anyway.

mod core;
mod handoff;
mod input;

pub use crate::core::{Chunked, Encode, Head, Query};
pub use crate::handoff::{Append, Ring};
