//! What the host gives this process: CPUs, memory and file descriptors, as cgroups (v1 and v2), the affinity mask and
//! rlimits allow.
//!
//! The parsers are pure; [`Host::detect`] reads `/proc` and `/sys`. What can't be read does not limit.

use std::path::{Path, PathBuf};

/// What this process may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// CPUs of the affinity mask, ascending; never empty.
    pub cpus_allowed: Vec<usize>,
    /// CPUs' worth of time that the cgroup allows.
    pub cpu_quota: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// What limits it, for people.
    pub memory_limited_by: &'static str,
    /// `RLIMIT_NOFILE`, already raised to its hard limit.
    pub files_max: u64,
}

impl Host {
    /// Looks, and raises the soft limit of file descriptors to the hard one.
    #[must_use]
    pub fn detect() -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let cgroups = Cgroups::of(
            &read(Path::new("/proc/self/cgroup")).unwrap_or_default(),
            &read(Path::new("/proc/self/mountinfo")).unwrap_or_default(),
        );
        let machine = read(Path::new("/proc/meminfo")).and_then(|text| mem_total(&text)).unwrap_or(u64::MAX);
        let limit = cgroups.memory_limit(&read).filter(|limit| *limit < machine);
        Self {
            cpus_allowed: affinity(),
            cpu_quota: cgroups.cpu_quota(&read),
            memory_bytes: limit.unwrap_or(machine),
            memory_limited_by: if limit.is_some() {
                "the cgroup's memory limit"
            } else {
                "the machine's memory"
            },
            files_max: raise_files_limit(),
        }
    }

    /// As many shards as there are CPUs to run them.
    #[must_use]
    pub fn shards_default(&self) -> u16 {
        let cpus = self.cpus_allowed.len().max(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let by_quota = self.cpu_quota.map_or(cpus, |quota| (quota.ceil() as usize).max(1));
        u16::try_from(cpus.min(by_quota)).unwrap_or(u16::MAX)
    }

    /// Shards are pinned only where each has a CPU of its own: with fewer shards than CPUs (a quota), several
    /// engines on one host would all choose the same ones.
    #[must_use]
    pub fn pins(&self, shards: u16) -> bool {
        usize::from(shards) == self.cpus_allowed.len()
            && usize::from(self.shards_default()) == self.cpus_allowed.len()
    }
}

/// Directories of this process's cgroup and of all above it, by controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cgroups {
    unified: Vec<PathBuf>,
    cpu: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Cgroups {
    /// From the texts of `/proc/self/cgroup` and `/proc/self/mountinfo` (see `cgroups(7)` and `proc(5)`).
    fn of(cgroup: &str, mountinfo: &str) -> Self {
        let mut groups = Self::default();
        for line in cgroup.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let has = |name: &str| controllers.split(',').any(|controller| controller == name);
            if controllers.is_empty() {
                groups.unified = directories(mountinfo, None, path);
            }
            if has("cpu") {
                groups.cpu = directories(mountinfo, Some("cpu"), path);
            }
            if has("memory") {
                groups.memory = directories(mountinfo, Some("memory"), path);
            }
        }
        groups
    }

    /// The smallest limit on the way up.
    fn memory_limit(&self, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
        let v2 = self.unified.iter().filter_map(|dir| read(&dir.join("memory.max")));
        let v1 = self.memory.iter().filter_map(|dir| read(&dir.join("memory.limit_in_bytes")));
        v2.chain(v1).filter_map(|text| memory_max(&text)).min()
    }

    fn cpu_quota(&self, read: &impl Fn(&Path) -> Option<String>) -> Option<f64> {
        let v2 = self.unified.iter().filter_map(|dir| cpu_max(&read(&dir.join("cpu.max"))?));
        let v1 = self.cpu.iter().filter_map(|dir| {
            cfs(&read(&dir.join("cpu.cfs_quota_us"))?, &read(&dir.join("cpu.cfs_period_us"))?)
        });
        v2.chain(v1).reduce(f64::min)
    }
}

/// The directory of `path` in the hierarchy of `controller` (`None`: v2), and all above it.
fn directories(mountinfo: &str, controller: Option<&str>, path: &str) -> Vec<PathBuf> {
    for line in mountinfo.lines() {
        let Some((mount, fs)) = line.split_once(" - ") else { continue };
        let (mut mount, mut fs) = (mount.split(' ').skip(3), fs.split(' '));
        let (Some(root), Some(point)) = (mount.next(), mount.next()) else { continue };
        let matches = match (fs.next(), controller) {
            (Some("cgroup2"), None) => true,
            (Some("cgroup"), Some(controller)) => {
                fs.nth(1).is_some_and(|options| options.split(',').any(|option| option == controller))
            }
            _ => false,
        };
        if !matches {
            continue;
        }
        // In a container the mount shows a part of the hierarchy: `root` is where it begins.
        let relative = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("").trim_start_matches('/');
        let leaf = Path::new(point).join(relative);
        return leaf.ancestors().take_while(|dir| dir.starts_with(point)).map(Path::to_path_buf).collect();
    }
    Vec::new()
}

