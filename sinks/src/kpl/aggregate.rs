//! Writes an aggregated record, one user record after the other, in one pass.
//!
//! A key enters its table right before the first record that names it: protobuf lets repeated fields of a message
//! lie in any order, so nothing has to be held back until the end.

use std::collections::HashMap;

use md5::{Digest, Md5};

use super::protobuf::{LENGTH_DELIMITED, VARINT, put_varint, varint_bytes};
use super::{DIGEST_BYTES, MAGIC};

const PARTITION_KEY_TABLE: u64 = 1 << 3 | LENGTH_DELIMITED;
const EXPLICIT_HASH_KEY_TABLE: u64 = 2 << 3 | LENGTH_DELIMITED;
const RECORDS: u64 = 3 << 3 | LENGTH_DELIMITED;
const RECORD_PARTITION_KEY_INDEX: u64 = 1 << 3 | VARINT;
const RECORD_EXPLICIT_HASH_KEY_INDEX: u64 = 2 << 3 | VARINT;
const RECORD_DATA: u64 = 3 << 3 | LENGTH_DELIMITED;

/// An aggregated record in the making. Cleared and used again, it allocates only for keys that are new to it.
#[derive(Debug)]
pub struct Aggregate {
    out: Vec<u8>,
    partition_keys: HashMap<String, u64>,
    explicit_hash_keys: HashMap<u128, u64>,
    records: usize,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self {
            out: MAGIC.to_vec(),
            partition_keys: HashMap::new(),
            explicit_hash_keys: HashMap::new(),
            records: 0,
        }
    }
}

/// Where a record's keys are, and what it adds to the whole.
struct Plan {
    partition_key: u64,
    partition_key_is_new: bool,
    explicit_hash_key: Option<(u64, bool)>,
    record_bytes: usize,
    bytes: usize,
}

impl Aggregate {
    /// Number of user records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records
    }

    /// True when there is no user record in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of the whole as it stands: magic, protobuf and digest.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.out.len() + DIGEST_BYTES
    }

    /// Bytes of the whole if this record were added.
    #[must_use]
    pub fn bytes_with(&self, partition_key: &str, explicit_hash_key: Option<u128>, data: &[u8]) -> usize {
        self.bytes() + self.plan(partition_key, explicit_hash_key, data).bytes
    }

    /// Adds a user record.
    pub fn add(&mut self, partition_key: &str, explicit_hash_key: Option<u128>, data: &[u8]) {
        let plan = self.plan(partition_key, explicit_hash_key, data);
        let out = &mut self.out;
        if plan.partition_key_is_new {
            put_bytes(out, PARTITION_KEY_TABLE, partition_key.as_bytes());
            self.partition_keys.insert(partition_key.to_owned(), plan.partition_key);
        }
        if let (Some(key), Some((index, true))) = (explicit_hash_key, plan.explicit_hash_key) {
            put_bytes(out, EXPLICIT_HASH_KEY_TABLE, key.to_string().as_bytes());
            self.explicit_hash_keys.insert(key, index);
        }
        put_varint(out, RECORDS);
        put_varint(out, plan.record_bytes as u64);
        put_varint(out, RECORD_PARTITION_KEY_INDEX);
        put_varint(out, plan.partition_key);
        if let Some((index, _)) = plan.explicit_hash_key {
            put_varint(out, RECORD_EXPLICIT_HASH_KEY_INDEX);
            put_varint(out, index);
        }
        put_bytes(out, RECORD_DATA, data);
        self.records += 1;
    }

    /// Closes the record with its digest and shows it; the next [`Self::clear`] begins another.
    pub fn finish(&mut self) -> &[u8] {
        let digest = Md5::digest(&self.out[MAGIC.len()..]);
        self.out.extend_from_slice(&digest);
        &self.out
    }

    /// Empties it for its next use.
    pub fn clear(&mut self) {
        self.out.truncate(MAGIC.len());
        self.partition_keys.clear();
        self.explicit_hash_keys.clear();
        self.records = 0;
    }

    fn plan(&self, partition_key: &str, explicit_hash_key: Option<u128>, data: &[u8]) -> Plan {
        let known = self.partition_keys.get(partition_key).copied();
        let index = known.unwrap_or(self.partition_keys.len() as u64);
        let mut bytes = if known.is_none() { field_bytes(partition_key.len()) } else { 0 };
        let mut record_bytes = 1 + varint_bytes(index) + field_bytes(data.len());
        let explicit_hash_key = explicit_hash_key.map(|key| {
            let known = self.explicit_hash_keys.get(&key).copied();
            let index = known.unwrap_or(self.explicit_hash_keys.len() as u64);
            if known.is_none() {
                bytes += field_bytes(decimal_digits(key));
            }
            record_bytes += 1 + varint_bytes(index);
            (index, known.is_none())
        });
        bytes += field_bytes(record_bytes);
        Plan {
            partition_key: index,
            partition_key_is_new: known.is_none(),
            explicit_hash_key,
            record_bytes,
            bytes,
        }
    }
}

/// Bytes of a length-delimited field whose number is below 16.
fn field_bytes(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

fn put_bytes(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    put_varint(out, tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn decimal_digits(value: u128) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}
