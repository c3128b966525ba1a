//! Millrun: events in over HTTP, out to Kafka or local files, and an answer that is true.

pub mod admin;
pub mod batch;
pub mod config;
pub mod handoff;
pub mod http;
pub mod lane;
pub mod limits;
pub mod observe;
pub mod protocol;
pub mod record;
pub mod shard;
