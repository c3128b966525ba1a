//! Local files: newline-delimited JSON, plain or gzip, in hour directories.

use std::path::PathBuf;
use std::time::Duration;

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
