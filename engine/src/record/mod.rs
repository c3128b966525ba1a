//! Encoding of one record: JSON text, times and ids, written straight into the memory of a batch.
//!
//! Everything here is a plain function of its input: no socket, no clock, no allocation.

pub(crate) mod block;
pub mod escape;
pub mod rid;
pub mod timestamp;
pub mod writer;

pub use rid::{RequestId, RequestIds};
pub use timestamp::{Moment, Timestamps};
