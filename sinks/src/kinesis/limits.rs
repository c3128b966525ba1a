//! What Kinesis Data Streams takes, as documented.
//!
//! Source: the API reference of `PutRecords` and `PutRecordsRequestEntry` as it stands in `aws-sdk-kinesis` 1.130
//! ("up to 500 records", each "as large as 10 MiB, up to a limit of 10 MiB for the entire request, including partition
//! keys"), and the developer guide's page on large records. Both limits were raised in October 2025, from 1 MiB and
//! 5 MiB. A stream takes records above 1 MiB only once its own maximum was raised (`UpdateMaxRecordSize`); the default
//! is 1 MiB.

/// Records of one `PutRecords` call.
pub const CALL_RECORDS_MAX: usize = 500;

/// Data and keys of one `PutRecords` call, in bytes before base64.
pub const CALL_BYTES_MAX: usize = 10 << 20;

/// Partition key and data of one record, in bytes before base64: what a stream can be set to at most.
pub const RECORD_BYTES_MAX: usize = 10 << 20;

/// What a stream takes that nobody changed.
pub const RECORD_BYTES_DEFAULT: usize = 1 << 20;

/// Characters of a partition key.
pub const PARTITION_KEY_CHARS_MAX: usize = 256;

/// Records that one shard takes in a second.
pub const SHARD_RECORDS_PER_S: f64 = 1000.0;

/// Bytes that one shard takes in a second ("1 MB"): the smaller reading of the two.
pub const SHARD_BYTES_PER_S: f64 = 1_000_000.0;
