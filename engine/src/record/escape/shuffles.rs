//! Backslashes put between the bytes of a block by shuffles (SSSE3): the cost does not depend on how many there are.
//!
//! ```text
//!   half of a block, backslashes behind it    { " a " : 1 , "  \ \ \ \ \ \ \ \
//!   shuffle of the mask 10001010              0 8 1 2 8 3 4 5 6 8 7            (8 = a backslash)
//!   output                                    { \ " a \ " : 1 , \ "
//! ```

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_set_epi64x, _mm_set1_epi8, _mm_shuffle_epi8, _mm_storeu_si128, _mm_unpackhi_epi64,
    _mm_unpacklo_epi64, _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cmpeq_epi8,
    _mm256_cmpgt_epi8, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_storeu_si256,
};

use super::Progress;
use crate::record::block::BLOCK;

const HALF: usize = 8;

/// Room that a block may write: 8 + 8 bytes for its first half at least, and a whole register for each half.
const ROOM: usize = 2 * BLOCK;

/// By mask of eight: which byte goes where; 8 is the first of the backslashes behind the half.
static SHUFFLES: [[u8; 16]; 256] = {
    let mut table = [[0x80; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut byte, mut place) = (0, 0);
        while byte < HALF {
            if mask >> byte & 1 == 1 {
                table[mask][place] = 8;
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

/// Which instructions this processor has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// SSSE3 and POPCNT: a block at a time.
    Ssse3,
    /// AVX2 as well: two blocks are looked at together.
    Avx2,
}

impl Level {
    /// The best that is there.
    #[inline]
    pub(super) fn of_this_processor() -> Option<Self> {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            return Some(Self::Avx2);
        }
        (is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")).then_some(Self::Ssse3)
    }
}

/// See [`super::escape_blocks`].
///
/// # Safety
/// The processor has what `level` says.
#[inline]
pub(super) unsafe fn escape_blocks<const ASCII: bool>(
    level: Level,
    input: &[u8],
    out: &mut [u8],
) -> Progress {
    match level {
        // SAFETY: the caller's.
        Level::Avx2 => unsafe { by_avx2::<ASCII>(input, out) },
        // SAFETY: the caller's.
        Level::Ssse3 => unsafe { by_ssse3::<ASCII>(input, out) },
    }
}

#[target_feature(enable = "ssse3,popcnt")]
fn by_ssse3<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Progress {
    // SAFETY: this function is compiled for SSSE3 and POPCNT.
    unsafe { blocks_and_end::<ASCII>(input, out) }
}

#[target_feature(enable = "avx2,popcnt")]
fn by_avx2<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Progress {
    let mut progress = Progress { read: 0, written: 0 };
    loop {
        let pairs =
            ((input.len() - progress.read) / (2 * BLOCK)).min((out.len() - progress.written) / (2 * ROOM));
        let mut clear = pairs > 0;
        for _ in 0..pairs {
            // SAFETY: this pair and those that follow in this loop are in the input, and each block has its ROOM: a turn
            // adds two BLOCKs to `read`, and two ROOMs at most to `written`.
            unsafe {
                let pair = _mm256_loadu_si256(input.as_ptr().add(progress.read).cast());
                let Marks { quoted, stops } = Marks::of_pair::<ASCII>(pair);
                if stops != 0 {
                    clear = false;
                    break;
                }
                let to = out.as_mut_ptr().add(progress.written);
                if quoted == 0 {
                    _mm256_storeu_si256(to.cast(), pair);
                    progress.add(Progress { read: 2 * BLOCK, written: 2 * BLOCK });
                    continue;
                }
                let first = spread(_mm256_castsi256_si128(pair), quoted & 0xffff, to);
                let second =
                    spread(_mm256_extracti128_si256::<1>(pair), quoted >> BLOCK, to.add(first.written));
                progress.add(first);
                progress.add(second);
            }
        }
        if !clear {
            // SAFETY: AVX2 includes SSSE3.
            progress.add(unsafe {
                blocks_and_end::<ASCII>(&input[progress.read..], &mut out[progress.written..])
            });
            return progress;
        }
    }
}

/// The way in blocks of 16, to the end.
///
/// # Safety
/// Inlined only into a function with SSSE3 and POPCNT.
#[allow(clippy::inline_always, reason = "what it is inlined into decides which instructions it may use")]
#[inline(always)]
unsafe fn blocks_and_end<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Progress {
    let mut progress = Progress { read: 0, written: 0 };
    loop {
        // However much a block writes, so many have room: one check for all of them.
        let blocks = ((input.len() - progress.read) / BLOCK).min((out.len() - progress.written) / ROOM);
        if blocks == 0 {
            break;
        }
        for _ in 0..blocks {
            // SAFETY: this block and those that follow in this loop are in the input, and each has its ROOM: a turn adds
            // BLOCK to `read`, and ROOM at most to `written`.
            unsafe {
                let block = _mm_loadu_si128(input.as_ptr().add(progress.read).cast());
                let to = out.as_mut_ptr().add(progress.written);
                let Marks { quoted, stops } = Marks::of::<ASCII>(block);
                if stops != 0 {
                    progress.add(spread_up_to(stops.trailing_zeros(), block, quoted, to));
                    return progress;
                }
                if quoted == 0 {
                    _mm_storeu_si128(to.cast(), block);
                    progress.add(Progress { read: BLOCK, written: BLOCK });
                } else {
                    progress.add(spread(block, quoted, to));
                }
            }
        }
    }
    let (rest, room) = (&input[progress.read..], &mut out[progress.written..]);
    if (1..BLOCK).contains(&rest.len()) && room.len() >= ROOM {
        let block = short_block(rest);
        // SAFETY: `room` has ROOM bytes.
        unsafe {
            let Marks { quoted, stops } = Marks::of::<ASCII>(block);
            let end = (stops | 1 << rest.len()).trailing_zeros();
            progress.add(spread_up_to(end, block, quoted, room.as_mut_ptr()));
        }
    }
    progress
}

/// Bits for the bytes of a block, or of two.
struct Marks {
    /// They get a backslash.
    quoted: u32,
    /// They need something else.
    stops: u32,
}

/// A byte is looked up by its low four bits: only `"` and `\` find themselves. (Those above 0x7f find 0.)
const FIND: [u8; BLOCK] = [0xff, 0, b'"', 0, 0, 0, 0, 0, 0, 0, 0, 0, b'\\', 0, 0, 0];

#[allow(clippy::inline_always, reason = "what they are inlined into decides which instructions they may use")]
impl Marks {
    /// # Safety
    /// Inlined only into a function with SSSE3.
    #[inline(always)]
    unsafe fn of<const ASCII: bool>(block: __m128i) -> Self {
        // SAFETY: the caller's; and FIND is as long as the register.
        unsafe {
            let find = _mm_loadu_si128(FIND.as_ptr().cast());
            let quoted = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_shuffle_epi8(find, block), block));
            let stops = if ASCII {
                // Signed, the bytes above 0x7f are below the controls.
                _mm_cmpgt_epi8(_mm_set1_epi8(0x20), block)
            } else {
                _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block)
            };
            Self { quoted: quoted.cast_unsigned(), stops: _mm_movemask_epi8(stops).cast_unsigned() }
        }
    }

    /// # Safety
    /// Inlined only into a function with AVX2.
    #[inline(always)]
    unsafe fn of_pair<const ASCII: bool>(pair: __m256i) -> Self {
        // SAFETY: the caller's; and FIND is as long as half of the register.
        unsafe {
            let find = _mm256_broadcastsi128_si256(_mm_loadu_si128(FIND.as_ptr().cast()));
            let quoted = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(find, pair), pair));
            let stops = if ASCII {
                _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), pair)
            } else {
                _mm256_cmpeq_epi8(_mm256_min_epu8(pair, _mm256_set1_epi8(0x1f)), pair)
            };
            Self { quoted: quoted.cast_unsigned(), stops: _mm256_movemask_epi8(stops).cast_unsigned() }
        }
    }
}

