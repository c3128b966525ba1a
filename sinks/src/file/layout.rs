//! Where files lie and what they are called. Pure: no clock, no disk.
//!
//! ```text
//!  <dir>/year=2026/month=11/day=23/hour=09/.1795424674123-4711-9f8e7d6c-000001.ndjson.gz.open   while open
//!                                          1795424674123-4711-9f8e7d6c-000001.ndjson.gz         complete
//!                                          └─ unix ms ──┘ pid  random   sequence
//! ```
//!
//! The hour is that of the wall clock (UTC) when the file was opened. A name is unique across processes, hosts
//! that share the directory, and restarts: opening time, process id, 32 random bits of the sink, and the sink's
//! sequence number. Names with a leading dot are hidden from readers (Spark, Hive and Glue skip them).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::Compression;

/// Suffix of plain files.
const PLAIN: &str = ".ndjson";
/// Suffix of compressed files: readers find the compression by the last `.gz`.
const GZIP: &str = ".ndjson.gz";
/// Suffix of files that are being written.
const OPEN: &str = ".open";
/// Suffix of files that can't be read.
const CORRUPT: &str = ".corrupt";

const HOUR_SECS: u64 = 3600;

/// A UTC hour: hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour(u64);

impl Hour {
    /// The hour of `wall`; times before 1970 count as 1970.
    pub(super) fn of(wall: SystemTime) -> Self {
        Self(since_epoch(wall).as_secs() / HOUR_SECS)
    }

    /// How long the hour of `wall` still lasts; above 0.
    pub(super) fn remaining(wall: SystemTime) -> Duration {
        let next = Duration::from_secs((Self::of(wall).0 + 1) * HOUR_SECS);
        next.saturating_sub(since_epoch(wall))
    }

    /// `year=YYYY/month=MM/day=DD/hour=HH`.
    pub(super) fn directory(self) -> PathBuf {
        let secs = i64::try_from(self.0 * HOUR_SECS).unwrap_or(i64::MAX);
        // Only a clock beyond the year 9999 gets here with an error.
        let at = OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day, hour) = (at.year(), u8::from(at.month()), at.day(), at.hour());
        PathBuf::from(format!("year={year:04}/month={month:02}/day={day:02}/hour={hour:02}"))
    }
}

fn since_epoch(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Prefixes of the directory names, outermost first: what recovery walks.
pub(super) const LEVELS: [&str; 4] = ["year=", "month=", "day=", "hour="];

/// The parts of a name that stay the same for a sink's life, and its sequence.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pid: u32,
    random: u32,
    sequence: u64,
    suffix: &'static str,
}

impl Names {
    pub(super) fn new(pid: u32, random: u32, compression: Compression) -> Self {
        let suffix = match compression {
            Compression::None => PLAIN,
            Compression::Gzip { .. } => GZIP,
        };
        Self { pid, random, sequence: 0, suffix }
    }

    /// The place of the next file below `root`, opened at `wall`.
    pub(super) fn next(&mut self, root: &Path, wall: SystemTime) -> Place {
        self.sequence += 1;
        let (ms, Self { pid, random, sequence, suffix }) = (since_epoch(wall).as_millis(), &*self);
        let mut name = String::with_capacity(64);
        // Writing to a String can't fail.
        let _ = write!(name, "{ms}-{pid}-{random:08x}-{sequence:06}{suffix}");
        Place::new(root.join(Hour::of(wall).directory()), &name)
    }
}

/// Where one file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The hour's directory.
    pub(super) dir: PathBuf,
    /// Path while it is open.
    pub(super) open: PathBuf,
    /// Path once it is complete.
    pub(super) complete: PathBuf,
    /// Path when it can't be read.
    pub(super) corrupt: PathBuf,
    /// Whether it is compressed.
    pub(super) gzip: bool,
}

impl Place {
    fn new(dir: PathBuf, name: &str) -> Self {
        Self {
            open: dir.join(format!(".{name}{OPEN}")),
            complete: dir.join(name),
            corrupt: dir.join(format!(".{name}{CORRUPT}")),
            gzip: name.ends_with(GZIP),
            dir,
        }
    }

    /// The place of an entry called `entry` in `dir`, if that is the name of an open file.
    pub(super) fn of_open(dir: &Path, entry: &str) -> Option<Self> {
        let name = entry.strip_prefix('.')?.strip_suffix(OPEN)?;
        (name.ends_with(PLAIN) || name.ends_with(GZIP)).then(|| Self::new(dir.to_path_buf(), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    #[test]
    fn the_directory_is_the_utc_hour() {
        for (ms, directory) in [
            (0, "year=1970/month=01/day=01/hour=00"),
            (951_782_399_999, "year=2000/month=02/day=28/hour=23"),
            (951_782_400_000, "year=2000/month=02/day=29/hour=00"),
            (1_795_424_674_123, "year=2026/month=11/day=23/hour=09"),
        ] {
            assert_eq!(Hour::of(wall(ms)).directory(), Path::new(directory), "{ms}");
        }
    }

    #[test]
    fn an_hour_ends_at_the_next_boundary() {
        assert_eq!(Hour::remaining(wall(0)), Duration::from_hours(1));
        assert_eq!(Hour::remaining(wall(3_599_999)), Duration::from_millis(1));
        assert_eq!(Hour::remaining(wall(3_600_000)), Duration::from_hours(1));
        assert_ne!(Hour::of(wall(3_599_999)), Hour::of(wall(3_600_000)));
    }

    #[test]
    fn names_differ_and_are_found_again_while_open() {
        let mut names = Names::new(7, 0xbeef, Compression::Gzip { level: 1 });
        let root = Path::new("/events");
        let first = names.next(root, wall(1_795_424_674_123));
        let second = names.next(root, wall(1_795_424_674_123));
        assert_ne!(first.open, second.open);
        let hour = root.join("year=2026/month=11/day=23/hour=09");
        assert_eq!(first.complete, hour.join("1795424674123-7-0000beef-000001.ndjson.gz"));
        assert_eq!(first.open, hour.join(".1795424674123-7-0000beef-000001.ndjson.gz.open"));
        let entry = first.open.file_name().unwrap().to_str().unwrap();
        assert_eq!(Place::of_open(&hour, entry), Some(first));
        let plain = Names::new(7, 1, Compression::None).next(root, wall(5));
        assert!(!plain.gzip);
        let entry = plain.open.file_name().unwrap().to_str().unwrap();
        assert_eq!(Place::of_open(&plain.dir, entry), Some(plain));
    }

    #[test]
    fn other_files_are_left_alone() {
        for entry in ["a.ndjson", ".a.ndjson", ".a.ndjson.corrupt", "a.ndjson.open", ".swp.open", ".open", ""]
        {
            assert_eq!(Place::of_open(Path::new("/"), entry), None, "{entry}");
        }
    }
}
