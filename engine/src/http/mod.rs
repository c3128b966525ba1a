//! HTTP/1.1 (RFC 9112) as plain functions and state machines: no socket, no clock.

pub mod coding;
pub mod refusal;

pub use refusal::Refusal;
