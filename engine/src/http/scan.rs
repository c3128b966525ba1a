//! Finds the end of a request head in bytes that arrive piece by piece.
//!
//! Every byte is looked at once, however the head is split: a client that sends one byte at a time costs no more
//! than one that sends the head whole. Lines end in CR LF and nothing else (RFC 9112 section 2.2 lets a server take
//! a lone LF; parsers that differ on it are what request smuggling is made of, so it is refused).

use super::Refusal;
use crate::record::block::{BLOCK, Block};

/// Where a head lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadEnd {
    /// Its first byte: behind the empty lines that may come before a request line (RFC 9112 section 2.2).
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

/// Empty lines that are skipped before a request line.
const EMPTY_LINES_MAX: usize = 4;

/// The scanner's state between two looks at the growing buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScanner {
    /// Bytes below this were looked at.
    scanned: usize,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Where the request line begins.
    start: usize,
    /// Behind the request line, once it is complete; 0 before.
    request_line_end: usize,
}

impl HeadScanner {
    /// A scanner for the next request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the bytes that came since the last call; `buffer` begins where it began then. `None`: the head is
    /// not complete yet.
    ///
    /// # Errors
    /// [`Refusal::BadLineEnding`]; over `head_bytes_max` [`Refusal::UriTooLong`] when the request line alone is
    /// longer, else [`Refusal::HeadTooLarge`].
    pub fn advance(&mut self, buffer: &[u8], head_bytes_max: usize) -> Result<Option<HeadEnd>, Refusal> {
        loop {
            if self.request_line_end > 0 && self.blocks(buffer)? {
                self.within(self.line, head_bytes_max)?;
                return Ok(Some(HeadEnd { start: self.start, end: self.line }));
            }
            let Some(found) = memchr::memchr(b'\n', &buffer[self.scanned..]) else { break };
            let newline = self.scanned + found;
            if newline == self.line || buffer[newline - 1] != b'\r' {
                return Err(Refusal::BadLineEnding);
            }
            let empty = newline - 1 == self.line;
            self.scanned = newline + 1;
            self.line = newline + 1;
            if !empty {
                if self.request_line_end == 0 {
                    self.request_line_end = self.line;
                }
            } else if self.request_line_end > 0 {
                self.within(self.line, head_bytes_max)?;
                return Ok(Some(HeadEnd { start: self.start, end: self.line }));
            } else {
                self.start = self.line;
                if self.start > 2 * EMPTY_LINES_MAX {
                    return Err(Refusal::BadRequestLine);
                }
            }
        }
        self.scanned = buffer.len();
        self.within(buffer.len(), head_bytes_max)?;
        Ok(None)
    }

    /// Looks at whole blocks behind the request line, while there are any: true when the empty line was among them,
    /// which [`HeadScanner::line`] is then behind of.
    ///
    /// ```text
    ///   block     o s t : a \r \n \r \n b o d y        an LF needs a CR one before,
    ///   LF        . . . . .  .  x  .  x                    and ends an empty line if there is an LF two before
    /// ```
    fn blocks(&mut self, buffer: &[u8]) -> Result<bool, Refusal> {
        // Behind a request line there are two bytes to look back at.
        let [.., before, last] = buffer[..self.scanned] else { return Ok(false) };
        let mut carried_cr = u32::from(last == b'\r');
        let mut carried_lf = u32::from(before == b'\n') | u32::from(last == b'\n') << 1;
        while let Some(block) = buffer[self.scanned..].first_chunk::<BLOCK>() {
            let block = Block::of(block);
            let (lf, cr) = (block.equal(b'\n').bits(), block.equal(b'\r').bits());
            let empty = lf & (lf << 2 | carried_lf);
            // What follows the empty line is the body's.
            let head = empty ^ empty.wrapping_sub(1);
            if lf & head & !(cr << 1 | carried_cr) != 0 {
                return Err(Refusal::BadLineEnding);
            }
            if empty != 0 {
                self.line = self.scanned + empty.trailing_zeros() as usize + 1;
                self.scanned = self.line;
                return Ok(true);
            }
            if lf != 0 {
                self.line = self.scanned + lf.ilog2() as usize + 1;
            }
            self.scanned += BLOCK;
            carried_cr = cr >> (BLOCK - 1);
            carried_lf = lf >> (BLOCK - 2);
        }
        Ok(false)
    }

