//! A started process with everything that it started: who belongs to it, and what it has used.
//!
//! ```text
//!   harness ── root (leader of a session of its own)
//!                ├── worker            descends from root
//!                │     └── helper      descends from root
//!                └── (gone) ── orphan  its parent ended: known by root's session or process group
//! ```
//!
//! CPU time of the tree = the CPU clock of every process alive + what each of them has already inherited from children
//! that it has waited for. The process clock counts in nanoseconds and keeps the time of threads that have ended, which
//! a sum over `/proc/PID/task` would lose; inherited time comes in clock ticks (10 ms). Lost is only the time of a child
//! that ended and was not waited for by its parent (`SIGCHLD` ignored), or whose parent ended before it.
//!
//! A process that leaves the session *and* loses its parent (a daemon) can't be told from a stranger: targets run in
//! the foreground.

use std::fs;
use std::io;
use std::time::Duration;

/// A process as `/proc/PID/stat` shows it (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) parent: i32,
    group: i32,
    session: i32,
    /// Ended, but not waited for yet.
    pub(super) is_zombie: bool,
    /// CPU time inherited from children that were waited for, in clock ticks.
    inherited_ticks: u64,
    /// When it was made, in clock ticks since boot: tells it from a later process with the same number.
    pub(super) born: u64,
}

/// What a tree holds in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Sum over the processes of the most that each has had resident at once (`VmHWM`). Shared pages count in each.
    pub peak_rss_bytes: u64,
    /// Sum of what is resident now (`VmRSS`).
    pub rss_bytes: u64,
    /// The same with shared pages divided among those who share them (`Pss`); 0 where the kernel does not tell.
    pub pss_bytes: u64,
}

/// The tree of the process `root`, which leads a session of its own and has not been waited for.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    root: i32,
}

impl Tree {
    pub(crate) fn new(root: i32) -> Self {
        Self { root }
    }

    /// Everyone who belongs to it, zombies too.
    pub(super) fn members(self) -> io::Result<Vec<Stat>> {
        self.members_and(&[])
    }

    /// Everyone who belongs to it, and those of `known` who are still there: members seen earlier, who may have lost what
    /// ties them to the root since.
    pub(super) fn members_and(self, known: &[Stat]) -> io::Result<Vec<Stat>> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            else {
                continue;
            };
            // It may have ended since the directory was read.
            if let Some(stat) = fs::read(format!("/proc/{pid}/stat")).ok().and_then(|text| parse(&text)) {
                all.push(stat);
            }
        }
        Ok(belonging(self.root, known, &all))
    }

    /// CPU time that the tree has used so far.
    ///
    /// # Errors
    /// When `/proc` can't be read, or the tree is gone.
    pub fn cpu(self) -> io::Result<Duration> {
        // A child that is waited for between two readings would be counted twice or not at all: read again then.
        let mut before = self.members()?;
        for _ in 0..5 {
            let used = before.iter().filter_map(used).sum();
            let after = self.members()?;
            let settled = before.iter().map(identity).eq(after.iter().map(identity));
            if settled && !after.is_empty() {
                return Ok(used);
            }
            before = after;
        }
        if before.is_empty() {
            return Err(io::Error::other("no process of the target is left"));
        }
        Ok(before.iter().filter_map(used).sum())
    }

    /// What the tree holds now.
    ///
    /// # Errors
    /// When `/proc` can't be read.
    pub fn memory(self) -> io::Result<Memory> {
        let mut sum = Memory::default();
        for member in self.members()? {
            // What can't be read has ended, or belongs to the kernel: it holds nothing.
            let status = fs::read_to_string(format!("/proc/{}/status", member.pid)).unwrap_or_default();
            let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", member.pid)).unwrap_or_default();
            sum.peak_rss_bytes += kib(&status, "VmHWM:") * 1024;
            sum.rss_bytes += kib(&status, "VmRSS:") * 1024;
            sum.pss_bytes += kib(&rollup, "Pss:") * 1024;
        }
        Ok(sum)
    }

    /// What is resident now (`VmRSS`), without walking page tables: cheap enough for ten times a second.
    ///
    /// # Errors
    /// When `/proc` can't be read, or the tree is gone.
    pub fn resident_bytes(self) -> io::Result<u64> {
        let members = self.members()?;
        if members.iter().all(|member| member.is_zombie) {
            return Err(io::Error::other("no process of the target is left"));
        }
        let resident = |member: &Stat| {
            let status = fs::read_to_string(format!("/proc/{}/status", member.pid)).unwrap_or_default();
            kib(&status, "VmRSS:") * 1024
        };
        Ok(members.iter().map(resident).sum())
    }
}

