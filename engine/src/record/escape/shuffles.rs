//! Backslashes put between the bytes of a block by shuffles (SSSE3): the cost does not depend on how many there are.
//!
//! ```text
//!   half of a block, backslashes behind it    { " a " : 1 , "  \ \ \ \ \ \ \ \
//!   shuffle of the mask 10001010              0 8 1 2 8 3 4 5 6 8 7            (8 = a backslash)
//!   output                                    { \ " a \ " : 1 , \ "
//! ```

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_set_epi64x, _mm_set1_epi8, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128, _mm_unpackhi_epi64,
    _mm_unpacklo_epi64,
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

/// True when this processor can.
#[inline]
pub(super) fn are_there() -> bool {
    is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")
}

/// See [`super::escape_blocks`].
#[target_feature(enable = "ssse3,popcnt")]
pub(super) fn escape_blocks<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Progress {
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
            let (block, to) = unsafe {
                let block = _mm_loadu_si128(input.as_ptr().add(progress.read).cast());
                (block, out.as_mut_ptr().add(progress.written))
            };
            let Marks { quoted, stops } = Marks::of::<ASCII>(block);
            if stops != 0 {
                // SAFETY: `to` has its ROOM.
                progress.add(unsafe { spread_up_to(stops.trailing_zeros(), block, quoted, to) });
                return progress;
            }
            // SAFETY: `to` has its ROOM.
            progress.add(unsafe { spread(block, quoted, to) });
        }
    }
    let (rest, room) = (&input[progress.read..], &mut out[progress.written..]);
    if (1..BLOCK).contains(&rest.len()) && room.len() >= ROOM {
        let block = short_block(rest);
        let Marks { quoted, stops } = Marks::of::<ASCII>(block);
        let end = (stops | 1 << rest.len()).trailing_zeros();
        // SAFETY: `room` has ROOM bytes.
        progress.add(unsafe { spread_up_to(end, block, quoted, room.as_mut_ptr()) });
    }
    progress
}

/// Bits for the bytes of a block.
struct Marks {
    /// They get a backslash.
    quoted: u32,
    /// They need something else.
    stops: u32,
}

impl Marks {
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn of<const ASCII: bool>(block: __m128i) -> Self {
        // A byte is looked up by its low four bits: only `"` and `\` find themselves. (Those above 0x7f find 0.)
        let find = _mm_setr_epi8(-1, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x5c, 0, 0, 0);
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

/// Writes a block with a backslash before each byte that `quoted` marks in its lower 16 bits.
///
/// # Safety
/// `to` has ROOM bytes.
#[inline]
#[target_feature(enable = "ssse3,popcnt")]
unsafe fn spread(block: __m128i, quoted: u32, to: *mut u8) -> Progress {
    debug_assert!(quoted < 1 << BLOCK);
    if quoted == 0 {
        // SAFETY: ROOM is more than a block.
        unsafe { _mm_storeu_si128(to.cast(), block) };
        return Progress { read: BLOCK, written: BLOCK };
    }
    let backslashes = _mm_set1_epi8(b'\\'.cast_signed());
    let (first, second) = ((quoted & 0xff) as usize, (quoted >> HALF) as usize);
    let place = HALF + first.count_ones() as usize;
    // SAFETY: a row of the table is as long as the register; 16 bytes are written at 0 and at `place`, which is 16 at
    // most. `second` is below 256, as `quoted` is below 2^16.
    unsafe {
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
/// `to` has ROOM bytes.
#[inline]
#[target_feature(enable = "ssse3,popcnt")]
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
        let beyond = u64::from_le_bytes(*end).checked_shr(8 * (BLOCK - len) as u32).unwrap_or(0);
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
