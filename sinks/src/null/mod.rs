//! The sink that stores nothing: every batch is "delivered" at once. For benchmarks only.

/// Settings of a `null` sink: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {}
