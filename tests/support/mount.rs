//! A file system of a known, small size: what a full disk looks like.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A tmpfs mounted on a fresh directory, unmounted when dropped. Needs the right to mount.
#[derive(Debug)]
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one of `bytes` bytes.
    pub fn mount(bytes: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target = c_path(dir.path());
        let kind = c"tmpfs";
        let options = CString::new(format!("size={bytes}")).expect("no NUL in a number");
        // SAFETY: all pointers are to NUL-terminated strings that outlive the call.
        let result =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        assert!(
            result == 0,
            "the disk-full test mounts a small tmpfs and can't: {} (run it as root)",
            io::Error::last_os_error()
        );
        Self { dir }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes until nothing more fits. Deleting the returned file frees the space.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).expect("the ballast file");
        let block = [0_u8; 4096];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return path,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Frees what [`Self::fill`] took.
    pub fn free(&self) {
        let path = self.path().join("ballast");
        fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = c_path(self.dir.path());
        // SAFETY: the pointer is to a NUL-terminated string that outlives the call. Detached, so that a process
        // that still has a file open there does not keep the mount alive.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

/// An overlay as a container's own file system is one, unmounted when dropped. Needs the right to mount.
#[derive(Debug)]
pub struct Overlay {
    dir: tempfile::TempDir,
    merged: PathBuf,
}

impl Overlay {
    /// Mounts an empty one.
    pub fn mount() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let part = |name: &str| {
            let part = dir.path().join(name);
            fs::create_dir(&part).expect("a directory");
            part
        };
        let (lower, upper, work, merged) = (part("lower"), part("upper"), part("work"), part("merged"));
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let (kind, target) = (c"overlay", c_path(&merged));
        let options = CString::new(options).expect("no NUL in a temporary path");
        // SAFETY: all pointers are to NUL-terminated strings that outlive the call.
        let result =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        assert!(
            result == 0,
            "the overlay test mounts one and can't: {} (run it as root)",
            io::Error::last_os_error()
        );
        Self { dir, merged }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.merged
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        debug_assert!(self.merged.starts_with(self.dir.path()));
        let target = c_path(&self.merged);
        // SAFETY: the pointer is to a NUL-terminated string that outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a temporary path has no NUL")
}
