//! The body of a `PutRecords` call (AWS JSON 1.1), written straight from the arenas: one copy, the base64.

use std::fmt::Write as _;

use super::base64;

/// JSON around one record's data and keys, at most.
const FRAME_BYTES: usize = 96;

/// A body in the making.
#[derive(Debug)]
pub(super) struct Request {
    body: Vec<u8>,
    records: usize,
    bytes: usize,
}

impl Request {
    /// The body of a call to `stream` (name or ARN), with room for `records` records of together `bytes` bytes.
    pub(super) fn new(stream: &str, records: usize, bytes: usize) -> Self {
        let mut body = Vec::with_capacity(64 + stream.len() + records * FRAME_BYTES + bytes / 3 * 4);
        // A name or an ARN has nothing to escape: it was checked.
        body.extend_from_slice(if stream.starts_with("arn:") {
            b"{\"StreamARN\":\""
        } else {
            b"{\"StreamName\":\""
        });
        body.extend_from_slice(stream.as_bytes());
        body.extend_from_slice(b"\",\"Records\":[");
        Self { body, records: 0, bytes: 0 }
    }

    /// Records so far.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Data and keys so far, in bytes before base64, as Kinesis counts them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record.
    pub(super) fn add(&mut self, partition_key: &str, explicit_hash_key: Option<u128>, data: &[u8]) {
        let body = &mut self.body;
        body.extend_from_slice(if self.records == 0 { b"{\"Data\":\"" } else { b",{\"Data\":\"" });
        base64::append(body, data);
        body.extend_from_slice(b"\",\"PartitionKey\":\"");
        append_escaped(body, partition_key);
        if let Some(key) = explicit_hash_key {
            body.extend_from_slice(b"\",\"ExplicitHashKey\":\"");
            let mut digits = Digits([0; 39], 0);
            // Never fails: there is room for every number.
            let _ = write!(digits, "{key}");
            body.extend_from_slice(&digits.0[..digits.1]);
            self.bytes += digits.1;
        }
        body.extend_from_slice(b"\"}");
        self.records += 1;
        self.bytes += partition_key.len() + data.len();
    }

    /// The whole body.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"]}");
        self.body
    }
}

/// The decimal digits of a number; 2^128 - 1 has 39.
struct Digits([u8; 39], usize);

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let place = self.0.get_mut(self.1..self.1 + text.len()).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.1 += text.len();
        Ok(())
    }
}

/// Appends `text` as it stands in a JSON string (RFC 8259, section 7).
fn append_escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (byte >> 4));
                out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_the_api_wants_it() {
        let mut request = Request::new("s", 2, 10);
        request.add("k", None, b"foo");
        request.add("a\"\\\u{1f}é", Some(u128::MAX), b"");
        assert_eq!((request.records(), request.bytes()), (2, 4 + 6 + 39));
        assert_eq!(
            String::from_utf8(request.finish()).unwrap(),
            "{\"StreamName\":\"s\",\"Records\":[{\"Data\":\"Zm9v\",\"PartitionKey\":\"k\"},{\"Data\":\"\",\
             \"PartitionKey\":\"a\\\"\\\\\\u001fé\",\"ExplicitHashKey\":\"340282366920938463463374607431768211455\"}]}"
        );
        let by_arn = Request::new("arn:aws:kinesis:x:1:stream/s", 0, 0).finish();
        assert!(by_arn.starts_with(b"{\"StreamARN\":\"arn:aws:kinesis:x:1:stream/s\",\"Records\":[]"));
    }
}
