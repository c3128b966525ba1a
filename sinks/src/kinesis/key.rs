//! A record's partition key.
//!
//! Kinesis wants 1 to 256 characters of Unicode. What an operator configures as key (appId, an IP address, a query
//! parameter) comes from clients and can be anything: what Kinesis would refuse is replaced by its MD5, so that equal
//! keys stay equal and no record fails for its key.

use md5::{Digest, Md5};

use super::limits::PARTITION_KEY_CHARS_MAX;

/// Bytes of [`Name`]'s text.
pub(super) const NAME_BYTES: usize = 16;

/// The most bytes that a partition key adds to a record whose own key has `key_bytes`.
pub(super) fn bytes_max(key_bytes: usize) -> usize {
    // A key that Kinesis would refuse becomes 32 hexadecimal digits.
    if key_bytes == 0 { NAME_BYTES } else { key_bytes.max(32) }
}

/// A key that we make up: a number, sent as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub u64);

/// Room for a key that is made up or replaced.
#[derive(Debug, Default)]
pub(super) struct KeyText([u8; 32]);

impl KeyText {
    /// The text of a name.
    pub(super) fn name(&mut self, name: Name) -> &str {
        self.hex(&name.0.to_be_bytes())
    }

    /// What is sent for the key of a record, which is not empty.
    pub(super) fn own<'a>(&'a mut self, key: &'a [u8]) -> &'a str {
        match std::str::from_utf8(key) {
            Ok(text) if fits(text) => text,
            _ => self.hex(&Md5::digest(key)),
        }
    }

    fn hex(&mut self, bytes: &[u8]) -> &str {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (place, byte) in self.0.chunks_exact_mut(2).zip(bytes) {
            place[0] = DIGITS[usize::from(byte >> 4)];
            place[1] = DIGITS[usize::from(byte & 15)];
        }
        std::str::from_utf8(&self.0[..bytes.len() * 2]).unwrap_or_default()
    }
}

fn fits(key: &str) -> bool {
    key.len() <= PARTITION_KEY_CHARS_MAX || key.chars().count() <= PARTITION_KEY_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_kinesis_takes_go_as_they_are() {
        for key in ["a", "shop", &"é".repeat(256), &"x".repeat(256)] {
            assert_eq!(KeyText::default().own(key.as_bytes()), key);
        }
    }

    #[test]
    fn keys_that_kinesis_refuses_are_replaced_by_their_md5() {
        assert_eq!(KeyText::default().own(b"\xFFabc").len(), 32);
        let long = "x".repeat(257);
        let (mut one, mut two) = (KeyText::default(), KeyText::default());
        assert_eq!(one.own(long.as_bytes()), two.own(long.as_bytes()));
        assert!(long.len() >= 32 && bytes_max(1) == 32 && bytes_max(300) == 300 && bytes_max(0) == 16);
    }

    #[test]
    fn a_name_is_its_sixteen_digits() {
        assert_eq!(KeyText::default().name(Name(0x0123_4567_89ab_cdef)), "0123456789abcdef");
        assert_eq!(KeyText::default().name(Name(0)), "0000000000000000");
    }
}
