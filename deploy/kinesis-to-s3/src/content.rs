//! A Kinesis record to the events that it holds: a line of JSON each.
//!
//! The engine writes one JSON object per record, or many in the KPL's aggregated format, each perhaps compressed.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use millrun_sinks::kpl::{self, Content};
use serde::de::IgnoredAny;

/// Largest event after decompression: what no event of the engine's comes near, and a decompression bomb reaches soon.
pub const EVENT_BYTES_MAX: u64 = 32 << 20;

/// Why something is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// The record's data.
    #[error("not base64: {0}")]
    NotBase64(String),
    /// An aggregated record.
    #[error("{0}")]
    Malformed(kpl::Malformed),
    /// A compressed event.
    #[error("{format}: {problem}")]
    NotCompressed {
        /// gzip or zstd.
        format: &'static str,
        /// What its reader says.
        problem: String,
    },
    /// A compressed event.
    #[error("{format}: more than {EVENT_BYTES_MAX} bytes")]
    TooLarge {
        /// gzip or zstd.
        format: &'static str,
    },
    /// Not text.
    #[error("not UTF-8: {0}")]
    NotText(std::str::Utf8Error),
    /// Not JSON, or no object.
    #[error("not one JSON object: {0}")]
    NotAnObject(String),
}

/// One event, or what should have been one.
pub struct Found<'a> {
    /// Its number in an aggregated record.
    pub part: Option<usize>,
    /// Its partition key in an aggregated record.
    pub partition_key: Option<&'a str>,
    /// As it was written.
    pub data: &'a [u8],
    /// The line, without its newline; or why there is none.
    pub line: Result<Vec<u8>, Poison>,
}

/// Hands every event in `data`, a Kinesis record's, to `each`.
///
/// # Errors
/// When the record as a whole makes no sense; `each` was not called.
pub fn events(data: &[u8], each: &mut dyn FnMut(Found<'_>)) -> Result<(), Poison> {
    match kpl::read(data).map_err(Poison::Malformed)? {
        Content::Plain(data) => each(Found { part: None, partition_key: None, data, line: line(data) }),
        Content::Aggregated(records) => {
            for (number, record) in records.iter().enumerate() {
                each(Found {
                    part: Some(number),
                    partition_key: Some(record.partition_key),
                    data: record.data,
                    line: line(record.data),
                });
            }
        }
    }
    Ok(())
}

/// The event as a line.
fn line(data: &[u8]) -> Result<Vec<u8>, Poison> {
    let mut line = plain(data)?;
    let text = std::str::from_utf8(&line).map_err(Poison::NotText)?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Poison::NotAnObject("it does not begin with {".to_owned()));
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| Poison::NotAnObject(error.to_string()))?;
    // In valid JSON they stand between tokens only (RFC 8259 section 7).
    for byte in line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    Ok(line)
}

/// What was compressed, by the numbers that gzip (RFC 1952) and zstd (RFC 8878) begin with; JSON begins otherwise.
fn plain(data: &[u8]) -> Result<Vec<u8>, Poison> {
    match data {
        [0x1F, 0x8B, ..] => bounded("gzip", MultiGzDecoder::new(data)),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            let problem =
                |error: std::io::Error| Poison::NotCompressed { format: "zstd", problem: error.to_string() };
            bounded("zstd", zstd::Decoder::with_buffer(data).map_err(problem)?)
        }
        _ => Ok(data.to_vec()),
    }
}

fn bounded(format: &'static str, reader: impl Read) -> Result<Vec<u8>, Poison> {
    let mut plain = Vec::new();
    let read = reader.take(EVENT_BYTES_MAX + 1).read_to_end(&mut plain);
    let read = read.map_err(|error| Poison::NotCompressed { format, problem: error.to_string() })?;
    if read as u64 > EVENT_BYTES_MAX { Err(Poison::TooLarge { format }) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use millrun_sinks::kpl::Aggregate;
    use proptest::prelude::*;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(data).unwrap();
        gzip.finish().unwrap()
    }

    fn lines(data: &[u8]) -> Vec<Result<String, String>> {
        let mut lines = Vec::new();
        let mut each = |found: Found<'_>| {
            let line = found.line.map(|line| String::from_utf8(line).unwrap());
            lines.push(line.map_err(|poison| poison.to_string()));
        };
        events(data, &mut each).unwrap();
        lines
    }

    #[test]
    fn an_event_is_passed_on_byte_for_byte_whatever_it_was_wrapped_in() {
        let event = br#"{"appId":"a","data":"[{\"a\":1.50}]  \n","rid":"0"}"#;
        let same = [Ok(String::from_utf8(event.to_vec()).unwrap())];
        assert_eq!(lines(event), same);
        assert_eq!(lines(&gzip(event)), same);
        assert_eq!(lines(&zstd::encode_all(&event[..], 3).unwrap()), same);
        let mut aggregate = Aggregate::default();
        aggregate.add("k", None, event);
        aggregate.add("k", None, &gzip(event));
        aggregate.add("k", None, b"poison");
        let found = lines(aggregate.finish());
        assert_eq!(found[..2], [same[0].clone(), same[0].clone()]);
        assert!(found[2].as_ref().is_err_and(|why| why.contains("not one JSON object")));
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(lines(b"{\n\t\"a\":\r\n1}"), [Ok("{ \t\"a\":  1}".to_owned())]);
    }

    #[test]
    fn what_is_no_event_says_why() {
        for (data, says) in [
            (&b""[..], "not one JSON object"),
            (b"[1]", "does not begin with {"),
            (b"{\"a\":1}{\"b\":2}", "not one JSON object"),
            (b"{\"a\":", "not one JSON object"),
            (b"{\"a\":\"\xFF\"}", "not UTF-8"),
            (&[0x1F, 0x8B, 8], "gzip: "),
            (&[0x28, 0xB5, 0x2F, 0xFD, 1], "zstd: "),
            (&gzip(b"nothing"), "not one JSON object"),
            (&gzip(&vec![b' '; (32 << 20) + 1]), "gzip: more than"),
        ] {
            let found = lines(data);
            assert!(found[0].as_ref().is_err_and(|why| why.contains(says)), "{says}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_line_or_a_reason(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut count = 0;
            let mut each = |found: Found<'_>| {
                count += 1;
                if let Ok(line) = found.line {
                    assert!(!line.contains(&b'\n') && serde_json::from_slice::<serde_json::Value>(&line).is_ok());
                }
            };
            if events(&data, &mut each).is_ok() {
                prop_assert!(count > 0 || data.len() == 20);
            }
        }
    }
}
