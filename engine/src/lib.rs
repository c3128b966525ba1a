//! Millrun: events in over HTTP, out to Kafka or local files, and an answer that is true.
//!
//! # One event's life
//!
//! 1. A connection is accepted by one [`shard`]: one thread, one core, its own listener, buffers and batches.
//! 2. Its bytes are scanned, parsed and framed by [`http`], which knows neither sockets nor clocks.
//! 3. The path names a route, the route a [`protocol`]: it turns the request into records ([`record`]) and writes
//!    them straight into the arena of the open [`batch`]. That is the one copy that the body sees.
//! 4. The sealed batch crosses to its [`lane`] by a bounded queue ([`handoff`]). No free batch means 503: that is
//!    the whole of back-pressure.
//! 5. The lane's thread hands it to the sink, tries again what may be tried again, and sends it back with a
//!    `Delivery`: the outcome of every record in it.
//! 6. The shard wakes the requests of that batch. Only now does the first byte of an answer leave.
//!
//! # What an answer promises
//!
//! | answer | promise |
//! | --- | --- |
//! | 200, route with `ack = "delivered"` | the sink confirmed every record of the request |
//! | 200, route with `ack = "accepted"` | the records are in this process's memory, and nowhere else |
//! | 503 `delivery_unknown` | nobody knows; a retry may store the event a second time |
//! | any other 503, 408, 500 | not stored; a retry can help |
//! | other 4xx | not stored; a retry can't help |

#![cfg_attr(
    not(all(feature = "kafka", feature = "kinesis", feature = "s3")),
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "the sinks share code that not each of them uses"
    )
)]

pub mod admin;
pub mod apps;
pub mod batch;
pub mod cli;
pub mod config;
pub mod engine;
pub mod handoff;
pub mod host;
pub mod http;
pub mod journal;
pub mod lane;
pub mod limits;
pub mod memory;
pub mod observe;
pub mod protocol;
pub mod record;
pub mod relay;
pub mod shard;
#[cfg(feature = "s3")]
pub mod shipping;
