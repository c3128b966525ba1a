//! Sealed batch to delivery: retry, breaker, return.
