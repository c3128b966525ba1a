//! Completes the files that a dead writer left behind, without a human.
//!
//! Every hidden open file below the root whose lock is free is cut back to its good prefix ([`super::prefix`]),
//! fsynced and given its final name; one without anything good is removed; one that can't be read is moved aside
//! as `.<name>.corrupt`. All that was acknowledged is in the good prefix, because it was fsynced. What was written
//! but not acknowledged may be there too: its client was told to retry, so it may be stored twice.
//!
//! The good prefix is written over itself before the fsync. The dead writer may have seen an fsync fail, and the
//! kernel forgets such a failure: it keeps the lines in memory, counts them as written, and lets the next fsync
//! succeed although the disk does not have them. Writing them again makes the next fsync mean what it says.
//!
//! Every step can be repeated: a crash in the middle of a recovery is followed by another recovery.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, EntryKind};
use super::layout::{LEVELS, Place};
use super::prefix::Prefix;
use super::writer;

/// How much of a file is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// What a recovery did.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Files that got their final name.
    pub(super) completed: u64,
    /// Files that held nothing good.
    pub(super) removed: u64,
    /// Files moved aside because they can't be read.
    pub(super) corrupt: u64,
    /// The first problem that kept a file or a directory from being recovered.
    pub(super) problem: Option<(PathBuf, io::Error)>,
}

impl Report {
    fn problem(&mut self, path: &Path, error: io::Error) {
        tracing::warn!(path = %path.display(), %error, "not recovered; it is tried again later");
        self.problem.get_or_insert_with(|| (path.to_path_buf(), error));
    }
}

/// Recovers everything below `root`. A root that does not exist holds nothing to recover.
pub(super) fn recover<D: Disk>(disk: &mut D, root: &Path) -> Report {
    let mut report = Report::default();
    let mut buffer = Vec::new();
    descend(disk, root, &LEVELS, &mut report, &mut buffer);
    if report.completed + report.removed > 0 {
        tracing::info!(
            dir = %root.display(),
            completed = report.completed,
            removed = report.removed,
            "recovered the files that an earlier process left open"
        );
    }
    report
}

/// Walks the directories of `levels` below `dir`, and recovers the open files of the innermost.
fn descend<D: Disk>(disk: &mut D, dir: &Path, levels: &[&str], report: &mut Report, buffer: &mut Vec<u8>) {
    let mut below = Vec::new();
    let mut open = Vec::new();
    let listed = disk.list(dir, &mut |name, kind| match (levels.first(), kind) {
        (Some(prefix), EntryKind::Directory) if name.starts_with(prefix) => below.push(dir.join(name)),
        (None, EntryKind::File) => open.extend(Place::of_open(dir, name)),
        _ => {}
    });
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => report.problem(dir, error),
        Ok(()) => {}
    }
    for dir in below {
        descend(disk, &dir, &levels[1..], report, buffer);
    }
    for place in open {
        if let Err(error) = recover_file(disk, &place, report, buffer) {
            report.problem(&place.open, error);
        }
    }
}

fn recover_file<D: Disk>(
    disk: &mut D,
    place: &Place,
    report: &mut Report,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let Some(mut file) = disk.open_abandoned(&place.open)? else { return Ok(()) };
    buffer.resize(READ_BYTES, 0);
    let good_bytes = match good_prefix(disk, &mut file, place.gzip, buffer) {
        Ok(good_bytes) => good_bytes,
        Err(error) => {
            disk.rename(&place.open, &place.corrupt)?;
            tracing::error!(path = %place.corrupt.display(), %error, "a file can't be read: moved aside");
            report.corrupt += 1;
            return Ok(());
        }
    };
    if good_bytes == 0 {
        disk.remove(&place.open)?;
        report.removed += 1;
        return Ok(());
    }
    disk.truncate(&mut file, good_bytes)?;
    write_again(disk, &mut file, good_bytes, buffer)?;
    disk.sync(&mut file)?;
    writer::complete(disk, place)?;
    report.completed += 1;
    Ok(())
}

fn good_prefix<D: Disk>(disk: &mut D, file: &mut D::File, gzip: bool, buffer: &mut [u8]) -> io::Result<u64> {
    let mut prefix = Prefix::new(gzip);
    let mut offset = 0;
    loop {
        let bytes = retried(|| disk.read_at(file, offset, buffer))?;
        offset += bytes as u64;
        if bytes == 0 || !prefix.feed(&buffer[..bytes]) {
            return Ok(prefix.good_bytes());
        }
    }
}

/// Writes the first `bytes` of the file over themselves.
fn write_again<D: Disk>(disk: &mut D, file: &mut D::File, bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
    let mut offset = 0;
    while offset < bytes {
        let read = retried(|| disk.read_at(file, offset, buffer))?;
        let mut rest = &buffer[..read];
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !rest.is_empty() {
            let written = retried(|| disk.overwrite(file, offset, rest))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written as u64;
            rest = &rest[written..];
        }
    }
    Ok(())
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
