//! The parameters of the query that go into a record, found in one pass and decoded only where needed.
//!
//! Pairs and values are those of `application/x-www-form-urlencoded` (URL Standard section 5.1): pairs between
//! `&`, empty ones skipped; a name without `=` has the empty value; `+` is a space; `%` with two hexadecimal
//! digits is a byte, any other `%` is itself. Of a repeated name the last value counts.

use crate::record::block::{BLOCK, Block};

/// The parameters that a Clickstream record names. `None`: not in the query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    /// `appId`
    pub app_id: Option<Value<'a>>,
    /// `platform`
    pub platform: Option<Value<'a>>,
    /// `compression`
    pub compression: Option<Value<'a>>,
    /// `upload_timestamp`
    pub upload_timestamp: Option<Value<'a>>,
    /// `fakeIp`
    pub fake_ip: Option<Value<'a>>,
}

impl<'a> Parameters<'a> {
    /// Reads a query, without its `?`.
    #[must_use]
    pub fn parse(query: &'a [u8]) -> Self {
        let mut parameters = Self::default();
        let mut pair = Pair::default();
        let (blocks, tail) = query.as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            parameters.read_block(query, &mut pair, number * BLOCK, block);
        }
        if !tail.is_empty() {
            // Filled up with a byte that means nothing.
            let mut block = [0; BLOCK];
            block[..tail.len()].copy_from_slice(tail);
            parameters.read_block(query, &mut pair, query.len() - tail.len(), &block);
        }
        parameters.keep(query, pair, query.len());
        parameters
    }

    /// Reads the bytes of `query` that begin at `start` and are `block`.
    #[inline]
    fn read_block(&mut self, query: &'a [u8], pair: &mut Pair, start: usize, block: &[u8; BLOCK]) {
        let bytes = Block::of(block);
        let marks = bytes.equal(b'&') | bytes.equal(b'=') | bytes.equal(b'%') | bytes.equal(b'+');
        let mut marks = marks.bits();
        while marks != 0 {
            let place = marks.trailing_zeros() as usize % BLOCK;
            marks &= marks - 1;
            let at = start + place;
            match block[place] {
                b'&' => {
                    self.keep(query, *pair, at);
                    *pair = Pair { start: at + 1, ..Pair::default() };
                }
                b'=' if pair.name_end.is_none() => {
                    // Whether the name is coded is known now; from here on it is about the value.
                    pair.name_coded = std::mem::take(&mut pair.coded);
                    pair.name_end = Some(at);
                }
                b'=' => {}
                _ => pair.coded = true,
            }
        }
    }

    /// Keeps the value of a pair that ends at `end`, if its name is one of ours.
    #[inline]
    fn keep(&mut self, query: &'a [u8], pair: Pair, end: usize) {
        let (name_end, value_start, name_coded) = match pair.name_end {
            Some(name_end) => (name_end, name_end + 1, pair.name_coded),
            None => (end, end, pair.coded),
        };
        let name = &query[pair.start..name_end];
        let value = Value { raw: &query[value_start..end], coded: pair.coded };
        let place = if name_coded {
            self.place_of_coded(Value { raw: name, coded: true })
        } else {
            self.place_of(name)
        };
        if let Some(place) = place {
            *place = Some(value);
        }
    }

    fn place_of(&mut self, name: &[u8]) -> Option<&mut Option<Value<'a>>> {
        match name {
            b"appId" => Some(&mut self.app_id),
            b"platform" => Some(&mut self.platform),
            b"compression" => Some(&mut self.compression),
            b"upload_timestamp" => Some(&mut self.upload_timestamp),
            b"fakeIp" => Some(&mut self.fake_ip),
            _ => None,
        }
    }

    #[cold]
    fn place_of_coded(&mut self, name: Value<'_>) -> Option<&mut Option<Value<'a>>> {
        const LONGEST: usize = b"upload_timestamp".len();
        let mut decoded = [0; LONGEST];
        let mut len = 0;
        for byte in name.bytes() {
            *decoded.get_mut(len)? = byte;
            len += 1;
        }
        self.place_of(&decoded[..len])
    }
}

