//! Request ids: 32 lower-case hexadecimal digits, as nginx's `$request_id`.
//!
//! The ETL builds event ids from them and the support desk finds a request by them, so they must be unique over
//! every shard of every host, for ever. They are no secret: whoever sees a few can guess others.
//!
//! # Collisions
//! An id is 128 bits: 64 from each of two generators that the operating system's randomness seeds apart.
//! Two generators, because one has only 2^64 states on one cycle: with 2^10 shards (restarts counted) that draw
//! 2^34 ids each, two shards would stand on overlapping parts of it with a probability of 2^20 * 2^34 / 2^64 = 2^-10, and
//! then repeat each other id for id. A pair repeats only if both parts overlap *at the same distance*, one chance
//! in 2^64 more. What is left is the birthday bound of 128 random bits, n^2 / 2^129: 500,000 requests/s for 100
//! years are 2^51 ids, and 2^102 / 2^129 is 2^-27.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Digits of a request id.
pub const RID_LEN: usize = 32;

/// Two hexadecimal digits for every byte.
const HEX: [[u8; 2]; 256] = hex_digits();

const fn hex_digits() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    table
}

/// One request's id: its `rid` in the record, its `X-Request-ID` in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId([u8; RID_LEN]);

impl RequestId {
    /// The id with this number.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        let mut text = [0; RID_LEN];
        for (place, byte) in text.as_chunks_mut().0.iter_mut().zip(bits.to_be_bytes()) {
            *place = HEX[usize::from(byte)];
        }
        Self(text)
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; RID_LEN] {
        &self.0
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// A shard's source of request ids. One per shard; never cloned, since a clone would repeat it.
#[derive(Debug)]
pub struct RequestIds {
    high: fastrand::Rng,
    low: fastrand::Rng,
}

impl RequestIds {
    /// A source that the operating system's randomness seeds.
    #[must_use]
    pub fn from_os() -> Self {
        // A `RandomState` holds 128 bits from the operating system (std reads them once a thread and counts on
        // from there); the hash of nothing under that key is a seed. It needs no `unsafe` and no other crate.
        let seed = || RandomState::new().hash_one(());
        Self::from_seeds(seed(), seed())
    }

    /// A source that repeats itself: for simulations and tests.
    #[must_use]
    pub fn from_seeds(high: u64, low: u64) -> Self {
        Self { high: fastrand::Rng::with_seed(high), low: fastrand::Rng::with_seed(low) }
    }

    /// A new id.
    pub fn next_id(&mut self) -> RequestId {
        RequestId::from_bits(u128::from(self.high.u64(..)) << 64 | u128::from(self.low.u64(..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_id_is_its_number_in_hex() {
        let bits = 0x0123_4567_89ab_cdef_0011_2233_4455_ff00;
        assert_eq!(RequestId::from_bits(bits).to_string(), format!("{bits:032x}"));
        assert_eq!(RequestId::from_bits(0).as_bytes(), &[b'0'; 32]);
    }

    #[test]
    fn ids_differ_within_and_between_shards() {
        let mut shards: Vec<_> = (0..8).map(|_| RequestIds::from_os()).collect();
        let ids: HashSet<_> = (0..10_000)
            .flat_map(|_| shards.iter_mut().map(RequestIds::next_id).collect::<Vec<_>>())
            .collect();
        assert_eq!(ids.len(), 80_000);
    }

    #[test]
    fn both_halves_vary() {
        let mut ids = RequestIds::from_seeds(1, 2);
        let (one, other) = (ids.next_id(), ids.next_id());
        assert_ne!(one.as_bytes()[..16], other.as_bytes()[..16]);
        assert_ne!(one.as_bytes()[16..], other.as_bytes()[16..]);
    }
}
