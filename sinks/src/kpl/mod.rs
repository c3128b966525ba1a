//! The aggregated record format of the Kinesis Producer Library (KPL): many user records in one Kinesis record.
//!
//! ```text
//!  F3 89 9A C2 │ protobuf AggregatedRecord                                        │ MD5 of the protobuf
//!   4 bytes    │ partition_key_table, explicit_hash_key_table, records (any order) │ 16 bytes
//! ```
//!
//! Follows AWS's published description, "KPL Aggregated Record Format" (`aggregation-format.md` in
//! `awslabs/amazon-kinesis-producer`):
//!
//! ```text
//!  message AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
//!                             repeated Record records = 3; }
//!  message Record           { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
//!                             required bytes data = 3; repeated Tag tags = 4; }
//! ```
//!
//! A consumer built on the Kinesis Client Library drops, without a word, every user record whose own hash key is
//! outside the range of the shard that the aggregated record was read from. So whoever writes has to put records of one
//! shard together, and to look where they landed: the Kinesis sink does. [`UserRecord::hash_key`] is what such a
//! consumer compares.
//!
//! Pure: no socket, no clock. [`Aggregate`] writes, [`read`] reads.

mod aggregate;
mod deaggregate;
mod hash_key;
mod protobuf;

pub use aggregate::Aggregate;
pub use deaggregate::{Content, Malformed, UserRecord, read};
pub use hash_key::hash_key_of;

/// What an aggregated record begins with.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

/// Bytes of the MD5 at an aggregated record's end.
pub const DIGEST_BYTES: usize = 16;
