//! The few operations that the file sink asks of a file system, as a trait, so that a test or a simulation can
//! answer with every fault. [`OsDisk`] is the real one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else; symbolic links are not followed.
    Other,
}

/// A file system, used by one thread. Errors are those of the operating system; `EINTR` may be returned.
pub trait Disk: Send {
    /// An open file. It is locked against other processes for as long as it lives.
    type File: Send;

    /// Makes one directory level (mkdir); an error of kind `AlreadyExists` when something has that name.
    fn create_dir(&mut self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable (fsync of the directory).
    fn sync_dir(&mut self, path: &Path) -> io::Result<()>;

    /// Makes and locks a new, empty file; `AlreadyExists` when something has that name.
    fn create(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Opens and locks a file that nobody has open as a writer; `None` when a living writer holds it or it went
    /// away meanwhile.
    fn open_abandoned(&mut self, path: &Path) -> io::Result<Option<Self::File>>;

    /// Calls `entry` with the name and kind of everything in a directory; names that are not UTF-8 are left out.
    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, EntryKind)) -> io::Result<()>;

    /// Renames within one directory, atomically.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Appends some of the bytes of `slices`, in order, and returns how many.
    fn append(&mut self, file: &mut Self::File, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Reads some bytes from `offset` on; 0 at the end of the file.
    fn read_at(&mut self, file: &mut Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes` over what is at `offset`, within the file's length, and returns how many.
    fn overwrite(&mut self, file: &mut Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file to `bytes`. Nothing is appended to a file once it was cut.
    fn truncate(&mut self, file: &mut Self::File, bytes: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable (fdatasync).
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;
}

/// The operating system's file system. The lock is an exclusive `flock` on the open file, so it ends with the
/// process; where a file system has none, opening fails rather than risk two writers on one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// Whether `path` is still the name of `file`: it may have been renamed or removed before the lock was held.
    fn is_named(file: &File, path: &Path) -> io::Result<bool> {
        let here = file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Disk for OsDisk {
    type File = File;

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // What file systems without an fsync of directories answer (some network and FUSE ones): there is
            // nothing to do for them.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<File> {
        // Between making the file and locking it, another process's recovery may find it, empty and unlocked,
        // and remove it. Then it is made again; the loop ends because recovery passes once.
        loop {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            if let Err(error) = file.lock() {
                let _ = fs::remove_file(path);
                return Err(error);
            }
            if Self::is_named(&file, path)? {
                return Ok(file);
            }
        }
    }

    fn open_abandoned(&mut self, path: &Path) -> io::Result<Option<File>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self::is_named(&file, path)?.then_some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, EntryKind)) -> io::Result<()> {
        for item in fs::read_dir(dir)? {
            let item = item?;
            let kind = match item.file_type()? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            if let Some(name) = item.file_name().to_str() {
                entry(name, kind);
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn append(&mut self, file: &mut File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        file.write_vectored(slices)
    }

    fn read_at(&mut self, file: &mut File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(file, into, offset)
    }

    fn overwrite(&mut self, file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        FileExt::write_at(file, bytes, offset)
    }

    fn truncate(&mut self, file: &mut File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }
}
