//! The records of a journal as newline-delimited JSON.

use std::io::{self, Write};
use std::path::Path;

use millrun_sinks::{Batch, Origin};

use super::inventory::Inventory;
use crate::journal::disk::Disk;
use crate::journal::segment::{SegmentFile, Step};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Records.
    pub records: u64,
    /// Segments that could not be read to their end.
    pub unreadable: u64,
}

/// Writes the undelivered records of `inventory` (all that are there, with `all`) to `out`, one a line, stream after
/// stream in the order in which they were written. Keys are left out.
///
/// # Errors
/// Of `out` only: what can't be read is counted and said in the inventory's damage.
pub fn export<D: Disk>(
    disk: &mut D,
    inventory: &Inventory,
    sink: Option<&str>,
    all: bool,
    out: &mut dyn Write,
) -> io::Result<Exported> {
    let mut exported = Exported::default();
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, 0, 1);
    for view in inventory.sinks.iter().filter(|view| sink.is_none_or(|name| name == view.name)) {
        for stream in &view.streams {
            let from = if all { 0 } else { stream.delivered_below };
            for segment in &stream.segments {
                let numbers = from.max(segment.first_sequence)..segment.end_sequence;
                let path: &Path = &segment.path;
                let read = SegmentFile::open(disk, path, stream.stream, segment.first_sequence, true);
                let Ok(mut file) = read else {
                    exported.unreadable += 1;
                    continue;
                };
                let mut walk = file.start();
                while walk.expected < numbers.end {
                    match file.step(disk, &mut walk, &mut batch) {
                        Ok(Step::Frame(header)) if numbers.contains(&header.sequence) => {
                            for record in batch.records() {
                                out.write_all(record.value)?;
                                out.write_all(b"\n")?;
                                exported.records += 1;
                            }
                        }
                        Ok(Step::Frame(_) | Step::Hole(_)) => {}
                        Ok(Step::End(_)) => break,
                        Err(_) => {
                            exported.unreadable += 1;
                            break;
                        }
                    }
                }
            }
        }
    }
    Ok(exported)
}
