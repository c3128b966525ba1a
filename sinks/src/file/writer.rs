//! One open file: how far it is good, and how it is brought to its end.
//!
//! ```text
//!            durable, acknowledged          this group
//!  ┌────────────────────────────────────┬───────────────┐
//!  │ good                               │ written       │
//!  └────────────────────────────────────┴───────────────┘
//!  0                           good_bytes    written_bytes
//! ```
//!
//! Invariant: everything below `good_bytes` is complete lines (or gzip members) and was fsynced without an error.
//! Nothing above it was ever acknowledged, so a failed group is undone by cutting the file there. A file whose
//! group failed takes no further group: after a failed fsync the kernel's copy and the disk may differ
//! silently, so such a file is only ever cut, fsynced and completed.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::disk::Disk;
use super::layout::{Hour, Place};

/// A file that is being written under its hidden name.
#[derive(Debug)]
pub(super) struct OpenFile<F> {
    file: F,
    pub(super) place: Place,
    /// Hour of its directory.
    pub(super) hour: Hour,
    /// When it is completed, by age or by the hour's end.
    pub(super) complete_at: Instant,
    pub(super) good_bytes: u64,
    written_bytes: u64,
}

/// How a file came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finished {
    /// It has its final name.
    Complete,
    /// It held nothing good and is gone.
    Removed,
}

impl<F> OpenFile<F> {
    /// Makes a new file at `place`, durable as a directory entry.
    ///
    /// An error leaves nothing, or an empty file that the next recovery removes.
    pub(super) fn create<D: Disk<File = F>>(
        disk: &mut D,
        directories: &mut Directories,
        place: Place,
        hour: Hour,
        complete_at: Instant,
    ) -> io::Result<Self> {
        directories.make(disk, &place.dir)?;
        let mut created = disk.create(&place.open);
        if created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Someone cleared the directory away since it was made.
            directories.forget();
            directories.make(disk, &place.dir)?;
            created = disk.create(&place.open);
        }
        let file = created?;
        if let Err(error) = disk.sync_dir(&place.dir) {
            let _ = disk.remove(&place.open);
            return Err(error);
        }
        Ok(Self { file, place, hour, complete_at, good_bytes: 0, written_bytes: 0 })
    }

    /// Writes all of `slices` behind what is there. On an error any part of them may be written.
    pub(super) fn append<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        slices: &mut [IoSlice<'_>],
    ) -> io::Result<()> {
        let mut rest = slices;
        while rest.iter().any(|slice| !slice.is_empty()) {
            match disk.append(&mut self.file, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.written_bytes += bytes as u64;
                    IoSlice::advance_slices(&mut rest, bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes what was appended durable: it is good from now on.
    pub(super) fn commit<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<()> {
        disk.sync(&mut self.file)?;
        self.good_bytes = self.written_bytes;
        Ok(())
    }

    /// Cuts away what is not good, durably. Success means that none of it can be seen again. After this nothing
    /// may be appended.
    pub(super) fn cut<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<()> {
        disk.truncate(&mut self.file, self.good_bytes)?;
        disk.sync(&mut self.file)?;
        self.written_bytes = self.good_bytes;
        Ok(())
    }

    /// Gives the file its final name, or removes it when it holds nothing good. On an error it can be tried again.
    pub(super) fn finish<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<Finished> {
        if self.written_bytes != self.good_bytes {
            self.cut(disk)?;
        }
        if self.good_bytes == 0 {
            return match disk.remove(&self.place.open) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Finished::Removed),
            };
        }
        complete(disk, &self.place)
    }
}

/// Renames a good and durable file to its final name.
///
/// Once the rename is done the file is complete: should the directory's fsync fail and the machine too, the file
/// has its hidden name again and recovery completes it, so nothing is lost and there is nothing to try again.
pub(super) fn complete<D: Disk>(disk: &mut D, place: &Place) -> io::Result<Finished> {
    disk.rename(&place.open, &place.complete)?;
    if let Err(error) = disk.sync_dir(&place.dir) {
        tracing::warn!(dir = %place.dir.display(), %error, "the final name of a file is not durable yet");
    }
    Ok(Finished::Complete)
}

/// The directory that the sink writes to now, known to be durable up to and including the root.
#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    made: Option<PathBuf>,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, made: None }
    }

    pub(super) fn forget(&mut self) {
        self.made = None;
    }

    /// Makes `dir`, which lies below the root, and every directory above it, durably.
    ///
    /// A directory that exists is fsynced into its parent too: whoever made it may have died before that.
    fn make<D: Disk>(&mut self, disk: &mut D, dir: &Path) -> io::Result<()> {
        if self.made.as_deref() == Some(dir) {
            return Ok(());
        }
        self.make_root(disk)?;
        let mut path = self.root.clone();
        for level in dir.strip_prefix(&self.root).unwrap_or(Path::new("")).components() {
            let parent = path.clone();
            path.push(level);
            create_dir(disk, &path)?;
            disk.sync_dir(&parent)?;
        }
        self.made = Some(path);
        Ok(())
    }

    /// Makes the root and what is missing above it, from the top.
    ///
    /// All of them are fsynced, not only those made here: one may have been made by an earlier try, whose fsync
    /// failed. A directory above the root that can't be made or opened is not ours to make durable (`/` in a
    /// container); should it be missing, the root's own making fails.
    fn make_root<D: Disk>(&self, disk: &mut D) -> io::Result<()> {
        let above: Vec<&Path> = self.root.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        for (depth, path) in above.into_iter().enumerate().rev() {
            match disk.create_dir(path) {
                Err(error) if depth == 0 && error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error);
                }
                _ => {}
            }
            match disk.sync_dir(parent_of(path)) {
                Err(error) if !is_foreign(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a directory can't be fsynced because it is someone else's.
fn is_foreign(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn create_dir<D: Disk>(disk: &mut D, path: &Path) -> io::Result<()> {
    match disk.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The directory that holds `path`'s entry.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
