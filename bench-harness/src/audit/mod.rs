//! What was answered against what was stored.