    fn within(&self, end: usize, head_bytes_max: usize) -> Result<(), Refusal> {
        match end - self.start > head_bytes_max {
            false => Ok(()),
            true if (1..=self.start + head_bytes_max).contains(&self.request_line_end) => {
                Err(Refusal::HeadTooLarge)
            }
            true => Err(Refusal::UriTooLong),
        }
    }

    /// True before the first byte was looked at.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Bytes that were looked at: never more than the buffer held, whatever the number of calls.
    #[must_use]
    pub fn scanned(&self) -> usize {
        self.scanned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(bytes: &[u8], cuts: &[usize]) -> Result<Option<HeadEnd>, Refusal> {
        let mut scanner = HeadScanner::new();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        for cut in cuts {
            match scanner.advance(&bytes[..cut], 64) {
                Ok(None) => assert_eq!(scanner.scanned(), cut, "nothing is looked at twice"),
                decided => return decided,
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody", &[]), Ok(Some(HeadEnd { start: 0, end: 24 })));
        assert_eq!(scan(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[]), Ok(Some(HeadEnd { start: 4, end: 22 })));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n", &[]), Ok(None));
        assert_eq!(scan(b"", &[]), Ok(None));
    }

    #[test]
    fn lines_end_in_crlf_only() {
        for bytes in
            [&b"GET / HTTP/1.1\n\n"[..], b"GET / HTTP/1.1\r\nA: b\n\r\n", b"\nGET / HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(scan(bytes, &[]), Err(Refusal::BadLineEnding), "{bytes:?}");
        }
        assert_eq!(scan(&b"\r\n".repeat(5), &[]), Err(Refusal::BadRequestLine));
    }

    #[test]
    fn the_limit_counts_the_head_and_says_what_was_too_long() {
        let head = |fill: usize| [b"GET / HTTP/1.1\r\nA: ", &vec![b'x'; fill][..], b"\r\n\r\n"].concat();
        assert_eq!(head(41).len(), 64);
        assert_eq!(scan(&head(41), &[]), Ok(Some(HeadEnd { start: 0, end: 64 })));
        assert_eq!(scan(&head(42), &[]), Err(Refusal::HeadTooLarge));
        assert_eq!(scan(&[b'x'; 65], &[]), Err(Refusal::UriTooLong));
        assert_eq!(scan(&[b'x'; 64], &[]), Ok(None));
        let long_line = [&[b'x'; 65][..], b"\r\nA: b\r\n\r\n"].concat();
        assert_eq!(scan(&long_line, &[]), Err(Refusal::UriTooLong));
    }

    /// The same by looking at one line after the other.
    fn by_lines(bytes: &[u8]) -> Result<Option<HeadEnd>, Refusal> {
        let (mut at, mut start, mut begun) = (0, 0, false);
        while let Some(len) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let Some(line) = bytes[at..at + len].strip_suffix(b"\r") else {
                return Err(Refusal::BadLineEnding);
            };
            at += len + 1;
            match (line.is_empty(), begun) {
                (true, true) => return Ok(Some(HeadEnd { start, end: at })),
                (true, false) => start = at,
                (false, _) => begun = true,
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn blocks_find_what_lines_find(
            lines in prop::collection::vec("[a-z: ]{0,40}(\r\n|\r\n|\r\n|\r\n|\r\n|\r\n|\r\n|\n|\r|\r\r\n|\n\r)", 0..12),
            cuts in prop::collection::vec(0_usize..500, 0..20),
        ) {
            let bytes = lines.concat().into_bytes();
            prop_assume!(!bytes.starts_with(b"\r\n\r\n\r\n\r\n\r\n"));
            let mut scanner = HeadScanner::new();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
            cuts.sort_unstable();
            let mut found = Ok(None);
            for cut in cuts {
                found = scanner.advance(&bytes[..cut], 4096);
                if found != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(found, by_lines(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_split_gives_the_same(
            lines in prop::collection::vec("[a-z: ]{0,12}(\r\n|\r\n|\r\n|\n|\r)", 0..6),
            cuts in prop::collection::vec(0_usize..80, 0..20),
        ) {
            let bytes = lines.concat().into_bytes();
            prop_assume!(bytes.len() <= 64);
            prop_assert_eq!(scan(&bytes, &cuts), scan(&bytes, &[]));
        }
    }
}
