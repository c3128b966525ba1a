//! Two targets side by side: started from files, loaded in turn, compared as ratios with intervals.
//!
//! ```text
//!   spec (file) ─▶ process ─▶ tree: CPU, memory ─┐
//!                    │    └─▶ instructions ──────┼▶ run: a window of load ─▶ comparison ─▶ table, JSON
//!                    └─ cpus, gate, ready, output│                               ▲
//!                                        load ───┘                          statistics
//! ```

#[cfg(test)]
pub(crate) mod actor;
pub mod comparison;
pub mod cpus;
mod gate;
pub mod instructions;
mod memory;
mod output;
pub mod process;
mod ready;
pub mod run;
mod spawn;
pub mod spec;
pub mod statistics;
mod table;
#[cfg(test)]
mod tests;
pub mod tree;
