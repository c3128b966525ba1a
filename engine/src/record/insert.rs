//! Backslashes put between the bytes of a block.
//!
//! | way | how | instructions for a block with three quotes |
//! | --- | --- | --- |
//! | [`ByMoves`] | for each mark, what follows it moves up by one | about 40 |
//! | [`ByShuffles`] | eight bytes at a time, by a table of 256 shuffles (SSSE3) | about 20, however many marks |

use super::block::BLOCK;

/// Room that is written to, whatever comes of it: a block, its backslashes, and a block more for the last move.
pub(crate) const ROOM: usize = 3 * BLOCK;

/// Bytes that are read from: a move takes a whole block, wherever it begins.
pub(crate) const INPUT: usize = 2 * BLOCK;

/// One way to put a backslash before each byte of the first block of `from` that `quoted` marks.
pub(crate) trait Insert {
    /// Returns how many it put. Only the lower 16 bits of `quoted` may be set.
    fn insert(quoted: u32, from: &[u8; INPUT], to: &mut [u8; ROOM]) -> usize;
}

/// Works everywhere.
pub(crate) struct ByMoves;

impl Insert for ByMoves {
    #[allow(
        clippy::inline_always,
        reason = "it is the body of a loop, compiled twice for two sets of instructions"
    )]
    #[inline(always)]
    fn insert(mut quoted: u32, from: &[u8; INPUT], to: &mut [u8; ROOM]) -> usize {
        debug_assert!(quoted < 1 << BLOCK);
        let mut count = 0;
        while quoted != 0 {
            let at = quoted.trailing_zeros() as usize;
            // SAFETY: `quoted` has marks in its lower 16 bits only, so `at` <= 15, and `count` <= 15, as each turn
            // takes one mark away: at most 15 + 16 of 32 bytes are read, at most 15 + 15 + 1 + 16 of 48 written.
            // (Checked, the whole of an event costs 7 % more instructions.)
            unsafe {
                let place = to.as_mut_ptr().add(count).add(at);
                place.write(b'\\');
                place
                    .add(1)
                    .cast::<[u8; BLOCK]>()
                    .write_unaligned(from.as_ptr().add(at).cast::<[u8; BLOCK]>().read_unaligned());
            }
            count += 1;
            quoted &= quoted - 1;
        }
        count
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use ssse3::ByShuffles;

#[cfg(target_arch = "x86_64")]
mod ssse3 {
    use super::{INPUT, Insert, ROOM};
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpgt_epi8, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_or_si128,
        _mm_set1_epi8, _mm_setzero_si128, _mm_shuffle_epi8, _mm_storeu_si128,
    };

    const HALF: usize = 8;

    /// By mask of eight: which byte goes where. A place with its top bit set gets a backslash.
    static SHUFFLES: [[u8; 16]; 256] = {
        let mut table = [[0x80; 16]; 256];
        let mut mask = 0;
        while mask < 256 {
            let (mut byte, mut place) = (0, 0);
            while byte < HALF {
                if mask >> byte & 1 == 1 {
                    place += 1;
                }
                #[allow(clippy::cast_possible_truncation, reason = "below 8")]
                let index = byte as u8;
                table[mask][place] = index;
                place += 1;
                byte += 1;
            }
            mask += 1;
        }
        table
    };

    /// For processors with SSSE3 and POPCNT: [`ByShuffles::is_there`].
    pub(crate) struct ByShuffles;

    impl ByShuffles {
        /// True when this processor can.
        #[inline]
        pub(crate) fn is_there() -> bool {
            is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")
        }
    }

    impl Insert for ByShuffles {
        #[allow(
            clippy::inline_always,
            reason = "only inlined into a function with the instructions does it use them"
        )]
        #[inline(always)]
        fn insert(quoted: u32, from: &[u8; INPUT], to: &mut [u8; ROOM]) -> usize {
            // SAFETY: `escape_blocks_by_shuffles` is the only user, and is called where `is_there` was true.
            unsafe { insert(quoted, from, to) }
        }
    }

    #[inline]
    #[target_feature(enable = "ssse3,popcnt")]
    fn insert(quoted: u32, from: &[u8; INPUT], to: &mut [u8; ROOM]) -> usize {
        debug_assert!(quoted < 1 << 16);
        let [low, high, ..] = *from.first_chunk::<16>().expect("longer").as_chunks::<HALF>().0 else {
            unreachable!()
        };
        let first = (quoted & 0xff) as usize;
        let second = (quoted >> 8 & 0xff) as usize;
        let first_count = first.count_ones() as usize;
        let place = HALF + first_count;
        // SAFETY: 16 bytes are written at 0 and at `place` <= 16, into 48.
        unsafe {
            let to = to.as_mut_ptr();
            _mm_storeu_si128(to.cast(), spread(low, first));
            _mm_storeu_si128(to.add(place).cast(), spread(high, second));
        }
        first_count + second.count_ones() as usize
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn spread(half: [u8; HALF], mask: usize) -> __m128i {
        // SAFETY: a row of the table has 16 bytes; no alignment is asked for.
        let shuffle = unsafe { _mm_loadu_si128(SHUFFLES[mask].as_ptr().cast()) };
        // The shuffle makes zero of a place whose top bit is set.
        let bytes = _mm_shuffle_epi8(_mm_cvtsi64_si128(i64::from_le_bytes(half)), shuffle);
        let gaps = _mm_cmpgt_epi8(_mm_setzero_si128(), shuffle);
        _mm_or_si128(bytes, _mm_and_si128(gaps, _mm_set1_epi8(b'\\'.cast_signed())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<I: Insert>() {
        let from: [u8; INPUT] = std::array::from_fn(|at| b'a' + u8::try_from(at).unwrap());
        for quoted in 0..1_u32 << BLOCK {
            // As the caller does.
            let mut to = [0; ROOM];
            to[..BLOCK].copy_from_slice(&from[..BLOCK]);
            let count = I::insert(quoted, &from, &mut to);
            let mut expected = Vec::new();
            for (at, byte) in from[..BLOCK].iter().enumerate() {
                if quoted >> at & 1 == 1 {
                    expected.push(b'\\');
                }
                expected.push(*byte);
            }
            assert_eq!(to[..expected.len()], expected, "{quoted:b}");
            assert_eq!(count, quoted.count_ones() as usize);
        }
    }

    #[test]
    fn by_moves_every_byte_is_right_for_every_mask() {
        check::<ByMoves>();
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn by_shuffles_every_byte_is_right_for_every_mask() {
        if !ByShuffles::is_there() {
            return;
        }
        check::<ByShuffles>();
    }
}
