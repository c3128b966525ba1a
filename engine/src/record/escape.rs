//! JSON string escaping (RFC 8259 section 7) straight into the memory of a batch.
//!
//! The text is exactly what `serde_json` writes for `String::from_utf8_lossy(input)`, quotes around it not
//! included: `"` and `\` get a backslash, control characters their short form (`\b \f \n \r \t`) or `\u00xx` in
//! lower-case hex, everything else (non-ASCII and `/` too) stays as it is. Each maximal invalid part of the
//! input becomes one U+FFFD.
//!
//! This is the engine's hottest loop: the body of every request goes through it, and is JSON itself, so that
//! about every eighth byte is a quote. It works on blocks of 16 bytes: one comparison of the block tells which
//! bytes need care. For each of them the *rest* of the block is copied again, one place further on:
//!
//! ```text
//!   input    { " a " : 1 , " …          the block as it is, then for each quote:
//!   output   { " a " : 1 , " …
//!   quote 1  { \ " a " : 1 , " …        a backslash, and the rest of the block behind it
//!   quote 2  { \ " a \ " : 1 , " …
//! ```
//!
//! The copies overrun into bytes that later ones overwrite, so a block needs [`BLOCK_ROOM`] bytes of room and
//! [`BLOCK_INPUT`] of input; ends and tight places go byte by byte.

/// Bytes that are looked at together.
const BLOCK: usize = 16;

/// Input that a block step may read: a copy of the rest of the block that starts at its last byte.
const BLOCK_INPUT: usize = 2 * BLOCK;

/// Room that a block step may write: every byte escaped, and the overrun of the last copy.
const BLOCK_ROOM: usize = 3 * BLOCK;

/// U+FFFD in UTF-8.
const REPLACEMENT: [u8; 3] = [0xef, 0xbf, 0xbd];

/// Longest output of one input byte: `\u00xx`.
const EXPANSION_MAX: usize = 6;

/// What becomes of each ASCII byte: 0 = itself, `u` = `\u00xx`, anything else = a backslash and that.
const SHORT_FORM: [u8; 256] = short_forms();

const fn short_forms() -> [u8; 256] {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
}

/// Upper bound of [`escaped_len`] for any input of `input_len` bytes: every byte a control character.
#[must_use]
pub const fn escaped_len_max(input_len: usize) -> usize {
    input_len.saturating_mul(EXPANSION_MAX)
}

/// Exact length of the escaped text in bytes. One pass.
#[must_use]
pub fn escaped_len(input: &[u8]) -> usize {
    input
        .utf8_chunks()
        .map(|chunk| {
            let valid: usize = chunk.valid().bytes().map(escaped_byte_len).sum();
            valid + if chunk.invalid().is_empty() { 0 } else { REPLACEMENT.len() }
        })
        .sum()
}

fn escaped_byte_len(byte: u8) -> usize {
    match SHORT_FORM[byte as usize] {
        0 => 1,
        b'u' => EXPANSION_MAX,
        _ => 2,
    }
}

/// Writes the escaped text to the start of `out` and returns its length in bytes, or `None` when `out` is too
/// small. What `out` holds behind that length (or at all, on `None`) is unspecified.
pub fn escape_into(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut cursor = Cursor { input, read: 0, out, written: 0 };
    // ASCII needs no validation: stop at the first byte that is not.
    cursor.escape::<true>()?;
    if cursor.read == input.len() {
        return Some(cursor.written);
    }
    let (start, end) = (cursor.read, input.len());
    if std::str::from_utf8(&input[start..]).is_ok() {
        cursor.escape::<false>()?;
        debug_assert_eq!(cursor.read, end);
        return Some(cursor.written);
    }
    cursor.escape_lossy()
}

/// How far escaping has come.
struct Cursor<'a> {
    input: &'a [u8],
    read: usize,
    out: &'a mut [u8],
    written: usize,
}

