//! One thread, one core: accept to answer. Shards share nothing.
//!
//! [`run`] has a shard's tasks and their order; `connection` one connection's loop, `body` and `request` its steps;
//! `state` what the tasks of a shard share; `watch` the deadlines; [`buffer`] and [`ticket`] what is recycled.

mod body;
pub mod buffer;
mod connection;
pub mod driver;
pub(crate) mod journal;
mod request;
mod run;
mod state;
pub mod ticket;
pub mod watch;

pub use run::{Sockets, run};
pub use state::{RouteState, Shard, ShardParts};
