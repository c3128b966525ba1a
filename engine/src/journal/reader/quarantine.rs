//! Setting damaged bytes aside, so that a person can look at them after the segment is gone.

use std::io;

use crate::journal::disk::{Disk, ensure_dir, write_full};
use crate::journal::layout;
use crate::journal::reader::Depot;
use crate::journal::segment::{Hole, SegmentFile};

/// Most bytes of one damage that are copied; of larger ones the beginning.
const COPY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much is copied at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Copies the bytes of a hole. Returns how many; 0 when they were copied before.
///
/// # Errors
/// Of the disk; of kind `QuotaExceeded` when the journal's limit has no room for them.
pub(super) fn copy<D: Disk>(
    depot: &mut Depot<D>,
    stream: u16,
    segment: &mut SegmentFile<D::File>,
    hole: Hole,
) -> io::Result<u64> {
    let end = hole.end.min(segment.bytes).min(hole.offset.saturating_add(COPY_BYTES_MAX));
    let bytes = end.saturating_sub(hole.offset);
    if bytes == 0 {
        return Ok(0);
    }
    ensure_dir(&mut depot.disk, &depot.sink_dir.join(layout::QUARANTINE))?;
    let path = layout::quarantined(&depot.sink_dir, stream, segment.first_sequence, hole.offset);
    if !depot.budget.take(bytes) {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let file = match depot.disk.create(&path) {
        Ok(file) => file,
        Err(error) => {
            depot.budget.give(bytes);
            let before = error.kind() == io::ErrorKind::AlreadyExists;
            return if before { Ok(0) } else { Err(error) };
        }
    };
    // From here on the file is there, whatever becomes of it: its bytes stay taken.
    let mut chunk = Vec::new();
    let mut at = hole.offset;
    while at < end {
        chunk.resize(usize::try_from((end - at).min(CHUNK_BYTES)).unwrap_or_default(), 0);
        segment.read(&mut depot.disk, at, &mut chunk)?;
        write_full(&mut depot.disk, &file, at - hole.offset, &chunk)?;
        at += chunk.len() as u64;
    }
    depot.disk.sync(&file)?;
    depot.disk.sync_dir(&depot.sink_dir.join(layout::QUARANTINE))?;
    Ok(bytes)
}
