//! Figures of the process itself, read from `/proc/self` (proc(5)) when somebody asks.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks per second in `/proc/<pid>/stat`. The kernel's `USER_HZ`, which it shows to programs, is 100 on every
/// architecture that Rust's standard library for Linux supports, whatever its own timer runs at.
const USER_HZ: f64 = 100.0;

/// What the process uses now; `None` where `/proc` does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUsage {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// User and system CPU time in seconds.
    pub cpu_seconds: Option<f64>,
}

impl ProcessUsage {
    /// Reads it. Lists `/proc/self/fd`, so it takes longer the more connections there are (some 10 ms for 65,536);
    /// never call it on a shard.
    #[must_use]
    pub fn read() -> Self {
        Self {
            resident_bytes: fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes),
            // One entry is the descriptor that reads the directory.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1)),
            cpu_seconds: fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds),
        }
    }
}

/// CPU time in nanoseconds of each shard's thread, by its name (`shard-0`). On `io_uring` a shard that waits for completions counts as idle or as waiting for I/O,
/// whichever the kernel likes, but never as time on a CPU: this is the same on both drivers, and costs shards nothing.
#[must_use]
pub fn shard_cpu_nanos() -> BTreeMap<String, u64> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let read = |task: &fs::DirEntry, file: &str| fs::read_to_string(task.path().join(file)).ok();
    tasks
        .flatten()
        .filter_map(|task| {
            let name = read(&task, "comm")?;
            let nanos = read(&task, "schedstat")?.split(' ').next()?.parse().ok()?;
            name.starts_with("shard-").then(|| (name.trim().to_owned(), nanos))
        })
        .collect()
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   12345 kB\nThreads:\t3\n"), Some(12_345 * 1024));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        let stat = "77 (a b) c)) S 1 77 77 0 -1 4194560 1 2 3 4 250 31 0 0 20 0 3 0 99 1 2";
        assert_eq!(cpu_seconds(stat), Some(2.81));
        assert_eq!(cpu_seconds("77 (x) S 1"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = ProcessUsage::read();
        assert!(usage.resident_bytes.unwrap() > 100 * 1024);
        assert!(usage.open_fds.unwrap() >= 1);
        assert!(usage.cpu_seconds.unwrap() >= 0.0);
    }
}
