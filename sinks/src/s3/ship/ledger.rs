//! The account of each hour, kept on disk until the hour is over and its manifest is stored.
//!
//! ```text
//!  <dir>/490000.ndjson      one line an object of the hour with that number: appended and fsynced when it is stored
//!  <dir>/490000.broken      a line could not be written: this hour is never declared complete
//! ```
//!
//! A manifest that is complete says: these are all objects that this writer has put, and will ever put, into the hour's
//! place. Every hour in which the writer ran has one, with no object in it where there was none.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::s3::encode::Content;
use crate::s3::layout::{Hour, epoch_s};

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    key: String,
    records: u64,
    bytes: u64,
    raw_bytes: u64,
    /// Eight hexadecimal digits.
    crc32c: String,
}

/// A manifest, as it is stored.
#[derive(Serialize)]
struct Manifest<'a> {
    version: u32,
    /// False: the writer may put more objects there, and may have put some that are not named.
    complete: bool,
    writer: uuid::Uuid,
    bucket: &'a str,
    /// First second of the hour, counted from 1970.
    hour_epoch_s: u64,
    objects: Vec<Line>,
    records: u64,
    bytes: u64,
    raw_bytes: u64,
    /// SHA-256, hexadecimal, over `<key> <records> <bytes> <crc32c>\n` of every object, in the order of keys.
    sha256: String,
}

/// Accounts of all hours that are not declared yet.
#[derive(Debug)]
pub(super) struct Ledger {
    dir: PathBuf,
    hours: BTreeMap<Hour, bool>,
}

impl Ledger {
    /// Opens the accounts in `dir`, which is made.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut hours = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let Some((number, kind)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
            let Some(hour) = number.parse().ok().and_then(Hour::from_number) else { continue };
            match kind {
                "ndjson" => {
                    let whole = cut_torn_line(&dir.join(&name)).is_ok();
                    *hours.entry(hour).or_insert(true) &= whole;
                }
                "broken" => {
                    hours.insert(hour, false);
                }
                _ => {}
            }
        }
        Ok(Self { dir: dir.to_path_buf(), hours })
    }

    fn path(&self, hour: Hour, kind: &str) -> PathBuf {
        self.dir.join(format!("{}.{kind}", hour.number()))
    }

    /// The writer runs in this hour.
    pub(super) fn enter(&mut self, hour: Hour) {
        if self.hours.contains_key(&hour) {
            return;
        }
        let made = File::create_new(self.path(hour, "ndjson")).and_then(|file| {
            file.sync_all()?;
            File::open(&self.dir)?.sync_all()
        });
        self.hours.insert(hour, true);
        self.note(hour, made.or_else(exists));
    }

    /// An object of this hour is stored. Twice the same is once.
    pub(super) fn stored(&mut self, hour: Hour, key: &str, content: &Content) {
        self.enter(hour);
        let line = Line {
            key: key.to_owned(),
            records: content.records,
            bytes: content.bytes,
            raw_bytes: content.raw_bytes,
            crc32c: format!("{:08x}", content.crc32c),
        };
        let mut text = serde_json::to_vec(&line).expect("a line is plain data");
        text.push(b'\n');
        let written = OpenOptions::new().append(true).open(self.path(hour, "ndjson")).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_data()
        });
        self.note(hour, written);
    }

    /// An account with a hole in it proves nothing: better none.
    fn note(&mut self, hour: Hour, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!(%hour, %error, "an object can't be entered into its hour's account: that hour is never declared complete");
            self.hours.insert(hour, false);
            // Survives a restart if the disk allows it; a line that is cut short is noticed as well.
            let _ = File::create(self.path(hour, "broken")).and_then(|file| file.sync_all());
        }
    }

    /// Hours with an account, ascending.
    pub(super) fn hours(&self) -> impl Iterator<Item = Hour> + '_ {
        self.hours.keys().copied()
    }

    /// The manifest of an hour. One that is to be complete there is none of when its account has a hole.
    pub(super) fn manifest(
        &self,
        hour: Hour,
        complete: bool,
        writer: uuid::Uuid,
        bucket: &str,
    ) -> Option<Vec<u8>> {
        let lines = match self.lines(hour) {
            Some(lines) => lines,
            None if complete => return None,
            None => Vec::new(),
        };
        // An object that was stored anew after a crash is there twice, and the last line is true.
        let objects: BTreeMap<String, Line> =
            lines.into_iter().map(|line| (line.key.clone(), line)).collect();
        let mut digest = Sha256::new();
        for line in objects.values() {
            digest.update(format!("{} {} {} {}\n", line.key, line.records, line.bytes, line.crc32c));
        }
        let sum = |of: fn(&Line) -> u64| objects.values().map(of).sum();
        let (records, bytes, raw_bytes) =
            (sum(|line| line.records), sum(|line| line.bytes), sum(|line| line.raw_bytes));
        let sha256 = digest.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let hour_epoch_s = epoch_s(hour.start());
        let objects = objects.into_values().collect();
        let manifest = Manifest {
            version: 1,
            complete,
            writer,
            bucket,
            hour_epoch_s,
            objects,
            records,
            bytes,
            raw_bytes,
            sha256,
        };
        Some(serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data"))
    }

    /// An hour's account; none when it has a hole.
    fn lines(&self, hour: Hour) -> Option<Vec<Line>> {
        if self.hours.get(&hour) != Some(&true) {
            return None;
        }
        let lines = fs::read_to_string(self.path(hour, "ndjson")).and_then(|text| {
            text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
        });
        match lines {
            Ok(lines) => Some(lines),
            Err(error) => {
                tracing::error!(%hour, %error, "an hour's account can't be read: it is never declared complete");
                None
            }
        }
    }

    /// The hour's manifest is stored, or there will be none.
    pub(super) fn close(&mut self, hour: Hour) {
        self.hours.remove(&hour);
        for kind in ["ndjson", "broken"] {
            let path = self.path(hour, kind);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "can't be removed: its manifest is stored again");
                }
                _ => {}
            }
        }
    }
}

