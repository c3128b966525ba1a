//! Records that a sink refuses for good although their clients have their 200: set aside, never dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Fault};

/// The file's name.
pub(crate) const REJECTED: &str = "rejected.ndjson";

/// A file of newline-delimited JSON that only grows: one line `{"fault":"…","record":…}` a record. It is opened for each
/// batch, so that it can be moved away at any time.
#[derive(Debug)]
pub(super) struct Rejected {
    path: PathBuf,
}

impl Rejected {
    /// `<dir>/rejected.ndjson`, made when it is needed.
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join(REJECTED) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size now.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Writes the records and fsyncs. After an error some of them may be there: they are written again.
    pub(super) fn set_aside(&self, batch: &Batch, records: &[(u32, Fault)]) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let mut lines = Vec::new();
        if !ends_with_a_line(&file)? {
            // A full disk or a crash has cut the last line short: it stays one line.
            lines.push(b'\n');
        }
        for (index, fault) in records {
            lines.extend_from_slice(b"{\"fault\":\"");
            lines.extend_from_slice(fault.kind.name().as_bytes());
            lines.extend_from_slice(b"\",\"record\":");
            lines.extend_from_slice(batch.record(*index).value);
            lines.extend_from_slice(b"}\n");
        }
        file.write_all(&lines)?;
        file.sync_data()?;
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn ends_with_a_line(file: &File) -> io::Result<bool> {
    let bytes = file.metadata()?.len();
    let mut last = [b'\n'];
    if bytes > 0 {
        file.read_exact_at(&mut last, bytes - 1)?;
    }
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrun_sinks::{Fate, FaultKind, Origin, Retry, Whose};

    #[test]
    fn refused_records_are_lines_with_their_reason() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 64, 4);
        for record in [&b"{\"a\":1}"[..], b"{\"b\":2}"] {
            let append = |free: &mut [u8]| {
                free[..record.len()].copy_from_slice(record);
                Some((0, record.len()))
            };
            batch.append_with(append).unwrap();
        }
        let fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
        let rejected = Rejected::new(dir.path());
        rejected.set_aside(&batch, &[(1, fault)]).unwrap();
        rejected.set_aside(&batch, &[(0, fault)]).unwrap();
        assert_eq!(
            std::fs::read_to_string(rejected.path()).unwrap(),
            "{\"fault\":\"record_too_large\",\"record\":{\"b\":2}}\n{\"fault\":\"record_too_large\",\"record\":{\"a\":1}}\n"
        );
    }

    #[test]
    fn a_line_that_was_cut_short_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 64, 4);
        let append = |free: &mut [u8]| {
            free[..7].copy_from_slice(b"{\"a\":1}");
            Some((0, 7))
        };
        batch.append_with(append).unwrap();
        let fault = Fault::new(FaultKind::RecordRejected, Whose::Client, Retry::No, Fate::NotStored);
        let rejected = Rejected::new(dir.path());
        std::fs::write(rejected.path(), "{\"fault\":\"rec").unwrap();
        rejected.set_aside(&batch, &[(0, fault)]).unwrap();
        let text = std::fs::read_to_string(rejected.path()).unwrap();
        assert_eq!(text, "{\"fault\":\"rec\n{\"fault\":\"record_rejected\",\"record\":{\"a\":1}}\n");
        assert_eq!(rejected.bytes(), text.len() as u64);
        std::fs::remove_file(rejected.path()).unwrap();
        assert_eq!(rejected.bytes(), 0, "somebody has moved it away");
        rejected.set_aside(&batch, &[(0, fault)]).unwrap();
        assert!(rejected.bytes() > 0);
    }
}
