//! One thread, one core: accept to answer. Shards share nothing.

mod body;
pub mod buffer;
mod connection;
pub mod driver;
mod request;
mod run;
mod state;
pub mod ticket;
pub mod watch;

pub use run::{Sockets, run};
pub use state::{RouteState, Shard, ShardParts};
