//! Two targets side by side.

pub mod spec;
pub mod statistics;
