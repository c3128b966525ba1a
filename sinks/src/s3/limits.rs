//! What Amazon S3 takes ("Amazon S3 multipart upload limits" and "`PutObject`" in its user guide and API reference).

/// Smallest part of a multipart upload, but for the last.
pub const PART_BYTES_MIN: usize = 5 << 20;
/// Largest part here. S3 takes 5 GiB; a part is held in memory until it is stored.
pub const PART_BYTES_MAX: usize = 256 << 20;
/// Most parts of one upload.
pub const PARTS_MAX: usize = 10_000;
/// Longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
/// `DeleteObjects`, `ListObjectsV2` and the like give so many keys at a time.
pub const LIST_KEYS_MAX: usize = 1000;

/// What [`super::layout`] puts behind the prefix at the most.
pub(super) const KEY_TAIL_BYTES: usize = 128;
