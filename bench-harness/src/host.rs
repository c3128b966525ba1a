//! The machine a result comes from: what a reader needs to judge it.

use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known about this host. Nothing that names it or its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Kernel name and release.
    pub kernel: String,
    /// The processor's model.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The frequency governor of the first core; empty where there is none.
    pub governor: String,
}

impl Host {
    /// Reads it from `/proc` and `/sys`; what can't be read is empty.
    #[must_use]
    pub fn read() -> Self {
        Self {
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease")),
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism()
                .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|kib| kib.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib * 1024),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(field("a: 1\nmodel name\t: Some CPU\n", "model name"), Some("Some CPU".into()));
        assert_eq!(field("a: 1", "b"), None);
    }

    #[test]
    fn this_host_has_a_kernel_cores_and_memory() {
        let host = Host::read();
        assert!(host.kernel.len() > "Linux ".len() && host.cores >= 1 && host.memory_bytes > 0, "{host:?}");
    }
}
