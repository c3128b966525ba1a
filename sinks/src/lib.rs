//! What a sink is, and the sinks themselves.
//!
//! A sink takes sealed [`Batch`]es and gives every one of them back, exactly once, with a [`Delivery`]: the
//! truth about each record in it. Nothing in this crate decides whether to try again; a sink classifies what
//! happened ([`Fault`]) and the engine's lane decides.
//!
//! ```text
//!   lane ── submit(Submission { batch, records }) ──▶ Sink ──▶ Kafka │ file │ …
//!    ▲                                                  │
//!    └───────── poll() ── Settled { batch, delivery } ◀─┘      a batch is in one place at a time
//! ```
//!
//! Sinks are Cargo features: `null`, `file`, `kafka`, `kinesis`, `s3`; `kpl` is the format of aggregated Kinesis records by
//! itself; the feature `conformance` adds the contract of [`Sink`] as
//! test functions. Only a sink's `client.rs` names a foreign SDK, and no
//! foreign type appears in this crate's public interface.

#[cfg(any(feature = "kinesis", feature = "msk-iam", feature = "s3"))]
mod aws;
mod batch;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod delivery;
mod fault;
mod sink;
mod source;

#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kinesis")]
pub mod kinesis;
#[cfg(feature = "kpl")]
pub mod kpl;
#[cfg(feature = "null")]
pub mod null;
#[cfg(feature = "s3")]
pub mod s3;

#[cfg(any(feature = "kinesis", feature = "s3"))]
pub use aws::Credentials;
pub use batch::{Batch, NotABatch, Origin, Record, RecordTooLarge};
pub use delivery::Delivery;
pub use fault::{Fate, Fault, FaultKind, Retry, Whose};
pub use sink::{
    Capabilities, CheckReport, Gauge, Health, OpenError, Records, Settled, Sink, Submission, Wake,
};
pub use source::{Source, SourceError, StreamId};
