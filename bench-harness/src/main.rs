//! The `bench-harness` command.

fn main() {}
