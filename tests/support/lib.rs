//! Support code of the end-to-end tests.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic is how a test reports, and a forgotten value is no danger here"
)]

pub mod kafka;
pub mod poll;
pub mod port;

pub use poll::poll_until;
