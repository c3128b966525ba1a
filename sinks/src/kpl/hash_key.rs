//! From a partition key to its place in a stream.

use md5::{Digest, Md5};

/// The hash key of a partition key: its MD5 as a 128-bit number, most significant byte first, as Kinesis maps it to a
/// shard (`PutRecord` in the Kinesis Data Streams API reference).
#[must_use]
pub fn hash_key_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_md5() {
        // RFC 1321, A.5: MD5 ("abc").
        assert_eq!(hash_key_of("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
    }
}