/// Those of `all` that are `root`, in its session or process group, or `known`, and all that descend from these.
fn belonging(root: i32, known: &[Stat], all: &[Stat]) -> Vec<Stat> {
    let is_known = |stat: &Stat| known.iter().any(|known| known.pid == stat.pid && known.born == stat.born);
    let founded =
        |stat: &Stat| stat.pid == root || stat.session == root || stat.group == root || is_known(stat);
    let (mut members, mut others): (Vec<Stat>, Vec<Stat>) = all.iter().copied().partition(founded);
    let mut at = 0;
    while let Some(parent) = members.get(at).map(|stat| stat.pid) {
        let (children, rest) = others.into_iter().partition(|stat| stat.parent == parent);
        members.extend::<Vec<Stat>>(children);
        others = rest;
        at += 1;
    }
    members
}

/// Fields are numbered as in proc(5); the name (2) is in parentheses and may hold anything, parentheses too.
fn parse(text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(text).ok().map_or_else(
        || String::from_utf8_lossy(text).split(' ').next()?.parse().ok(),
        |text| text.split(' ').next()?.parse().ok(),
    )?;
    let rest = std::str::from_utf8(text.get(name_end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let ticks = |number: usize| field(number)?.parse::<i64>().ok()?.try_into().ok();
    Some(Stat {
        pid,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        is_zombie: matches!(field(3)?, "Z" | "X"),
        inherited_ticks: ticks(16).unwrap_or(0_u64) + ticks(17).unwrap_or(0),
        born: ticks(22).unwrap_or(0),
    })
}

/// What changes when a child is made, ends or is waited for.
fn identity(stat: &Stat) -> (i32, u64) {
    (stat.pid, stat.inherited_ticks)
}

/// Own and inherited CPU time; `None` when it is gone.
fn used(stat: &Stat) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the library writes one clock id.
    if unsafe { libc::clock_getcpuclockid(stat.pid, &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    let own = Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    Some(own + inherited(stat.inherited_ticks))
}

fn inherited(ticks: u64) -> Duration {
    // SAFETY: no pointers are passed.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let per_second = u64::try_from(per_second).unwrap_or(100).max(1);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second))
}

/// The value of a `Name:   123 kB` line; 0 when there is none.
fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, group: i32, session: i32) -> Stat {
        Stat { pid, parent, group, session, is_zombie: false, inherited_ticks: 0, born: 0 }
    }

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let line = b"42 (a) (b c) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 70 8 20 0 1 0 100 0 0\n";
        let read = parse(line).unwrap();
        assert_eq!(read, Stat { inherited_ticks: 78, born: 100, ..stat(42, 7, 42, 40) });
        assert_eq!(parse(b"42 (\xff\xfe) Z 7 1 1").map(|read| (read.pid, read.is_zombie)), Some((42, true)));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"42 (x"), None);
    }

    #[test]
    fn children_orphans_and_runaways_belong_strangers_do_not() {
        let all = [
            stat(1, 0, 1, 1),
            stat(12, 11, 10, 10),  // a grandchild, listed before its parent
            stat(10, 5, 10, 10),   // the root
            stat(11, 10, 10, 10),  // its child
            stat(13, 10, 13, 13),  // a child with a session of its own
            stat(14, 13, 14, 13),  // and its child
            stat(15, 1, 15, 10),   // an orphan in another group of the session
            stat(5, 1, 5, 5),      // the harness
            stat(20, 5, 20, 20),   // another target
            stat(100, 20, 20, 20), // and its child
        ];
        let mut pids: Vec<i32> = belonging(10, &[], &all).iter().map(|stat| stat.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [10, 11, 12, 13, 14, 15]);
        assert!(belonging(99, &[], &all).is_empty());
        let known = [stat(13, 10, 13, 13), Stat { born: 7, ..stat(20, 10, 10, 10) }];
        let pids: Vec<i32> = belonging(99, &known, &all).iter().map(|stat| stat.pid).collect();
        assert_eq!(pids, [13, 14], "20 is another process by now");
    }

    #[test]
    fn sizes_are_read_by_name() {
        let text = "VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!((kib(text, "VmHWM:"), kib(text, "VmRSS:"), kib(text, "Pss:")), (1234, 1000, 0));
    }
}
