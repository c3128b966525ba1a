//! Records that a sink refuses for good although their clients have their 200: set aside, never dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use millrun_sinks::{Batch, Fault};

/// A file of newline-delimited JSON that only grows: one line `{"fault":"…","record":…}` a record.
#[derive(Debug)]
pub(super) struct Rejected {
    path: PathBuf,
    file: Option<File>,
}

impl Rejected {
    /// `<dir>/rejected.ndjson`, made when it is needed.
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join("rejected.ndjson"), file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the records and fsyncs. After an error some of them may be there: they are written again.
    pub(super) fn set_aside(&mut self, batch: &Batch, records: &[(u32, Fault)]) -> io::Result<()> {
        let mut lines = Vec::new();
        for (index, fault) in records {
            lines.extend_from_slice(b"{\"fault\":\"");
            lines.extend_from_slice(fault.kind.name().as_bytes());
            lines.extend_from_slice(b"\",\"record\":");
            lines.extend_from_slice(batch.record(*index).value);
            lines.extend_from_slice(b"}\n");
        }
        let result = self.append(&lines);
        if result.is_err() {
            // A file whose fsync failed is opened anew.
            self.file = None;
        }
        result
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                if let Some(dir) = self.path.parent() {
                    File::open(dir)?.sync_all()?;
                }
                none.insert(file)
            }
        };
        file.write_all(lines)?;
        file.sync_data()
    }
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
        let mut rejected = Rejected::new(dir.path());
        rejected.set_aside(&batch, &[(1, fault)]).unwrap();
        rejected.set_aside(&batch, &[(0, fault)]).unwrap();
        assert_eq!(
            std::fs::read_to_string(rejected.path()).unwrap(),
            "{\"fault\":\"record_too_large\",\"record\":{\"b\":2}}\n{\"fault\":\"record_too_large\",\"record\":{\"a\":1}}\n"
        );
    }
}