impl Cursor<'_> {
    /// Escapes to the end of the input, or with `ASCII` to its first byte that is not ASCII.
    #[inline]
    fn escape<const ASCII: bool>(&mut self) -> Option<()> {
        loop {
            let blocks_ended = self.escape_blocks::<ASCII>();
            // Leave the byte-by-byte way as soon as there can be a block again: it is for ends and oddities.
            let bytes_max = if blocks_ended { usize::MAX } else { 1 };
            if !self.escape_bytes::<ASCII>(bytes_max)? {
                return Some(());
            }
        }
    }

    /// Escapes blocks while there is input and room for them. Returns false when a byte needs another way.
    #[inline]
    fn escape_blocks<const ASCII: bool>(&mut self) -> bool {
        while let Some(from) = self.input[self.read..].first_chunk::<BLOCK_INPUT>()
            && let Some(to) = self.out[self.written..].first_chunk_mut::<BLOCK_ROOM>()
        {
            let block: &[u8; BLOCK] = from.first_chunk().expect("a block is shorter");
            to[..BLOCK].copy_from_slice(block);
            let marks = Marks::of(block);
            let mut quoted = marks.quoted;
            let stop = if ASCII { marks.control | marks.non_ascii } else { marks.control };
            let block_len = (stop | 1 << BLOCK).trailing_zeros() as usize;
            quoted &= (1 << block_len) - 1;
            let mut shift = 0;
            while quoted != 0 {
                let at = quoted.trailing_zeros() as usize % BLOCK;
                let place = at + shift % BLOCK;
                to[place] = b'\\';
                to[place + 1..place + 1 + BLOCK].copy_from_slice(&from[at..at + BLOCK]);
                shift += 1;
                quoted &= quoted - 1;
            }
            self.read += block_len;
            self.written += block_len + shift;
            if stop != 0 {
                return false;
            }
        }
        true
    }

    /// Escapes at most `count_max` bytes one by one. Returns whether there is more to do.
    fn escape_bytes<const ASCII: bool>(&mut self, mut count_max: usize) -> Option<bool> {
        while let Some(&byte) = self.input.get(self.read) {
            if ASCII && !byte.is_ascii() {
                return Some(false);
            }
            if count_max == 0 {
                return Some(true);
            }
            count_max -= 1;
            match SHORT_FORM[byte as usize] {
                0 => self.put(&[byte])?,
                b'u' => self.put(&unicode_escape(byte))?,
                short => self.put(&[b'\\', short])?,
            }
            self.read += 1;
        }
        Some(false)
    }

    /// Escapes the rest of an input that is not UTF-8. Returns the length of the whole output.
    #[cold]
    fn escape_lossy(mut self) -> Option<usize> {
        for chunk in self.input[self.read..].utf8_chunks() {
            let room = &mut self.out[self.written..];
            let mut valid = Cursor { input: chunk.valid().as_bytes(), read: 0, out: room, written: 0 };
            valid.escape::<false>()?;
            self.written += valid.written;
            if !chunk.invalid().is_empty() {
                self.put(&REPLACEMENT)?;
            }
        }
        Some(self.written)
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        *self.out.get_mut(self.written..)?.first_chunk_mut()? = *bytes;
        self.written += N;
        Some(())
    }
}

fn unicode_escape(control: u8) -> [u8; EXPANSION_MAX] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    [b'\\', b'u', b'0', b'0', HEX[usize::from(control >> 4)], HEX[usize::from(control & 0xf)]]
}

/// Which bytes of a block need care: bit `n` stands for byte `n`.
struct Marks {
    /// `"` and `\`: a backslash in front of them is all.
    quoted: u32,
    /// Below 0x20.
    control: u32,
    /// Above 0x7f.
    non_ascii: u32,
}

impl Marks {
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        };
        let [low, high] =
            [0, 8].map(|at| i64::from_le_bytes(*block[at..].first_chunk().expect("eight bytes")));
        // SAFETY: no instruction here touches memory, and SSE2, which is all they need, is part of x86-64.
        unsafe {
            let bytes = _mm_set_epi64x(high, low);
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            Self {
                quoted: _mm_movemask_epi8(_mm_or_si128(quote, backslash)).cast_unsigned(),
                control: _mm_movemask_epi8(control).cast_unsigned(),
                non_ascii: _mm_movemask_epi8(bytes).cast_unsigned(),
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of(block: &[u8; BLOCK]) -> Self {
        Self::portable(block)
    }

    /// The same with plain arithmetic, eight bytes at a time.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn portable(block: &[u8; BLOCK]) -> Self {
        const EACH: u64 = 0x0101_0101_0101_0101;
        /// The top bit of each byte, gathered: bit `n` for byte `n`.
        fn gather(tops: u64) -> u32 {
            u32::from((((tops >> 7) & EACH).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8)
        }
        let mut marks = Self { quoted: 0, control: 0, non_ascii: 0 };
        for (half, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            let low = word & (0x7f * EACH);
            // Adding carries into a byte's top bit unless the byte is too small for it; nothing leaves the byte.
            let not_quote = (low ^ (u64::from(b'"') * EACH)) + 0x7f * EACH;
            let not_backslash = (low ^ (u64::from(b'\\') * EACH)) + 0x7f * EACH;
            let not_control = low + (0x80 - 0x20) * EACH;
            marks.quoted |= gather(!(not_quote & not_backslash) & !word) << (8 * half);
            marks.control |= gather(!not_control & !word) << (8 * half);
            marks.non_ascii |= gather(word) << (8 * half);
        }
        marks
    }
}

#[cfg(test)]
mod tests;
