//! What a target prints: kept in a file without a name, to be quoted when something goes wrong.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much of the end is quoted.
const TAIL_BYTES: u64 = 2048;

/// A file that is gone when its last user is.
#[derive(Debug)]
pub(super) struct Output(File);

impl Output {
    pub(super) fn new() -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("bench-harness-{}-{}.output", std::process::id(), MADE.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self(file))
    }

    /// For a child to write to.
    pub(super) fn writer(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// The end of what was written.
    pub(super) fn tail(&self) -> String {
        let length = self.0.metadata().map_or(0, |metadata| metadata.len());
        let from = length.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
        match self.0.read_exact_at(&mut bytes, from) {
            Ok(()) if bytes.is_empty() => "nothing".to_owned(),
            Ok(()) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            Err(error) => format!("(can't be read: {error})"),
        }
    }
}
