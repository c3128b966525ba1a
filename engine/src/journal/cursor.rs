//! A stream's cursor file: how far it is delivered. Two slots are written in turn, so a torn write leaves the other.
//! It is not fsynced at each write: it only bounds what is delivered again after a crash.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, read_full, write_full};
use super::format::{CURSOR_BYTES, Cursor};
use super::layout;

/// The file, and what was written to it last.
#[derive(Debug)]
pub struct CursorFile<F> {
    path: PathBuf,
    stream: u16,
    file: Option<F>,
    last: Cursor,
}

impl<F: Send + Sync> CursorFile<F> {
    /// The cursor of a stream; nothing is opened yet.
    #[must_use]
    pub fn new(stream_dir: &Path, stream: u16) -> Self {
        Self { path: stream_dir.join(layout::CURSOR), stream, file: None, last: Cursor::default() }
    }

    /// Reads the newest whole slot. A file that is missing, short or damaged is as if nothing had been delivered.
    ///
    /// # Errors
    /// Of the disk.
    pub fn load<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<Cursor> {
        self.last = read(disk, &self.path, self.stream)?;
        Ok(self.last)
    }

    /// What was read or written last.
    #[must_use]
    pub fn last(&self) -> Cursor {
        self.last
    }

    /// Writes the next slot; with `durable` it is fsynced, and so is the file's name.
    ///
    /// # Errors
    /// Of the disk. The slot before is still there.
    pub fn store<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        delivered: u64,
        floor: u64,
        durable: bool,
    ) -> io::Result<()> {
        let cursor = Cursor {
            generation: self.last.generation + 1,
            delivered: self.last.delivered.max(delivered),
            floor: self.last.floor.max(floor),
        };
        if self.file.is_none() {
            self.file = Some(match disk.open(&self.path, true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&self.path)?,
                opened => opened?,
            });
        }
        let Some(file) = &self.file else { unreachable!("opened above") };
        if disk.len(file)? < CURSOR_BYTES {
            disk.allocate(file, CURSOR_BYTES)?;
        }
        write_full(disk, file, cursor.slot_offset(), &cursor.encode(self.stream))?;
        if durable {
            if let Err(error) = disk.sync(file) {
                // Both slots may be lost now although reads still show them: the next write must not be the only one.
                self.file = None;
                return Err(error);
            }
            if let Some(dir) = self.path.parent() {
                disk.sync_dir(dir)?;
            }
        }
        self.last = cursor;
        Ok(())
    }
}

/// The newest whole slot of the cursor at `path`.
///
/// # Errors
/// Of the disk; a file that is missing is none.
pub fn read<D: Disk>(disk: &mut D, path: &Path, stream: u16) -> io::Result<Cursor> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Cursor::default()),
        Err(error) => return Err(error),
    };
    let mut newest = Cursor::default();
    for slot in 0..2 {
        let mut block = [0; 64];
        let offset = Cursor { generation: slot, ..newest }.slot_offset();
        read_full(disk, &file, offset, &mut block)?;
        if let Ok(cursor) = Cursor::decode(&block, stream)
            && cursor.generation >= newest.generation
        {
            newest = cursor;
        }
    }
    Ok(newest)
}
