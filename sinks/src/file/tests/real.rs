//! The same sink on the real file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{BOTH, Compression, GZIP, Options, lines, options};
use crate::conformance::{self, Subject};
use crate::file::{FileSink, check, open};
use crate::{Batch, Delivery, FaultKind, Health, Origin, Records, Settled, Sink, Submission, Wake};

fn open_in(options: &Options) -> FileSink {
    open(options, SystemTime::now, Wake::new(|| ())).expect("the options work")
}

/// Every file below `dir`, open and hidden ones too.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Vec<Vec<u8>> {
    lines(path, &fs::read(path).unwrap())
}

fn deliver(sink: &mut FileSink, value: &[u8]) {
    let mut batch = Batch::new(Origin { shard: 0, slot: 0 }, value.len() + 8, 1);
    batch
        .append_with(|free| {
            free[..3].copy_from_slice(b"key");
            free[3..3 + value.len()].copy_from_slice(value);
            Some((3, value.len()))
        })
        .unwrap();
    let now = Instant::now();
    sink.submit(Submission { batch, records: Records::All, deadline: now + Duration::from_mins(1) }, now);
    let mut settled: Vec<Settled> = Vec::new();
    sink.poll(now, &mut settled);
    assert_eq!(settled.len(), 1);
    assert_eq!(settled[0].delivery, Delivery::All);
    assert_eq!(sink.health(), Health::Up);
}

struct Files(Options);

impl Subject for Files {
    type Sink = FileSink;

    fn open(&self, wake: Wake) -> FileSink {
        open(&self.0, SystemTime::now, wake).expect("the options work")
    }

    fn stored(&self) -> Option<Vec<Vec<u8>>> {
        if !self.0.dir.exists() {
            return Some(Vec::new());
        }
        Some(files(&self.0.dir).iter().flat_map(|path| read(path)).collect())
    }
}

#[test]
fn it_keeps_the_contract_of_a_sink() {
    for compression in BOTH {
        for rotate_bytes in [1, 3000, 1 << 30] {
            let dir = tempfile::tempdir().unwrap();
            conformance::all(&Files(Options {
                rotate_bytes,
                ..options(dir.path().join("a/b"), compression)
            }));
            assert!(
                files(dir.path()).iter().all(|path| !path
                    .file_name()
                    .unwrap()
                    .as_encoded_bytes()
                    .starts_with(b"."))
            );
        }
    }
}

/// A sink whose directory can't be written settles everything too, with faults.
struct Forbidden(Options);

impl Subject for Forbidden {
    type Sink = FileSink;

    fn open(&self, wake: Wake) -> FileSink {
        open(&self.0, SystemTime::now, wake).expect("an outage never fails the opening")
    }

    fn works(&self) -> bool {
        false
    }
}

#[test]
fn it_keeps_the_contract_in_an_outage() {
    // No one may make a directory here, not even root.
    conformance::all(&Forbidden(options("/proc/self/millrun", Compression::None)));
}

#[test]
fn a_dead_writers_file_is_recovered_and_a_living_ones_is_not_robbed() {
    for compression in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), compression);
        let mut dead = open_in(&options);
        deliver(&mut dead, b"{\"dead\":1}");
        deliver(&mut dead, b"{\"dead\":2}");
        // What a crash in the middle of a write leaves behind.
        drop(dead);
        let left = files(dir.path());
        let mut torn = fs::read(&left[0]).unwrap();
        torn.extend_from_slice(b"{\"torn\":\0\0\0");
        fs::write(&left[0], torn).unwrap();

        let mut living = open_in(&options);
        let recovered = files(dir.path());
        assert_eq!(recovered.len(), 1);
        assert_eq!(read(&recovered[0]), [b"{\"dead\":1}", b"{\"dead\":2}"]);
        deliver(&mut living, b"{\"living\":1}");
        let third = open_in(&options);
        drop(third);
        assert_eq!(files(dir.path()).len(), 2);
        deliver(&mut living, b"{\"living\":2}");
        living.close(Instant::now(), Instant::now() + Duration::from_mins(1));
        living.poll(Instant::now(), &mut Vec::new());
        assert!(living.is_idle());
        let mut all: Vec<_> = files(dir.path()).iter().flat_map(|path| read(path)).collect();
        all.sort();
        let expected = ["{\"dead\":1}", "{\"dead\":2}", "{\"living\":1}", "{\"living\":2}"];
        assert_eq!(all, expected.map(|line| line.as_bytes().to_vec()));
    }
}

#[test]
fn a_large_group_goes_through_the_compressor_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = open_in(&options(dir.path(), GZIP));
    // Hardly compressible, and larger than every buffer on the way.
    let mut rng = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..900_000).map(|_| rng.alphanumeric() as u8).collect();
    deliver(&mut sink, &noise);
    deliver(&mut sink, b"{}");
    // Recovered rather than closed: the scanner sees the same blocks.
    drop(sink);
    drop(open_in(&options(dir.path(), GZIP)));
    let files = files(dir.path());
    assert!(files[0].to_str().unwrap().ends_with(".ndjson.gz"), "{files:?}");
    assert!(read(&files[0]) == [noise, b"{}".to_vec()]);
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let good = options(dir.path(), Compression::None);
    for (options, key) in [
        (Options { dir: file.clone(), ..good.clone() }, "dir"),
        (Options { dir: file.join("below"), ..good.clone() }, "dir"),
        (Options { dir: PathBuf::new(), ..good.clone() }, "dir"),
        (Options { compression: Compression::Gzip { level: 0 }, ..good.clone() }, "compression"),
        (Options { compression: Compression::Gzip { level: 10 }, ..good.clone() }, "compression"),
        (Options { rotate_bytes: 0, ..good.clone() }, "rotate_bytes"),
        (Options { rotate_age: Duration::ZERO, ..good.clone() }, "rotate_age"),
        (Options { record_bytes_max: 0, ..good.clone() }, "record_bytes_max"),
    ] {
        let error = open(&options, SystemTime::now, Wake::new(|| ())).expect_err(key);
        assert_eq!(error.key, key);
    }
}

#[test]
fn check_makes_the_directory_and_leaves_nothing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = options(dir.path().join("a/b"), Compression::None);
    let report = check(&wanted).unwrap();
    assert!(report[0].ends_with("made") && report.iter().any(|line| line.contains("MiB free")), "{report:?}");
    assert!(check(&wanted).unwrap()[0].ends_with("exists"));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
    let fault = check(&options("/proc/self/millrun", Compression::None)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageFailed);
}
