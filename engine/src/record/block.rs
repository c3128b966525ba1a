//! Sixteen bytes looked at together: which of them are of a kind, as bits.
//!
//! On x86-64 this is SSE2, which every such processor has; elsewhere plain arithmetic on two words. Escaping and the
//! query are scanned with it.

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use portable::Block;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Block;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::BLOCK;
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(__m128i);

    /// Some of a block's bytes: those whose top bit is set here.
    #[derive(Clone, Copy)]
    pub(crate) struct Marks(__m128i);

    impl Block {
        #[inline]
        pub(crate) fn of(bytes: &[u8; BLOCK]) -> Self {
            let [low, high] =
                [0, 8].map(|at| i64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes")));
            // SAFETY: it touches no memory, and SSE2 is part of x86-64.
            Self(unsafe { _mm_set_epi64x(high, low) })
        }

        /// The bytes that are `byte`.
        #[inline]
        pub(crate) fn equal(self, byte: u8) -> Marks {
            // SAFETY: as above.
            Marks(unsafe { _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte.cast_signed())) })
        }

        /// The bytes below 0x20.
        #[inline]
        pub(crate) fn control(self) -> Marks {
            // SAFETY: as above.
            Marks(unsafe { _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(0x1f)), self.0) })
        }

        /// The bytes above 0x7f.
        #[inline]
        pub(crate) fn non_ascii(self) -> Marks {
            Marks(self.0)
        }
    }

    impl Marks {
        /// Bit `n` for byte `n`; nothing above.
        #[inline]
        pub(crate) fn bits(self) -> u32 {
            // SAFETY: as above.
            unsafe { _mm_movemask_epi8(self.0) }.cast_unsigned()
        }
    }

    impl std::ops::BitOr for Marks {
        type Output = Self;

        #[inline]
        fn bitor(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_or_si128(self.0, other.0) })
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::BLOCK;

    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    const LOW: u64 = 0x7f * EACH;

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    pub(crate) struct Block([u64; 2]);

    /// Some of a block's bytes: those whose top bit is set here.
    #[derive(Clone, Copy)]
    pub(crate) struct Marks([u64; 2]);

    impl Block {
        pub(crate) fn of(bytes: &[u8; BLOCK]) -> Self {
            Self([0, 8].map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"))))
        }

        /// The bytes that are `byte`.
        pub(crate) fn equal(self, byte: u8) -> Marks {
            Marks(self.0.map(|word| {
                let difference = word ^ (u64::from(byte) * EACH);
                // The sum carries into a byte's top bit if any lower bit differs, and never leaves the byte.
                !(((difference & LOW) + LOW) | difference)
            }))
        }

        /// The bytes below 0x20.
        pub(crate) fn control(self) -> Marks {
            Marks(self.0.map(|word| !(((word & LOW) + (0x80 - 0x20) * EACH) | word)))
        }

        /// The bytes above 0x7f.
        pub(crate) fn non_ascii(self) -> Marks {
            Marks(self.0)
        }
    }

    impl Marks {
        /// Bit `n` for byte `n`; nothing above.
        pub(crate) fn bits(self) -> u32 {
            // The product moves the top bit of byte n to bit 56 + n; no two of its terms meet.
            let gather = |tops: u64| ((tops & TOP) >> 7).wrapping_mul(0x0102_0408_1020_4080).to_be_bytes()[0];
            u32::from(gather(self.0[0])) | u32::from(gather(self.0[1])) << 8
        }
    }

    impl std::ops::BitOr for Marks {
        type Output = Self;

        fn bitor(self, other: Self) -> Self {
            Self([self.0[0] | other.0[0], self.0[1] | other.0[1]])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..BLOCK {
                for filler in [0, 1, b' ', b'"', b'#', 0x7f, 0x80, 0xa2, 0xff] {
                    let mut bytes = [filler; BLOCK];
                    bytes[place] = byte;
                    let expected = |kind: &dyn Fn(u8) -> bool| {
                        bytes.iter().enumerate().map(|(at, &byte)| u32::from(kind(byte)) << at).sum::<u32>()
                    };
                    let (block, portable) = (Block::of(&bytes), portable::Block::of(&bytes));
                    for wanted in [byte, filler, b'"', b'&', 0x80] {
                        let marks = expected(&|byte| byte == wanted);
                        assert_eq!(block.equal(wanted).bits(), marks, "{bytes:x?}");
                        assert_eq!(portable.equal(wanted).bits(), marks, "{bytes:x?}");
                    }
                    let marks = expected(&|byte| !(0x20..=0x7f).contains(&byte));
                    assert_eq!((block.control() | block.non_ascii()).bits(), marks, "{bytes:x?}");
                    assert_eq!((portable.control() | portable.non_ascii()).bits(), marks, "{bytes:x?}");
                }
            }
        }
    }
}