/// The value of the parameter that is called `name`, wherever it stands: `None` where the query has none.
#[must_use]
pub fn find<'a>(query: &'a [u8], name: &str) -> Option<Value<'a>> {
    let mut found = None;
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let name_end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        if Value::new(&pair[..name_end]).bytes().eq(name.bytes()) {
            found = Some(Value::new(pair.get(name_end + 1..).unwrap_or_default()));
        }
    }
    found
}

/// Where in a query a pair stands, as far as it has been read.
#[derive(Clone, Copy, Default)]
struct Pair {
    start: usize,
    /// Place of the first `=`.
    name_end: Option<usize>,
    name_coded: bool,
    /// Whether what is being read, name or value, has to be decoded.
    coded: bool,
}

/// Bytes that [`Value::pieces`] decodes at a time.
const PIECE_BYTES: usize = 128;

/// One value, as it stands in the query.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    raw: &'a [u8],
    /// Whether decoding changes anything.
    coded: bool,
}

impl<'a> Value<'a> {
    /// The value that is written as `raw` in a query.
    fn new(raw: &'a [u8]) -> Self {
        Self { raw, coded: memchr::memchr2(b'%', b'+', raw).is_some() }
    }

    /// Upper bound of the decoded length in bytes.
    #[must_use]
    pub fn len_max(self) -> usize {
        self.raw.len()
    }

    /// The decoded bytes one by one.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let mut rest = self.raw;
        let coded = self.coded;
        std::iter::from_fn(move || {
            let (&first, tail) = rest.split_first()?;
            rest = tail;
            match (coded, first, tail) {
                (true, b'+', _) => Some(b' '),
                (true, b'%', [high, low, behind @ ..]) => {
                    let digits = hex_value(*high).zip(hex_value(*low));
                    Some(digits.map_or(b'%', |(high, low)| {
                        rest = behind;
                        high << 4 | low
                    }))
                }
                _ => Some(first),
            }
        })
    }

    /// Hands the decoded bytes to `put` in pieces, until that returns `None`. No piece ends inside of a UTF-8
    /// sequence, so replacing what is invalid piece by piece gives what replacing it in the whole would.
    pub fn pieces(self, mut put: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        if !self.coded {
            return put(self.raw);
        }
        let mut piece = [0; PIECE_BYTES];
        let mut len = 0;
        for byte in self.bytes() {
            if len == PIECE_BYTES {
                let cut = sequence_boundary(&piece);
                put(&piece[..cut])?;
                piece.copy_within(cut.., 0);
                len -= cut;
            }
            piece[len] = byte;
            len += 1;
        }
        put(&piece[..len])
    }

    /// Whether the decoded value is a number that JSON and a signed 64-bit integer can both hold: decimal digits,
    /// no sign, no leading zero.
    #[must_use]
    pub fn is_integer(self) -> bool {
        /// So many digits never exceed a signed 64-bit integer.
        const DIGITS_SAFE: usize = 18;
        if let ([b'1'..=b'9', rest @ ..], false) = (self.raw, self.coded)
            && self.raw.len() <= DIGITS_SAFE
        {
            return rest.iter().all(u8::is_ascii_digit);
        }
        let (mut number, mut digits) = (0_i64, 0);
        for byte in self.bytes() {
            // A zero in front may only stand alone.
            if !byte.is_ascii_digit() || (digits > 0 && number == 0) {
                return false;
            }
            let Some(grown) =
                number.checked_mul(10).and_then(|tens| tens.checked_add(i64::from(byte - b'0')))
            else {
                return false;
            };
            number = grown;
            digits += 1;
        }
        digits > 0
    }
}

/// The largest cut of `bytes` that separates no lead byte at its end from continuation bytes yet to come.
fn sequence_boundary(bytes: &[u8; PIECE_BYTES]) -> usize {
    // A sequence has at most four bytes: one that is still open began at one of the last three.
    for back in 1..=3 {
        match bytes[PIECE_BYTES - back] {
            0x80..=0xbf => {}
            0xc0.. => return PIECE_BYTES - back,
            _ => break,
        }
    }
    PIECE_BYTES
}

fn hex_value(digit: u8) -> Option<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "below 16")]
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests;
