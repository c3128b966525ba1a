//! What goes wrong around the engine, and what must stay true then: killed, told to stop, out of disk, full of
//! idle connections. The oracle is always the same: whatever was answered 200 is stored.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod disk_full;
mod drain;
mod idle;
mod kill;
