//! Reads a Kinesis record that may be an aggregated one.

use md5::{Digest, Md5};

use super::protobuf::{Field, Reader};
use super::{DIGEST_BYTES, MAGIC, hash_key_of};

/// One of the records that an aggregated record holds; borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// The key that its writer gave it.
    pub partition_key: &'a str,
    /// The explicit hash key, decimal, where its writer gave it one.
    pub explicit_hash_key: Option<&'a str>,
    /// What was written.
    pub data: &'a [u8],
}

impl UserRecord<'_> {
    /// Its place in the stream: what a consumer compares with the shard's range. The explicit hash key where there is
    /// a valid one, otherwise that of the partition key.
    #[must_use]
    pub fn hash_key(&self) -> u128 {
        let explicit = self.explicit_hash_key.and_then(|key| key.parse().ok());
        explicit.unwrap_or_else(|| hash_key_of(self.partition_key))
    }
}

/// What a Kinesis record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A record as its writer made it. Also what begins with the magic by chance: its digest does not fit.
    Plain(&'a [u8]),
    /// An aggregated record's user records, in the order in which they were added.
    Aggregated(Vec<UserRecord<'a>>),
}

/// Magic and digest are right, but what they enclose is no aggregated record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an aggregated record with a valid digest that can't be read: {0}")]
pub struct Malformed(&'static str);

/// Takes a Kinesis record's data apart.
///
/// # Errors
/// [`Malformed`] for a record that was written broken: no reader will ever make sense of it.
pub fn read(data: &[u8]) -> Result<Content<'_>, Malformed> {
    let inner = data.strip_prefix(&MAGIC[..]).and_then(|rest| rest.split_last_chunk::<DIGEST_BYTES>());
    match inner {
        Some((message, digest)) if Md5::digest(message).as_slice() == digest => {
            user_records(message).map(Content::Aggregated).map_err(Malformed)
        }
        _ => Ok(Content::Plain(data)),
    }
}

fn user_records<'a>(message: &'a [u8]) -> Result<Vec<UserRecord<'a>>, &'static str> {
    let (mut partition_keys, mut explicit_hash_keys, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = Reader(message);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, Field::Bytes(key)) => partition_keys.push(text(key)?),
            (2, Field::Bytes(key)) => explicit_hash_keys.push(text(key)?),
            (3, Field::Bytes(record)) => records.push(raw(record)?),
            // A field of a later version.
            _ => {}
        }
    }
    // The tables may follow the records, so indices are looked up when all is read.
    let resolve = |record: Raw<'a>| {
        let explicit = record.explicit_hash_key.map(|index| at(&explicit_hash_keys, index));
        Ok(UserRecord {
            partition_key: at(&partition_keys, record.partition_key)?,
            explicit_hash_key: explicit.transpose()?,
            data: record.data,
        })
    };
    records.into_iter().map(resolve).collect()
}

/// A record as it lies in the message: its keys are places in the tables.
#[derive(Clone, Copy)]
struct Raw<'a> {
    partition_key: u64,
    explicit_hash_key: Option<u64>,
    data: &'a [u8],
}

fn raw(message: &[u8]) -> Result<Raw<'_>, &'static str> {
    let (mut partition_key, mut explicit_hash_key, mut data) = (None, None, None);
    let mut reader = Reader(message);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, Field::Varint(index)) => partition_key = Some(index),
            (2, Field::Varint(index)) => explicit_hash_key = Some(index),
            (3, Field::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    Ok(Raw {
        partition_key: partition_key.ok_or("a record without partition key")?,
        explicit_hash_key,
        data: data.ok_or("a record without data")?,
    })
}

fn at<'a>(table: &[&'a str], index: u64) -> Result<&'a str, &'static str> {
    let key = usize::try_from(index).ok().and_then(|index| table.get(index));
    key.copied().ok_or("a record whose key is in no table")
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "a key that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Aggregate;
    use super::*;

    fn sealed(message: &[u8]) -> Vec<u8> {
        [&MAGIC[..], message, &Md5::digest(message)].concat()
    }

    #[test]
    fn what_is_not_aggregated_is_plain() {
        for data in
            [&b""[..], b"{}", &MAGIC, &[&MAGIC[..], &[0; 16]].concat(), &[&MAGIC[..], &[0; 40]].concat()]
        {
            assert_eq!(read(data), Ok(Content::Plain(data)));
        }
    }

    #[test]
    fn one_wrong_bit_makes_it_plain() {
        let mut aggregate = Aggregate::default();
        aggregate.add("a", None, b"one");
        let good = aggregate.finish().to_vec();
        assert!(matches!(read(&good), Ok(Content::Aggregated(_))));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bad), Ok(Content::Plain(&bad)), "bit {bit}");
        }
    }

    #[test]
    fn a_valid_digest_around_nonsense_is_malformed() {
        assert!(read(&sealed(&[0x1A, 2, 0x08, 0])).unwrap_err().to_string().contains("without data"));
        assert!(read(&sealed(&[0x1A, 4, 0x08, 7, 0x1A, 0])).is_err(), "no such key");
        assert!(read(&sealed(&[0x1A, 0x80])).is_err());
        assert_eq!(read(&sealed(&[])), Ok(Content::Aggregated(vec![])));
    }

    #[test]
    fn tables_may_come_last_and_strange_fields_are_skipped() {
        // A record with key 0, data "x" and a tag, then the table, then a field 9.
        let message = [0x1A, 8, 0x08, 0, 0x1A, 1, b'x', 0x22, 1, 7, 0x0A, 1, b'k', 0x48, 5];
        let record = UserRecord { partition_key: "k", explicit_hash_key: None, data: b"x" };
        assert_eq!(read(&sealed(&message)), Ok(Content::Aggregated(vec![record])));
    }

    #[test]
    fn the_explicit_hash_key_wins() {
        let record = UserRecord { partition_key: "abc", explicit_hash_key: Some("17"), data: b"" };
        assert_eq!(record.hash_key(), 17);
        let record = UserRecord { explicit_hash_key: None, ..record };
        assert_eq!(record.hash_key(), hash_key_of("abc"));
    }

    proptest! {
        #[test]
        fn what_was_added_is_read_and_the_size_was_foretold(
            records in prop::collection::vec(
                ("[a-eé]{1,40}", prop::option::of(any::<u128>()), prop::collection::vec(any::<u8>(), 0..300)),
                0..40,
            )
        ) {
            let mut aggregate = Aggregate::default();
            aggregate.add("left from another life", Some(1), b"");
            aggregate.finish();
            aggregate.clear();
            for (key, explicit, data) in &records {
                let foretold = aggregate.bytes_with(key, *explicit, data);
                aggregate.add(key, *explicit, data);
                prop_assert_eq!(aggregate.bytes(), foretold);
            }
            let bytes = aggregate.bytes();
            let written = aggregate.finish().to_vec();
            prop_assert_eq!(written.len(), bytes);
            let Ok(Content::Aggregated(read)) = read(&written) else { panic!("not aggregated") };
            prop_assert_eq!(read.len(), records.len());
            for (found, (key, explicit, data)) in read.iter().zip(&records) {
                prop_assert_eq!(found.partition_key, key);
                prop_assert_eq!(found.explicit_hash_key.map(ToOwned::to_owned), explicit.map(|key| key.to_string()));
                prop_assert_eq!(found.data, &data[..]);
            }
        }

        #[test]
        fn nothing_makes_it_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _whatever = read(&sealed(&message));
        }
    }
}
