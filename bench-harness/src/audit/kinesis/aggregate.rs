//! The Kinesis Producer Library's aggregated records, taken apart as its consumers do. Pure.
//!
//! ```text
//!   F3 89 9A C2 │ protobuf: keys, hash keys, records that name theirs by index │ MD5 of the protobuf
//! ```
//!
//! Format: "KPL Aggregated Record Format" in awslabs/amazon-kinesis-producer. Written for the audit alone: an error of the
//! target's own reader must not hide one of its writer.

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const MD5_BYTES: usize = 16;

/// One of the records in an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// What it says.
    pub data: &'a [u8],
    /// Where in the stream it belongs: its explicit hash key, else the MD5 of its partition key.
    pub hash_key: u128,
}

/// The records in `data`; `None` when it is no aggregate.
pub(super) fn parts(data: &[u8]) -> Option<Vec<Part<'_>>> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at_checked(rest.len().checked_sub(MD5_BYTES)?)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let (mut keys, mut hash_keys, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut fields = Fields(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(key)) => keys.push(key),
            (2, Value::Bytes(key)) => hash_keys.push(key),
            (3, Value::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    records.into_iter().map(|record| part(record, &keys, &hash_keys)).collect()
}

fn part<'a>(record: &'a [u8], keys: &[&[u8]], hash_keys: &[&[u8]]) -> Option<Part<'a>> {
    let (mut key, mut hash_key, mut data) = (None, None, None);
    let mut fields = Fields(record);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Number(index)) => key = Some(*keys.get(usize::try_from(index).ok()?)?),
            (2, Value::Number(index)) => hash_key = Some(*hash_keys.get(usize::try_from(index).ok()?)?),
            (3, Value::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    let hash_key = match hash_key {
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        None => u128::from_be_bytes(Md5::digest(key?).into()),
    };
    Some(Part { data: data?, hash_key })
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Fields of a protobuf message, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Outer `None`: it is no message. Inner `None`: its end.
    #[allow(clippy::option_option, reason = "two ways to have no field")]
    fn next(&mut self) -> Option<Option<(u64, Value<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Bytes(self.bytes(8)?),
            2 => {
                let len = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.bytes(len)?)
            }
            5 => Value::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }

    /// A base 128 varint.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made with AWS's `aws-kinesis-agg` 1.2.3 for Python: `{"n":1}` under user-1, `{"n":2}` under user-2 with the largest
    /// hash key, `{"n":3}` under user-1.
    const AGGREGATE: &str = "f3899ac20a06757365722d310a06757365722d3212273334303238323336363932303933383436333436333337343630373433313736383231313435351a0b08001a077b226e223a317d1a0d080110001a077b226e223a327d1a0b08001a077b226e223a337d4369206a55e1430c9dcaaf23e961ed01";

    pub(in crate::audit::kinesis) fn aggregate() -> Vec<u8> {
        let digits = AGGREGATE.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.iter().map(byte).collect()
    }

    #[test]
    fn what_another_implementation_made_is_taken_apart() {
        let bytes = aggregate();
        let parts = parts(&bytes).unwrap();
        let user_1 = u128::from_be_bytes(Md5::digest("user-1").into());
        let expected = [(b"{\"n\":1}", user_1), (b"{\"n\":2}", u128::MAX), (b"{\"n\":3}", user_1)];
        let found: Vec<_> = parts.iter().map(|part| (part.data, part.hash_key)).collect();
        assert_eq!(found, expected.map(|(data, key)| (&data[..], key)));
    }

    #[test]
    fn what_is_none_is_none() {
        let mut bytes = aggregate();
        assert_eq!(parts(b"{\"n\":1}"), None);
        assert_eq!(parts(&bytes[..10]), None);
        bytes[7] ^= 1;
        assert_eq!(parts(&bytes), None, "the MD5 is looked at");
    }

    proptest! {
        #[test]
        fn any_message_is_survived(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let digest = Md5::digest(&message);
            let _ = parts(&[&MAGIC[..], &message, &digest].concat());
        }
    }
}
