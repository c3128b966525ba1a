//! What a file sink has completed: every record under a final name.
//!
//! Files still being written have hidden names (a leading dot) and are not looked at. A file that has its final
//! name must be complete: every gzip member whole, every line ended. One that is not fails the test that reads it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::record::{Record, fits};

/// The completed files below `dir`, in the order of their names.
pub fn completed_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if is_data(&path) {
            assert_layout(root, dir);
            found.push(path);
        }
    }
}

/// Readers take the compression from the last extension.
fn is_data(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "ndjson")
}

/// Readers find files by day and hour: `year=2026/month=11/day=23/hour=07`.
fn assert_layout(root: &Path, dir: &Path) {
    let below = dir.strip_prefix(root).expect("found below the root").to_string_lossy().into_owned();
    assert!(fits(&below, "year=9999/month=99/day=99/hour=99"), "not an hour's directory: {below}");
}

/// The lines of one completed file, without their ends.
pub fn lines_of(path: &Path) -> Vec<String> {
    let name = path.display();
    let raw = fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let bytes = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut decoded = Vec::new();
        MultiGzDecoder::new(raw.as_slice())
            .read_to_end(&mut decoded)
            .unwrap_or_else(|error| panic!("{name} has its final name and is broken: {error}"));
        decoded
    } else {
        raw
    };
    let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!text.is_empty(), "{name} has its final name and is empty");
    assert!(text.ends_with('\n'), "{name} has its final name and ends inside a line");
    text.lines().map(str::to_owned).collect()
}

/// Every completed line below `dir`.
pub fn completed_lines(dir: &Path) -> Vec<String> {
    completed_files(dir).iter().flat_map(|path| lines_of(path)).collect()
}

/// Every completed record below `dir`, each checked against the contract.
pub fn completed_records(dir: &Path) -> Vec<Record> {
    let parse = |line: &String| Record::parse(line).unwrap_or_else(|reason| panic!("stored: {reason}"));
    completed_lines(dir).iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn hour(root: &Path) -> PathBuf {
        let hour = root.join("year=2026/month=11/day=23/hour=07");
        fs::create_dir_all(&hour).unwrap();
        hour
    }

    #[test]
    fn plain_and_multi_member_gzip_are_read_and_hidden_names_are_not() {
        let root = tempfile::tempdir().unwrap();
        let hour = hour(root.path());
        fs::write(hour.join("a.gz"), [gzip("1\n2\n"), gzip("3\n")].concat()).unwrap();
        fs::write(hour.join("b.ndjson"), "4\n").unwrap();
        fs::write(hour.join(".c.gz"), "half a fi").unwrap();
        assert_eq!(completed_lines(root.path()), ["1", "2", "3", "4"]);
    }

    #[test]
    #[should_panic(expected = "is broken")]
    fn a_torn_gzip_under_a_final_name_fails() {
        let root = tempfile::tempdir().unwrap();
        let whole = gzip("some lines\nthat are cut\n");
        fs::write(hour(root.path()).join("a.gz"), &whole[..whole.len() - 6]).unwrap();
        completed_lines(root.path());
    }

    #[test]
    #[should_panic(expected = "ends inside a line")]
    fn a_torn_line_under_a_final_name_fails() {
        let root = tempfile::tempdir().unwrap();
        fs::write(hour(root.path()).join("a.ndjson"), "{}\n{\"a\"").unwrap();
        completed_lines(root.path());
    }

    #[test]
    #[should_panic(expected = "not an hour's directory")]
    fn a_file_outside_the_layout_fails() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.ndjson"), "{}\n").unwrap();
        completed_lines(root.path());
    }
}
