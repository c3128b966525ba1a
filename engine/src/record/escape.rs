//! JSON string escaping (RFC 8259 section 7) straight into the memory of a batch.
//!
//! The text is exactly what `serde_json` writes for `String::from_utf8_lossy(input)`, quotes around it not
//! included: `"` and `\` get a backslash, control characters their short form (`\b \f \n \r \t`) or `\u00xx` in
//! lower-case hex, everything else (non-ASCII and `/` too) stays as it is. Each maximal invalid part of the
//! input becomes one U+FFFD.
//!
//! This is the engine's hottest loop: the body of every request goes through it, and is JSON itself, so that
//! about every eighth byte is a quote. It works on blocks of 16 bytes: one look at the block tells which bytes get a
//! backslash, and there are two ways to make room for them:
//!
//! | way | how |
//! | --- | --- |
//! | [`shuffles`] | eight bytes at a time, by a table of 256 shuffles (SSSE3; AVX2 looks at two blocks together) |
//! | [`moves`] | the rest of the block moves up, once for each |
//!
//! Shuffles cost 1.8 user instructions a byte of a clickstream event with a quote every 6 bytes (AVX2, callgrind, 1 KB).
//! Control characters, text that is not ASCII, and places with too little room for a whole block go byte by byte.

mod moves;
#[cfg(target_arch = "x86_64")]
mod shuffles;

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
    // ASCII needs no validation, and common sequences are validated in passing: stop at the first byte of others.
    let known = escape::<true>(input, out)?;
    if known.read == input.len() {
        return Some(known.written);
    }
    let (rest, room) = (&input[known.read..], &mut out[known.written..]);
    let len = if std::str::from_utf8(rest).is_ok() {
        escape::<false>(rest, room)?.written
    } else {
        escape_lossy(rest, room)?
    };
    Some(known.written + len)
}

/// Escapes what is not UTF-8. Returns the length of the output.
#[cold]
fn escape_lossy(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut written = 0;
    for chunk in input.utf8_chunks() {
        written += escape::<false>(chunk.valid().as_bytes(), &mut out[written..])?.written;
        if !chunk.invalid().is_empty() {
            *out[written..].first_chunk_mut()? = REPLACEMENT;
            written += REPLACEMENT.len();
        }
    }
    Some(written)
}

/// How far escaping has come, in bytes.
#[derive(Clone, Copy)]
struct Progress {
    read: usize,
    written: usize,
}

impl Progress {
    fn add(&mut self, step: Self) {
        self.read += step.read;
        self.written += step.written;
    }
}

/// Escapes to the end of the input, which is UTF-8; or with `ASCII`, when that is not known, to the first byte that is
/// neither ASCII nor one of the sequences that [`copy_multibyte`] knows.
#[inline]
fn escape<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Option<Progress> {
    let mut progress = Progress { read: 0, written: 0 };
    loop {
        progress.add(escape_blocks::<ASCII>(&input[progress.read..], &mut out[progress.written..]));
        // The next byte needs care, or a tight place is near.
        let Some(&byte) = input.get(progress.read) else { return Some(progress) };
        if ASCII && !byte.is_ascii() {
            let len = copy_multibyte(&input[progress.read..], &mut out[progress.written..]);
            if len == 0 {
                return Some(progress);
            }
            progress.add(Progress { read: len, written: len });
            continue;
        }
        progress.read += 1;
        progress.written += escape_byte(byte, &mut out[progress.written..])?;
    }
}

/// Escapes blocks and the end that is shorter than one, while there is room for a whole one, up to a byte that a
/// backslash alone does not escape (with `ASCII`, up to one that is not ASCII).
#[inline]
fn escape_blocks<const ASCII: bool>(input: &[u8], out: &mut [u8]) -> Progress {
    #[cfg(target_arch = "x86_64")]
    if let Some(level) = shuffles::Level::of_this_processor() {
        // SAFETY: this processor has it.
        return unsafe { shuffles::escape_blocks::<ASCII>(level, input, out) };
    }
    moves::escape_blocks::<ASCII>(input, out)
}

/// Copies valid UTF-8 sequences of two and three bytes (RFC 3629 section 4) from the start of `input`, and returns
/// their length. Stops at whatever else there is, and near either end. It spares such text a second pass (counted: 7.7
/// instead of 12 instructions a byte of Chinese, 3.9 instead of 4.9 where Chinese is a fifth of the JSON).
#[inline]
fn copy_multibyte(input: &[u8], out: &mut [u8]) -> usize {
    let (mut rest, mut room) = (input, out);
    while let (Some(bytes), Some(place)) = (rest.first_chunk::<4>(), room.first_chunk_mut()) {
        *place = *bytes;
        // The first byte is the lowest of the word: 0x8080e0 is 1110xxxx 10xxxxxx 10xxxxxx.
        let word = u32::from_le_bytes(*bytes);
        // Four bits of the first byte and one of the second tell what is overlong (E0 80..9F) or a surrogate (ED A0..BF).
        let range = word & 0x200f;
        if word & 0x00c0_c0f0 == 0x0080_80e0 && range != 0 && range != 0x200d {
            (rest, room) = (&rest[3..], &mut room[3..]);
        } else if word & 0xc0e0 == 0x80c0 && word & 0x1e != 0 {
            // Not C0 or C1, which are overlong.
            (rest, room) = (&rest[2..], &mut room[2..]);
        } else {
            break;
        }
    }
    input.len() - rest.len()
}

/// Returns how many bytes it wrote.
#[inline]
fn escape_byte(byte: u8, out: &mut [u8]) -> Option<usize> {
    match SHORT_FORM[byte as usize] {
        0 => {
            *out.first_mut()? = byte;
            Some(1)
        }
        b'u' => {
            *out.first_chunk_mut()? = unicode_escape(byte);
            Some(EXPANSION_MAX)
        }
        short => {
            *out.first_chunk_mut()? = [b'\\', short];
            Some(2)
        }
    }
}

fn unicode_escape(control: u8) -> [u8; EXPANSION_MAX] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    [b'\\', b'u', b'0', b'0', HEX[usize::from(control >> 4)], HEX[usize::from(control & 0xf)]]
}

#[cfg(test)]
mod tests;
