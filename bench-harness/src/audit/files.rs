//! A directory tree as a store: NDJSON, plain or gzip, one record a line.
//!
//! ```text
//!   hour=09/a.ndjson.gz          complete: read to its end; a torn line in it is a record like any other, a bad one
//!   hour=09/b.ndjson             complete, and may be appended to
//!   hour=09/.c.ndjson.gz.open    still being written: read only if asked; its torn end is counted, not judged
//!   hour=09/.anything-else       not read; nor are hidden directories
//! ```
//!
//! What was there before the run and has not been touched since can't hold the run's records, and is passed over.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::store::{Item, Scope, Store, StoreError};

const BUFFER_BYTES: usize = 256 * 1024;

/// How often a read lists the tree anew because a file was renamed before it could be opened.
const LISTINGS_MAX: u32 = 5;

/// Device and inode: a file is the same when it is renamed.
type FileId = (u64, u64);

/// Length and time of the last change (s, ns).
type State = (u64, i64, i64);

/// A directory tree of NDJSON files.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    include_open: bool,
    /// As it was before the run.
    before: HashMap<FileId, State>,
}

impl Files {
    /// The tree under `directory`, with what is still being written if `include_open`.
    #[must_use]
    pub fn new(directory: PathBuf, include_open: bool) -> Self {
        Self { directory, include_open, before: HashMap::new() }
    }

    /// Every file that may hold records, and whether it is still being written. In order of their names.
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            let failed = |error| StoreError::File { path: directory.clone(), error };
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if gone(&error) && directory != self.directory => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name();
                let is_directory = entry.file_type().map_err(failed)?.is_dir();
                match kind(name.as_encoded_bytes()) {
                    Some(Kind::Complete) if is_directory => directories.push(entry.path()),
                    Some(kind) if !is_directory => files.push(Listed { path: entry.path(), kind }),
                    _ => {}
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

impl Store for Files {
    fn describe(&self) -> String {
        let open = if self.include_open { ", open files included" } else { "" };
        format!("file directory {}{open}", self.directory.display())
    }

    fn scope(&self) -> Scope {
        Scope::Everything
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let directory = fs::metadata(&self.directory)
            .map_err(|error| StoreError::File { path: self.directory.clone(), error })?;
        if !directory.is_dir() {
            return Err(StoreError::NoDirectory(self.directory.clone()));
        }
        let files = self.list()?;
        let states = files.iter().filter_map(|listed| fs::metadata(&listed.path).ok());
        self.before = states.map(|metadata| (id(&metadata), state(&metadata))).collect();
        Ok(())
    }

    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        // A file may be renamed while the tree is listed: it is then met under both names, or under the old one only.
        let mut met = HashSet::new();
        for _ in 0..LISTINGS_MAX {
            let mut renamed = false;
            for listed in self.list()? {
                let failed = |error| StoreError::File { path: listed.path.clone(), error };
                let file = match File::open(&listed.path) {
                    Ok(file) => file,
                    Err(error) if gone(&error) => {
                        renamed = true;
                        continue;
                    }
                    Err(error) => return Err(failed(error)),
                };
                let metadata = file.metadata().map_err(failed)?;
                let untouched = self.before.get(&id(&metadata)) == Some(&state(&metadata));
                if untouched || !metadata.is_file() || !met.insert(id(&metadata)) {
                    continue;
                }
                if listed.kind == Kind::Open && !self.include_open {
                    each(Item::Unread);
                    continue;
                }
                listed.read(file, each)?;
            }
            if !renamed {
                break;
            }
        }
        Ok(())
    }
}

struct Listed {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Complete,
    Open,
}

/// By its name; `None` = not to be read.
fn kind(name: &[u8]) -> Option<Kind> {
    match name.strip_prefix(b".") {
        None => Some(Kind::Complete),
        Some(hidden) if hidden.len() > b".open".len() && hidden.ends_with(b".open") => Some(Kind::Open),
        Some(_) => None,
    }
}

impl Listed {
    fn read(&self, file: File, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        let name = self.path.file_name().unwrap_or_default().as_encoded_bytes();
        let written_as =
            if self.kind == Kind::Open { name.strip_suffix(b".open").unwrap_or(name) } else { name };
        let result =
            if written_as.ends_with(b".gz") && file.metadata().map_or(1, |metadata| metadata.len()) > 0 {
                self.lines(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file)), each)
            } else {
                self.lines(file, each)
            };
        result.map_err(|error| StoreError::File { path: self.path.clone(), error })
    }

    /// Fails only where the system does; what the file holds is told to `each`.
    fn lines(&self, input: impl Read, each: &mut dyn FnMut(Item<'_>)) -> io::Result<()> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let end = input.read_until(b'\n', &mut line);
            if end.as_ref().is_err_and(|error| error.raw_os_error().is_some()) {
                return end.map(|_| ());
            }
            let place = Line { path: &self.path, number };
            let torn = self.kind == Kind::Open && !line.ends_with(b"\n");
            if torn && (!line.is_empty() || cut_short(&end)) {
                each(Item::Torn);
            }
            let record = line.strip_suffix(b"\n").unwrap_or(&line);
            if !torn && !record.is_empty() {
                each(Item::Record { bytes: record, place: &place });
            }
            match end {
                Err(error) if !(torn && error.kind() == io::ErrorKind::UnexpectedEof) => {
                    each(Item::Damaged { place: &place, why: &error });
                    return Ok(());
                }
                Ok(read) if read > 0 => {}
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

fn cut_short(end: &io::Result<usize>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

struct Line<'a> {
    path: &'a Path,
    number: u64,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.number)
    }
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

fn state(metadata: &Metadata) -> State {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests;
