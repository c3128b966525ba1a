//! Tests of the file sink: on a modelled disk with faults and crashes, and on a real one.

mod crash;
mod faults;
mod harness;
mod model;
mod real;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Compression, Options};

const GZIP: Compression = Compression::Gzip { level: 1 };
const BOTH: [Compression; 2] = [Compression::None, GZIP];

fn options(dir: impl Into<PathBuf>, compression: Compression) -> Options {
    Options {
        dir: dir.into(),
        compression,
        rotate_bytes: 1 << 20,
        rotate_age: Duration::from_mins(10),
        record_bytes_max: 1 << 20,
    }
}

/// The lines of one complete file.
fn lines(path: &Path, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut text = Vec::new();
    if path.extension().is_some_and(|suffix| suffix == "gz") {
        let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
        std::io::Read::read_to_end(&mut decoder, &mut text).expect("every member is whole");
    } else {
        text.extend_from_slice(bytes);
    }
    assert!(!text.is_empty(), "no file is empty");
    assert_eq!(text.pop(), Some(b'\n'), "the last line is whole");
    text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
}
