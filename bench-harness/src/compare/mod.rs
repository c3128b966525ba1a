//! Two targets side by side.

#[cfg(test)]
mod actor;
pub mod cpus;
mod gate;
pub mod instructions;
mod output;
pub mod process;
mod ready;
pub mod spec;
pub mod statistics;
pub mod tree;
