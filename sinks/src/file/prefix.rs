//! How much of a file that was left behind is good: the complete lines, or complete gzip members, at its start.
//!
//! ```text
//!  plain   {…}\n{…}\n{…}\n{"torn\0\0\0\0        gzip   [member][member][membe\0\0\0
//!                         ▲ good                                     ▲ good
//! ```
//!
//! Both scanners are fed the file from its start in pieces of any size and never look at a byte twice.

use flate2::{Decompress, FlushDecompress, Status};

/// What the decompressor writes to; its content is thrown away.
const SCRATCH_BYTES: usize = 64 * 1024;
const GZIP_WINDOW_BITS: u8 = 15;

/// Finds the good prefix of a file.
pub(super) enum Prefix {
    /// Plain lines.
    Lines(Lines),
    /// gzip members.
    Members(Box<Members>),
}

impl Prefix {
    pub(super) fn new(gzip: bool) -> Self {
        if gzip { Self::Members(Box::new(Members::new())) } else { Self::Lines(Lines::default()) }
    }

    /// Takes the next bytes of the file; false when nothing behind them can be good any more.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Lines(lines) => lines.feed(bytes),
            Self::Members(members) => members.feed(bytes),
        }
    }

    /// Length of the good prefix among what was fed.
    pub(super) fn good_bytes(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.good_bytes,
            Self::Members(members) => members.good_bytes,
        }
    }
}

/// The prefix that ends with the last newline before the first NUL byte.
///
/// JSON text has no NUL (RFC 8259 section 7: control characters are escaped), so one means a block that the file
/// system gave the file but never filled. What lies behind it was never fsynced, hence never acknowledged.
#[derive(Default)]
pub(super) struct Lines {
    fed_bytes: u64,
    good_bytes: u64,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> bool {
        let nul = bytes.iter().position(|&byte| byte == 0);
        let text = &bytes[..nul.unwrap_or(bytes.len())];
        if let Some(newline) = text.iter().rposition(|&byte| byte == b'\n') {
            self.good_bytes = self.fed_bytes + newline as u64 + 1;
        }
        self.fed_bytes += bytes.len() as u64;
        nul.is_none()
    }
}

/// The prefix that ends with the last member that decodes and whose checksum and length are right.
pub(super) struct Members {
    state: Decompress,
    scratch: Box<[u8]>,
    fed_bytes: u64,
    good_bytes: u64,
    failed: bool,
}

impl Members {
    fn new() -> Self {
        Self {
            state: Decompress::new_gzip(GZIP_WINDOW_BITS),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            fed_bytes: 0,
            good_bytes: 0,
            failed: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        // A full scratch may hide output, and a member's end, that needs no further input.
        let mut full = false;
        while (!rest.is_empty() || full) && !self.failed {
            let (taken_before, made_before) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(rest, &mut self.scratch, FlushDecompress::None);
            let made = self.state.total_out() - made_before;
            let taken = usize::try_from(self.state.total_in() - taken_before).unwrap_or(rest.len());
            rest = &rest[taken.min(rest.len())..];
            self.fed_bytes += taken as u64;
            full = made == self.scratch.len() as u64;
            match status {
                Ok(Status::StreamEnd) => {
                    self.good_bytes = self.fed_bytes;
                    self.state.reset(true);
                    full = false;
                }
                Ok(_) if taken > 0 || made > 0 || rest.is_empty() => {}
                Ok(_) | Err(_) => self.failed = true,
            }
        }
        !self.failed
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The good prefix, fed in pieces of every size up to `piece_max`; all must agree.
    fn good(gzip: bool, file: &[u8]) -> usize {
        let whole = scan(gzip, file, file.len().max(1));
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(scan(gzip, file, piece), whole, "pieces of {piece}");
        }
        whole
    }

    fn scan(gzip: bool, file: &[u8], piece: usize) -> usize {
        let mut prefix = Prefix::new(gzip);
        let _ = file.chunks(piece).all(|bytes| prefix.feed(bytes));
        usize::try_from(prefix.good_bytes()).unwrap()
    }

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_end_at_the_last_newline_before_the_first_nul() {
        for (file, expected) in [
            (&b""[..], 0),
            (b"{}", 0),
            (b"{}\n", 3),
            (b"{}\n{\"a\":", 3),
            (b"{}\n{}\n", 6),
            (b"{}\n\0\0\0\0", 3),
            (b"{}\n{\"a\"\0\0\0", 3),
            (b"{}\n{\"a\"\0\0\":1}\n{}\n", 3),
            (b"\0\0\0\0", 0),
            (b"\0{}\n", 0),
        ] {
            assert_eq!(good(false, file), expected, "{:?}", String::from_utf8_lossy(file));
        }
    }

    #[test]
    fn members_end_with_the_last_whole_one_wherever_the_file_is_torn() {
        let first = member(&b"{\"n\":1}\n".repeat(50));
        let second = member(b"{\"n\":2}\n");
        let file = [first.clone(), second].concat();
        for torn in 0..=file.len() {
            let expected = |torn: &[u8]| match torn {
                torn if torn.starts_with(&file) => file.len(),
                torn if torn.starts_with(&first) => first.len(),
                _ => 0,
            };
            assert_eq!(scan(true, &file[..torn], 64), expected(&file[..torn]), "torn at {torn}");
            let mut zeros = file[..torn].to_vec();
            // A member whose own last bytes are zeros is whole with these.
            zeros.resize(file.len() + 600, 0);
            assert_eq!(scan(true, &zeros, 64), expected(&zeros), "zeros from {torn} on");
        }
        assert_eq!(good(true, &file), file.len());
    }

    #[test]
    fn a_flipped_bit_ends_the_good_prefix_before_its_member() {
        let first = member(b"{\"n\":1}\n");
        let file = [first.clone(), member(b"{\"n\":2}\n"), member(b"{\"n\":3}\n")].concat();
        // Behind the header, which holds fields (time, system) that no checksum covers.
        for place in first.len() + 10..first.len() * 2 {
            let mut flipped = file.clone();
            flipped[place] ^= 1;
            assert_eq!(scan(true, &flipped, 4096), first.len(), "bit in byte {place}");
        }
    }
}
