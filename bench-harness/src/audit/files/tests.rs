//! Trees as targets leave them.

use std::fs::OpenOptions;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// What a read gave, as text: records, `torn`, `unread`, `damaged <place>`.
fn read(files: &mut Files) -> Vec<String> {
    let mut items = Vec::new();
    files
        .read(&mut |item| {
            items.push(match item {
                Item::Record { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
                Item::Torn => "torn".into(),
                Item::Unread => "unread".into(),
                Item::Damaged { place, .. } => {
                    format!("damaged {}", place.to_string().rsplit('/').next().unwrap())
                }
            });
        })
        .unwrap();
    items
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root
}

fn contents(files: &[(&str, &[u8])], include_open: bool) -> Vec<String> {
    let root = tree(files);
    read(&mut Files::new(root.path().to_owned(), include_open))
}

#[test]
fn every_line_of_every_file_is_a_record() {
    let members = [gzip("1\n2\n"), gzip("3\n"), gzip("")].concat();
    let read = contents(
        &[("hour=09/b.ndjson.gz", &members), ("hour=10/c.ndjson", b"4\n\n5"), ("a.log", b"0\n")],
        false,
    );
    assert_eq!(read, ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn hidden_files_are_read_only_if_open_and_asked_for() {
    let files: &[(&str, &[u8])] = &[
        (".a.ndjson.open", b"1\n"),
        (".b.ndjson.corrupt", b"2\n"),
        (".open", b"3\n"),
        (".d/e.ndjson", b"4\n"),
    ];
    assert_eq!(contents(files, false), ["unread"]);
    assert_eq!(contents(files, true), ["1"]);
}

#[test]
fn the_torn_end_of_an_open_file_is_no_record() {
    let whole = gzip("1\n2\n");
    let mut torn = whole.clone();
    torn.extend_from_slice(&gzip("3\n4\n")[..11]);
    assert_eq!(contents(&[(".a.ndjson.open", b"1\n2")], true), ["1", "torn"]);
    assert_eq!(contents(&[(".a.ndjson.gz.open", &torn)], true), ["1", "2", "torn"]);
    assert_eq!(contents(&[(".a.ndjson.gz.open", &torn[..whole.len() + 4])], true), ["1", "2", "torn"]);
    assert_eq!(contents(&[(".a.ndjson.gz.open", b""), (".b.ndjson.open", b"")], true), [""; 0]);
}

#[test]
fn the_torn_end_of_a_complete_file_is_given_and_told() {
    let torn = [gzip("1\n2\n"), gzip("3\n4\n")[..10].to_vec()].concat();
    assert_eq!(contents(&[("a.ndjson", b"1\n2")], true), ["1", "2"]);
    assert_eq!(contents(&[("a.ndjson.gz", &torn)], true), ["1", "2", "damaged a.ndjson.gz:3"]);
}

#[test]
fn a_flipped_bit_in_gzip_is_damage_even_in_an_open_file() {
    let mut flipped = gzip(&"some text that is long enough\n".repeat(50));
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    for name in ["a.ndjson.gz", ".a.ndjson.gz.open"] {
        let read = contents(&[(name, &flipped)], true);
        assert!(read.iter().any(|item| item.starts_with("damaged")), "{name}: {read:?}");
    }
}

#[test]
fn what_was_there_before_and_is_untouched_is_passed_over() {
    let root = tree(&[("old.ndjson", b"1\n"), ("grows.ndjson", b"2\n")]);
    let mut files = Files::new(root.path().to_owned(), false);
    files.begin().unwrap();
    let mut grows = OpenOptions::new().append(true).open(root.path().join("grows.ndjson")).unwrap();
    grows.write_all(b"3\n").unwrap();
    fs::write(root.path().join("new.ndjson"), b"4\n").unwrap();
    assert_eq!(read(&mut files), ["2", "3", "4"]);
    assert_eq!(read(&mut files), ["2", "3", "4"], "every read gives everything");
}

#[test]
fn a_file_under_two_names_is_read_once() {
    let root = tree(&[(".a.ndjson.open", b"1\n")]);
    fs::hard_link(root.path().join(".a.ndjson.open"), root.path().join("a.ndjson")).unwrap();
    assert_eq!(read(&mut Files::new(root.path().to_owned(), true)), ["1"]);
}

#[test]
fn a_file_renamed_after_the_listing_is_read_in_the_same_read() {
    let root = tree(&[(".a.ndjson.open", b"1\n"), (".b.ndjson.open", b"2\n")]);
    let mut records = Vec::new();
    Files::new(root.path().to_owned(), true)
        .read(&mut |item| {
            let Item::Record { bytes, .. } = item else { panic!("not a record") };
            records.push(bytes.to_vec());
            for name in ["a", "b"] {
                let complete = root.path().join(format!("{name}.ndjson"));
                let _renamed_already = fs::rename(root.path().join(format!(".{name}.ndjson.open")), complete);
            }
        })
        .unwrap();
    assert_eq!(records, [b"1", b"2"]);
}

#[test]
fn files_renamed_while_they_are_read_are_read_once() {
    let root = tree(&[]);
    let path = root.path().to_owned();
    let names: Vec<_> = (0..200)
        .map(|n| (path.join(format!(".{n}.ndjson.open")), path.join(format!("{n}.ndjson"))))
        .collect();
    for (n, (open, _)) in names.iter().enumerate() {
        fs::write(open, format!("{n}\n")).unwrap();
    }
    let completing = std::thread::spawn(move || {
        for (open, complete) in names {
            fs::rename(open, complete).unwrap();
        }
    });
    let mut files = Files::new(path, true);
    let mut last = 0;
    while last == 0 {
        last = usize::from(completing.is_finished());
        let mut records = read(&mut files);
        records.sort_by_key(|record| record.parse::<u32>().unwrap());
        let mut distinct = records.clone();
        distinct.dedup();
        assert_eq!(records, distinct, "a record was given twice");
        if last == 1 {
            assert_eq!(records.len(), 200);
        }
    }
    completing.join().unwrap();
}

#[test]
fn a_store_that_is_not_there_is_said_so_before_the_run() {
    let root = tree(&[("file", b"")]);
    let error = Files::new(root.path().join("none"), false).begin().unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    let error = Files::new(root.path().join("file"), false).begin().unwrap_err();
    assert!(error.to_string().contains("not a directory"), "{error}");
}
