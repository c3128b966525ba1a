//! The few operations that the journal asks of a file system, as a trait, so that a test or a simulation can answer
//! with every fault. [`OsDisk`] is the real one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// Anything else; symbolic links are not followed.
    Other,
}

/// Why the lock was not given.
#[derive(Debug)]
pub enum LockError {
    /// A living process has it; its id, where the file says it.
    Held(Option<u32>),
    /// The file system's reason.
    Io(io::Error),
}

/// A file system. Clones are handles to the same one; each is used by one thread. All calls block. Errors are those of
/// the operating system; `EINTR` may be returned.
pub trait Disk: Clone + std::fmt::Debug + Send + 'static {
    /// An open file; may be used from several threads by whoever knows that they don't write the same bytes.
    type File: std::fmt::Debug + Send + Sync;
    /// Held for as long as the lock is.
    type Lock: std::fmt::Debug + Send;

    /// Makes one directory level (mkdir); `AlreadyExists` when something has that name.
    fn create_dir(&mut self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable (fsync of the directory).
    fn sync_dir(&mut self, path: &Path) -> io::Result<()>;

    /// Calls `entry` for everything in a directory whose name is UTF-8.
    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, Entry)) -> io::Result<()>;

    /// Makes a new, empty file for reading and writing; `AlreadyExists` when something has that name.
    fn create(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file, also for writing if `write`.
    fn open(&mut self, path: &Path, write: bool) -> io::Result<Self::File>;

    /// The length of an open file in bytes.
    fn len(&mut self, file: &Self::File) -> io::Result<u64>;

    /// Gives the file this length and room on the disk for all of it, where the file system can (fallocate).
    fn allocate(&mut self, file: &Self::File, bytes: u64) -> io::Result<()>;

    /// Reads some bytes from `offset` on; 0 at the end of the file.
    fn read_at(&mut self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` and returns how many.
    fn write_at(&mut self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the file's bytes and length durable (fdatasync).
    fn sync(&mut self, file: &Self::File) -> io::Result<()>;

    /// Renames within one directory, atomically; what has the new name already is replaced.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Takes the lock on `path`, a file that is made if there is none, and writes this process's id into it.
    fn lock(&mut self, path: &Path) -> Result<Self::Lock, LockError>;
}

/// Reads until `into` is full or the file ends; returns the bytes read.
///
/// # Errors
/// Of the disk; `EINTR` is tried again.
pub fn read_full<D: Disk>(disk: &mut D, file: &D::File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match retried(|| disk.read_at(file, offset + done as u64, &mut into[done..]))? {
            0 => break,
            bytes => done += bytes,
        }
    }
    Ok(done)
}

/// Writes all of `bytes`.
///
/// # Errors
/// Of the disk; `EINTR` is tried again.
pub fn write_full<D: Disk>(disk: &mut D, file: &D::File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retried(|| disk.write_at(file, offset + done as u64, &bytes[done..]))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            bytes => done += bytes,
        }
    }
    Ok(())
}

/// Makes a directory unless it is there, and its name durable. Also of one that is there: whoever made it may have died
/// before the fsync.
///
/// # Errors
/// Of the disk.
pub fn ensure_dir<D: Disk>(disk: &mut D, path: &Path) -> io::Result<()> {
    match disk.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_dir(parent),
        _ => disk.sync_dir(Path::new(".")),
    }
}

/// The result of `call` once no signal interrupts it.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    type File = File;
    type Lock = File;

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

    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, Entry)) -> io::Result<()> {
        for item in fs::read_dir(dir)? {
            let item = item?;
            let metadata = match item.metadata() {
                Ok(metadata) => metadata,
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let kind = if metadata.is_file() {
                Entry::File(metadata.len())
            } else if metadata.is_dir() {
                Entry::Directory
            } else {
                Entry::Other
            };
            if let Some(name) = item.file_name().to_str() {
                entry(name, kind);
            }
        }
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    fn open(&mut self, path: &Path, write: bool) -> io::Result<File> {
        OpenOptions::new().read(true).write(write).open(path)
    }

    fn len(&mut self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn allocate(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        let len = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            // SAFETY: the descriptor is open for as long as `file` is borrowed; no pointer is passed.
            if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                // No room can be set aside there. A disk that is full then shows when a frame is written or synced,
                // which is handled as any other failure of it.
                Some(libc::EOPNOTSUPP | libc::ENOSYS) => return file.set_len(bytes),
                _ => return Err(error),
            }
        }
    }

    fn read_at(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(file, into, offset)
    }

    fn write_at(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        FileExt::write_at(file, bytes, offset)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn lock(&mut self, path: &Path) -> Result<File, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&file).take(32).read_to_string(&mut text);
                return Err(LockError::Held(text.trim().parse().ok()));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // The id is for people; a disk that can't take it does not keep the engine from starting.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(file)
    }
}