/// A crash may leave half a line: its object is entered again, since the journal does not know it as delivered.
fn cut_torn_line(path: &Path) -> io::Result<()> {
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    if whole < text.len() {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

fn exists(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: uuid::Uuid = uuid::Uuid::nil();

    fn hour(number: u64) -> Hour {
        Hour::from_number(number).unwrap()
    }

    fn content(records: u64) -> Content {
        Content { records, raw_bytes: 100 * records, bytes: 10 * records, crc32c: 0xab }
    }

    #[test]
    fn an_hour_is_declared_with_all_its_objects_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.stored(hour(5), "b", &content(2));
        ledger.stored(hour(5), "a", &content(1));
        ledger.stored(hour(6), "c", &content(4));
        // After a crash the last one is stored again.
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.stored(hour(5), "b", &content(2));
        assert!(ledger.hours().eq([hour(5), hour(6)]));
        let text = ledger.manifest(hour(5), true, WRITER, "bucket").unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["objects"].as_array().unwrap().len(), 2);
        assert_eq!(value["objects"][0]["key"], "a");
        assert_eq!((&value["records"], &value["bytes"]), (&3.into(), &30.into()));
        assert_eq!(value["hour_epoch_s"], 18_000);
        let digest = Sha256::digest("a 1 10 000000ab\nb 2 20 000000ab\n");
        let hex = digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(value["sha256"], hex);
        ledger.close(hour(5));
        assert!(Ledger::open(dir.path()).unwrap().hours().eq([hour(6)]));
    }

    #[test]
    fn an_hour_without_objects_is_declared_too_and_one_with_a_hole_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.enter(hour(7));
        let text = String::from_utf8(ledger.manifest(hour(7), true, WRITER, "bucket").unwrap()).unwrap();
        assert!(text.contains("\"objects\": []"), "{text}");
        fs::remove_file(dir.path().join("7.ndjson")).unwrap();
        fs::create_dir(dir.path().join("7.ndjson")).unwrap();
        ledger.stored(hour(7), "a", &content(1));
        assert_eq!(ledger.manifest(hour(7), true, WRITER, "bucket"), None);
        // Nor after a restart.
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.manifest(hour(7), true, WRITER, "bucket"), None);
        fs::write(dir.path().join("8.ndjson"), "{\"key\":\"a\",\"rec\n").unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.manifest(hour(8), true, WRITER, "bucket"), None);
        let text = String::from_utf8(ledger.manifest(hour(8), false, WRITER, "bucket").unwrap()).unwrap();
        assert!(
            text.contains("\"complete\": false"),
            "that it is written into can be said all the same: {text}"
        );
    }

    #[test]
    fn half_a_line_is_cut_and_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.stored(hour(5), "a", &content(1));
        ledger.stored(hour(5), "b", &content(2));
        let path = dir.path().join("5.ndjson");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.stored(hour(5), "b", &content(2));
        assert_eq!(fs::read(&path).unwrap(), text);
        assert!(ledger.manifest(hour(5), true, WRITER, "bucket").is_some());
    }
}