/// `memory.max` ("max" or bytes) and `memory.limit_in_bytes` (huge when there is none).
fn memory_max(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

/// `cpu.max`: "quota period" or "max period".
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cfs(quota, period)
}

fn cfs(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn affinity() -> Vec<usize> {
    // SAFETY: a cpu_set_t is plain bits, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size that it is told, into a set that lives on this stack.
    let error = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if error != 0 {
        return vec![0];
    }
    let last = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: the index is below CPU_SETSIZE, the number of bits in the set.
    let cpus: Vec<_> = (0..last).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Pins the calling thread to one CPU.
///
/// # Errors
/// The kernel's, when the CPU is not there or not allowed.
pub fn pin_to(cpu: usize) -> std::io::Result<()> {
    // SAFETY: as in `affinity`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: CPU_SET ignores an index beyond the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the kernel reads the size that it is told from a set that lives on this stack.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Switches transparent huge pages off for this process.
///
/// The allocator asks for them, and one touched byte then costs 2 MiB: the engine was at 53 MB resident before its
/// first connection instead of 12. Its working set (one batch, one buffer a connection) gains nothing from them.
/// Best effort: where it fails, only resident memory suffers.
pub fn disable_huge_pages() {
    // SAFETY: this prctl takes plain numbers and touches no memory of ours (prctl(2), PR_SET_THP_DISABLE).
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

fn raise_files_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which lives on this stack.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the kernel reads one rlimit from this stack.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        raised.rlim_cur
    } else {
        limit.rlim_cur
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const V1_MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
35 25 0:31 /docker/abc /sys/fs/cgroup/memory ro shared:12 - cgroup cgroup rw,memory
";
    const V1_CGROUP: &str = "4:memory:/docker/abc\n3:cpu,cpuacct:/a/b\n0::/\n";

    fn reader(files: &[(&'static str, &'static str)]) -> impl Fn(&Path) -> Option<String> {
        let files: HashMap<_, _> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        move |path| files.get(path).cloned()
    }

    #[test]
    fn version_1_is_walked_upwards() {
        let groups = Cgroups::of(V1_CGROUP, V1_MOUNTS);
        assert_eq!(
            groups.memory,
            [PathBuf::from("/sys/fs/cgroup/memory")],
            "the mount begins at the container's group"
        );
        assert_eq!(groups.cpu.len(), 3);
        let read = reader(&[
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(groups.memory_limit(&read), Some(512 << 20));
        assert_eq!(groups.cpu_quota(&read), Some(1.5));
    }

    #[test]
    fn version_2_is_walked_upwards() {
        let groups =
            Cgroups::of("0::/a/b\n", "30 25 0:26 / /sys/fs/cgroup rw shared:5 - cgroup2 cgroup2 rw\n");
        let read = reader(&[
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "50000 100000\n"),
        ]);
        assert_eq!(groups.memory_limit(&read), Some(1 << 30));
        assert_eq!(groups.cpu_quota(&read), Some(0.5));
    }

    #[test]
    fn what_is_not_there_does_not_limit() {
        assert_eq!(Cgroups::of("", ""), Cgroups::default());
        assert_eq!(memory_max("9223372036854771712\n"), None, "how version 1 writes no limit");
        assert_eq!(mem_total("MemTotal:       24630508 kB\nMemFree: 1 kB\n"), Some(24_630_508 * 1024));
    }

    #[test]
    fn shards_follow_the_smaller_of_affinity_and_quota() {
        let host = |cpus: usize, quota| Host {
            cpus_allowed: (0..cpus).collect(),
            cpu_quota: quota,
            memory_bytes: 0,
            memory_limited_by: "",
            files_max: 0,
        };
        assert_eq!(host(4, None).shards_default(), 4);
        assert_eq!(host(4, Some(1.5)).shards_default(), 2);
        assert_eq!(host(1, Some(8.0)).shards_default(), 1);
        assert_eq!(host(4, Some(0.25)).shards_default(), 1);
        assert!(host(2, None).pins(2) && !host(2, None).pins(1) && !host(2, Some(1.0)).pins(2));
    }

    #[test]
    fn this_host_has_something() {
        let host = Host::detect();
        assert!(!host.cpus_allowed.is_empty() && host.memory_bytes > 0 && host.files_max > 0);
    }
}