/// Writes a block with a backslash before each byte that `quoted` marks in its lower 16 bits.
///
/// # Safety
/// `to` has ROOM bytes, nothing above bit 15 is set, and it is inlined only into a function with SSSE3 and POPCNT.
#[allow(clippy::inline_always, reason = "what it is inlined into decides which instructions it may use")]
#[inline(always)]
unsafe fn spread(block: __m128i, quoted: u32, to: *mut u8) -> Progress {
    debug_assert!(quoted < 1 << BLOCK);
    // SAFETY: the caller's. A row of the table is as long as the register; 16 bytes are written at 0 and at `place`,
    // which is 16 at most. Both halves of `quoted` are below 256.
    unsafe {
        let backslashes = _mm_set1_epi8(b'\\'.cast_signed());
        let (first, second) = ((quoted & 0xff) as usize, (quoted >> HALF) as usize);
        let place = HALF + first.count_ones() as usize;
        let shuffle = _mm_loadu_si128(SHUFFLES.get_unchecked(first).as_ptr().cast());
        _mm_storeu_si128(to.cast(), _mm_shuffle_epi8(_mm_unpacklo_epi64(block, backslashes), shuffle));
        let shuffle = _mm_loadu_si128(SHUFFLES.get_unchecked(second).as_ptr().cast());
        _mm_storeu_si128(
            to.add(place).cast(),
            _mm_shuffle_epi8(_mm_unpackhi_epi64(block, backslashes), shuffle),
        );
    }
    Progress { read: BLOCK, written: BLOCK + quoted.count_ones() as usize }
}

/// Writes the first `end` (15 at most) bytes of a block.
///
/// # Safety
/// As [`spread`].
#[allow(clippy::inline_always, reason = "what it is inlined into decides which instructions it may use")]
#[inline(always)]
unsafe fn spread_up_to(end: u32, block: __m128i, quoted: u32, to: *mut u8) -> Progress {
    let quoted = quoted & ((1 << end) - 1);
    // SAFETY: the caller's.
    unsafe { spread(block, quoted, to) };
    Progress { read: end as usize, written: (end + quoted.count_ones()) as usize }
}

/// 1 to 15 bytes as a block, zeros behind them. Pieces overlap, so that no length needs a loop.
#[inline]
fn short_block(bytes: &[u8]) -> __m128i {
    let len = bytes.len();
    let (low, high) = if let (Some(head), Some(end)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        // All of it is in the first piece when there are no more than eight: a shift by 64 is none of u64's.
        let beyond = u64::from_le_bytes(*end) >> 8 >> (8 * (BLOCK - len) - 8);
        (u64::from_le_bytes(*head), beyond)
    } else if let (Some(head), Some(end)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [head, end] = [head, end].map(|piece| u64::from(u32::from_le_bytes(*piece)));
        (head | end << (8 * (len - 4)), 0)
    } else {
        let at = |place: usize| u64::from(bytes[place]) << (8 * place);
        (at(0) | at(len / 2) | at(len - 1), 0)
    };
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_set_epi64x(high.cast_signed(), low.cast_signed()) }
}
