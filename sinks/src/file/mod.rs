//! Local files: newline-delimited JSON, plain or gzip, in hour directories.
//!
//! ```text
//!  submit ─▶ queue ─poll─▶ append the whole queue ─▶ one fdatasync ─▶ settle the whole queue
//!                              │                                          (group commit)
//!                              ▼
//!          .<name>.open ──age, size, hour, close──▶ fsynced, renamed, directory fsynced ─▶ <name>
//!                │
//!                └── writer died ──▶ the next open recovers it (recovery.rs)
//! ```
//!
//! # What it promises
//!
//! - A record is reported delivered only when its line is written and fsynced, the file's entry and all
//!   directories above it too. It survives the process and the machine.
//! - A file has its final name only when it is complete: every line whole, every gzip member whole.
//! - A record that is reported failed with [`crate::Fate::NotStored`] is in no file. With `Unknown` it may be, as a
//!   whole line. So may one whose batch was not settled when the process died: its client retries, and the record
//!   may be stored twice.
//! - Nothing needs a human: a full disk shows in the health and in the deliveries, and ends by itself; files that a
//!   dead process left open are completed by the next one; several processes may share a directory.
//!
//! Records are stored as they are: a value is one line, so the encoder of records must not put a raw newline in it.
//! Keys are not stored.

pub mod disk;
mod encoder;
mod layout;
mod prefix;
mod probe;
mod recovery;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use disk::{Disk, OsDisk};
pub use probe::check;
pub use sink::FileSink;

use crate::{OpenError, Wake};

/// How files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain newline-delimited JSON.
    None,
    /// One gzip member a group commit (RFC 1952 allows many in a file); level 1 to 9.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
}

/// Settings of a `file` sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Directory below which `year=/month=/day=/hour=` folders are made.
    pub dir: PathBuf,
    /// Compression of new files.
    pub compression: Compression,
    /// A file is completed when it has this many bytes on disk.
    pub rotate_bytes: u64,
    /// A file is completed when it is this old.
    pub rotate_age: Duration,
    /// Largest record, in bytes.
    pub record_bytes_max: usize,
}

/// Opens a `file` sink on the operating system's file system, and recovers what dead writers left in its
/// directory. `clock` is the wall clock: it names directories and files.
///
/// # Errors
/// [`OpenError`] when an option can't work or `dir` is, or lies below, something that is not a directory. A
/// directory that is missing, full or forbidden is an outage: it shows in the sink's health.
pub fn open(
    options: &Options,
    clock: impl Fn() -> SystemTime + Send + 'static,
    wake: Wake,
) -> Result<FileSink, OpenError> {
    open_on(OsDisk, options, clock, fastrand::u32(..), wake)
}

/// [`open`] on any [`Disk`]; `random` makes the names of this sink's files its own.
///
/// # Errors
/// As [`open`].
pub fn open_on<D: Disk>(
    disk: D,
    options: &Options,
    clock: impl Fn() -> SystemTime + Send + 'static,
    random: u32,
    wake: Wake,
) -> Result<FileSink<D>, OpenError> {
    validate(options)?;
    FileSink::new(disk, options, Box::new(clock), random, wake)
}

/// What `open` would refuse about the options alone; nothing is opened.
#[must_use]
pub fn problems(options: &Options) -> Vec<OpenError> {
    validate(options).err().into_iter().collect()
}

fn validate(options: &Options) -> Result<(), OpenError> {
    let wrong = |key: &str, value: String, problem: &str| {
        Err(OpenError { key: key.to_owned(), value, problem: problem.to_owned() })
    };
    if options.dir.as_os_str().is_empty() {
        return wrong("dir", "\"\"".to_owned(), "name the directory for the files");
    }
    if let Compression::Gzip { level } = options.compression
        && !(1..=9).contains(&level)
    {
        return wrong("compression", format!("gzip level {level}"), "a gzip level is 1 (fast) to 9 (small)");
    }
    if options.rotate_bytes == 0 {
        return wrong("rotate_bytes", "0".to_owned(), "must be at least 1");
    }
    if options.rotate_age.is_zero() {
        return wrong("rotate_age", "0".to_owned(), "must be above 0");
    }
    if options.record_bytes_max == 0 {
        return wrong("record_bytes_max", "0".to_owned(), "must be at least 1");
    }
    Ok(())
}
