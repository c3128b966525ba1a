//! The `millrun` program: see [`millrun::cli`].

use std::process::ExitCode;

/// Cheaper than the system's allocator for the few allocations that connections and sinks make, and it gives memory
/// back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    millrun::host::disable_huge_pages();
    millrun::cli::main()
}
