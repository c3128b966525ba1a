//! The admin plane: health, readiness, metrics, live page. Its own port, its own thread.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | live page for people |
//! | `/health` | 200 while the process lives |
//! | `/ready` | 200 while requests should be sent here, else 503 with the reason |
//! | `/metrics` | `OpenMetrics` or Prometheus text |
//! | `/sinks` | JSON: each sink's state |
//! | `/live` | JSON for the live page; its shape may change with every version |
//! | `/config` | effective configuration, secrets hidden |
//!
//! **Readiness is about this process only.** A sink that is down does not make it unready: a load balancer would take
//! every host of the fleet out at once (they share the sink) and clients would see connections refused instead of a
//! 503 that they know how to retry. The answer lists the sinks that are down all the same.
//!
//! Everything is read from counters that the shards publish; no request here reaches a shard.

mod answer;
mod live;
mod server;
mod state;

pub use server::{Handle, start};
pub use state::State;

#[cfg(test)]
mod tests;
