//! Support code of the end-to-end tests: the real binary, spoken to as a client speaks to it, and what its sinks
//! hold afterwards.
//!
//! ```text
//!   Load ──HTTP──▶ Engine (a process) ──▶ files, Kafka, Kinesis, S3
//!    │                                        │
//!    ▼                                        ▼
//!   Ledger: what each id was answered      what is stored
//!    └──────────────▶ oracle ◀────────────────┘      was every answer true?
//! ```
//!
//! Knows the engine only from outside: its command line, its configuration, its sockets and its signals.

#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic is how a test reports, and a forgotten value is no danger here"
)]

pub mod command;
pub mod container_credentials;
pub mod driver;
pub mod engine;
pub mod files;
pub mod http;
pub mod kafka;
pub mod kinesis;
pub mod kinesis_proxy;
pub mod ledger;
pub mod load;
pub mod mount;
pub mod options;
pub mod oracle;
pub mod poll;
pub mod port;
pub mod record;
pub mod request;
pub mod s3;
pub mod s3_proxy;

pub use driver::Driver;
pub use engine::Engine;
pub use options::EngineOptions;
pub use poll::poll_until;
