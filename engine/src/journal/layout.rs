//! The names of the journal's files and directories.
//!
//! ```text
//!  <journal.dir>/lock                        flock; holds the process id of whoever has it
//!  <journal.dir>/<sink>/note                 the consumer's note; note.new while it is written
//!  <journal.dir>/<sink>/quarantine/          bytes of what was damaged
//!  <journal.dir>/<sink>/0003/delivered       cursor of stream 3
//!  <journal.dir>/<sink>/0003/0000000001000000.seg      a segment, by its first sequence number
//!  <journal.dir>/<sink>/0003/0000000000000000.spare    a segment to be used again, or one that is being made
//! ```

use std::path::{Path, PathBuf};

use super::format::SEQUENCES_PER_SEGMENT;

/// Name of the lock file.
pub const LOCK: &str = "lock";
/// Name of a consumer's note.
pub const NOTE: &str = "note";
/// Name of a note that is being written.
pub const NOTE_NEW: &str = "note.new";
/// Name of the directory for damaged bytes.
pub const QUARANTINE: &str = "quarantine";
/// Name of a stream's cursor file.
pub const CURSOR: &str = "delivered";

/// What a name in a stream's directory means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEntry {
    /// A segment, with its first sequence number.
    Segment(u64),
    /// A file without records that may be used for a segment; the number tells them apart.
    Spare(u64),
    /// The cursor.
    Cursor,
    /// Nothing of ours.
    Foreign,
}

/// What `name` in a stream's directory means.
#[must_use]
pub fn stream_entry(name: &str) -> StreamEntry {
    let number = |suffix: &str| {
        let digits = name.strip_suffix(suffix)?;
        let plain = digits.len() == 16
            && digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    if name == CURSOR {
        return StreamEntry::Cursor;
    }
    match (number(".seg"), number(".spare")) {
        // The last numbers of all are left out: there would be none behind them.
        (Some(first), _)
            if first.is_multiple_of(SEQUENCES_PER_SEGMENT)
                && first < u64::MAX - 2 * SEQUENCES_PER_SEGMENT =>
        {
            StreamEntry::Segment(first)
        }
        (_, Some(number)) => StreamEntry::Spare(number),
        _ => StreamEntry::Foreign,
    }
}

/// The stream that a directory's name stands for.
#[must_use]
pub fn stream_number(name: &str) -> Option<u16> {
    let number = name.parse().ok()?;
    (stream_name(number) == name).then_some(number)
}

/// The directory's name of a stream: at least four decimal digits.
#[must_use]
pub fn stream_name(stream: u16) -> String {
    format!("{stream:04}")
}

/// Path of a segment.
#[must_use]
pub fn segment(stream_dir: &Path, first_sequence: u64) -> PathBuf {
    stream_dir.join(format!("{first_sequence:016x}.seg"))
}

/// Path of a spare.
#[must_use]
pub fn spare(stream_dir: &Path, number: u64) -> PathBuf {
    stream_dir.join(format!("{number:016x}.spare"))
}

/// Path of the copy of damaged bytes: where they were is its name, so that they are copied once.
#[must_use]
pub fn quarantined(sink_dir: &Path, stream: u16, first_sequence: u64, offset: u64) -> PathBuf {
    let name = format!("{}-{first_sequence:016x}-{offset:08x}.bad", stream_name(stream));
    sink_dir.join(QUARANTINE).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_foreign_ones_are_told() {
        let dir = Path::new("/j/s/0003");
        let entry = |path: PathBuf| stream_entry(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(entry(segment(dir, 0x300_0000)), StreamEntry::Segment(0x300_0000));
        assert_eq!(entry(spare(dir, 9)), StreamEntry::Spare(9));
        assert_eq!(stream_entry("delivered"), StreamEntry::Cursor);
        for name in [
            "0000000000000001.seg",
            "0000000001000000.seg.bak",
            "0000000001000000 (copy).seg",
            "000000000A000000.seg",
            "+000000001000000.seg",
            "1000000.seg",
            "ffffffffff000000.seg",
            "lost+found",
        ] {
            assert_eq!(stream_entry(name), StreamEntry::Foreign, "{name}");
        }
    }

    #[test]
    fn streams_have_one_name_each() {
        for stream in [0, 3, 9999, u16::MAX] {
            assert_eq!(stream_number(&stream_name(stream)), Some(stream));
        }
        for name in ["3", "00003", "-001", "quarantine", "65536", "+003"] {
            assert_eq!(stream_number(name), None, "{name}");
        }
    }
}
