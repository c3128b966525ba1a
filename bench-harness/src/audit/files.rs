//! A directory tree of newline-delimited records, plain or gzip, at any depth.
//!
//! Files whose name begins with a dot or ends in `.open` are still being written: their last line may be torn, which
//! is no damage. In all others a line that does not end is.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::store::{Readout, Store, StoreError};

/// A directory that a target writes its records to.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    /// The tree under `dir`, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }
}

impl Store for Files {
    fn describe(&self) -> String {
        format!("files under {}", self.dir.display())
    }

    fn read(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Readout, StoreError> {
        let mut readout = Readout::default();
        let mut files = Vec::new();
        list(&self.dir, &mut files)?;
        files.sort();
        for file in files {
            readout.damaged += read_file(&file, each)?;
        }
        Ok(readout)
    }
}

/// All regular files under `dir`. What vanishes meanwhile (a file gets its final name) is found by the next reading.
fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let failed = |error| StoreError::File { path: dir.to_owned(), error };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Hands over the lines of a file; returns how many torn pieces a complete file has.
fn read_file(path: &Path, each: &mut dyn FnMut(&[u8])) -> Result<u64, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let open = name.starts_with('.') || name.ends_with(".open");
    let stored = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        stored => stored.map_err(|error| StoreError::File { path: path.to_owned(), error })?,
    };
    let mut damaged = 0;
    let text = if stored.starts_with(&[0x1f, 0x8b]) {
        let mut text = Vec::new();
        // What was decoded before the damage is kept.
        let decoded = MultiGzDecoder::new(&stored[..]).read_to_end(&mut text);
        damaged += u64::from(decoded.is_err() && !open);
        text
    } else {
        stored
    };
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(b"") => {}
            Some(line) => each(line),
            None => damaged += u64::from(!open),
        }
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_of_all_kinds_of_files_are_found_and_damage_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("year=2026/month=01");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.ndjson"), "1\n2\n").unwrap();
        fs::write(deep.join("b.gz"), [gzip(b"3\n"), gzip(b"4\n")].concat()).unwrap();
        fs::write(deep.join(".c.ndjson.open"), "5\ntorn").unwrap();
        fs::write(dir.path().join("d.ndjson"), "6\ntorn").unwrap();
        let cut = gzip(b"7\n");
        fs::write(dir.path().join("e.gz"), [gzip(b"8\n"), cut[..cut.len() - 4].to_vec()].concat()).unwrap();
        let mut lines = Vec::new();
        let readout = Files::new(dir.path().into()).read(&mut |line| lines.push(line.to_vec())).unwrap();
        lines.sort();
        lines.dedup();
        for line in [&b"1"[..], b"2", b"3", b"4", b"5", b"6", b"8"] {
            assert!(lines.contains(&line.to_vec()), "{lines:?}");
        }
        assert!(!lines.contains(&b"torn".to_vec()));
        assert_eq!(readout.damaged, 2);
    }

    #[test]
    fn a_directory_that_is_not_there_holds_nothing() {
        let mut files = Files::new("/nowhere/at/all".into());
        assert_eq!(files.read(&mut |_| panic!("a record")).unwrap(), Readout::default());
    }
}
