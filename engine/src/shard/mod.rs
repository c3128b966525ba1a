//! One thread, one core: accept to answer. Shards share nothing.

pub mod buffer;
pub mod driver;
pub mod ticket;
pub mod watch;
