//! Reading answers: HTTP/1.1 responses, from bytes that come in any pieces.
//!
//! Only what a generator has to know: the status, where the answer ends (RFC 9112, section 6), and whether the
//! connection may be used again. Interim answers (1xx) are passed over.

use memchr::memchr;

/// The longest line of a head or chunk that is taken for HTTP.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Whether the server keeps the connection.
    pub keep_alive: bool,
}

/// What came is not an HTTP answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    StatusLine,
    Header,
    Body { left: u64 },
    UntilClose,
    ChunkSize,
    Chunk { left: u64 },
    ChunkEnd,
    Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Unsaid,
    Length(u64),
    Chunked,
}

/// A reader of one answer after the other.
#[derive(Debug)]
pub struct AnswerReader {
    at: At,
    /// The part of a line that came with earlier pieces.
    line: Vec<u8>,
    status: u16,
    keep_alive: bool,
    framing: Framing,
}

impl Default for AnswerReader {
    fn default() -> Self {
        Self {
            at: At::StatusLine,
            line: Vec::with_capacity(256),
            status: 0,
            keep_alive: true,
            framing: Framing::Unsaid,
        }
    }
}

impl AnswerReader {
    /// Begins anew, on a new connection.
    pub fn reset(&mut self) {
        self.line.clear();
        self.begin();
    }

    fn begin(&mut self) {
        (self.at, self.status, self.keep_alive, self.framing) = (At::StatusLine, 0, true, Framing::Unsaid);
    }

    /// Whether nothing of a next answer has been read.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.at == At::StatusLine && self.line.is_empty()
    }

    /// Takes the next bytes, up to the end of an answer: how many were taken, and the answer if it is whole.
    ///
    /// # Errors
    /// When it is not HTTP.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Answer>), Garbled> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let (used, whole) = match self.at {
                At::Body { left } => self.body(rest, left),
                At::Chunk { left } => (self.chunk(rest, left), false),
                At::UntilClose => (rest.len(), false),
                _ => self.line(rest)?,
            };
            taken += used;
            if whole {
                let answer = Answer { status: self.status, keep_alive: self.keep_alive };
                self.begin();
                return Ok((taken, Some(answer)));
            }
        }
        Ok((taken, None))
    }

    /// The connection ended: an answer that goes on until then is whole now.
    pub fn end(&mut self) -> Option<Answer> {
        let whole = self.at == At::UntilClose;
        let answer = Answer { status: self.status, keep_alive: false };
        self.reset();
        whole.then_some(answer)
    }

    #[allow(clippy::cast_possible_truncation, reason = "not more than the piece's length")]
    fn body(&mut self, rest: &[u8], left: u64) -> (usize, bool) {
        let used = left.min(rest.len() as u64);
        self.at = At::Body { left: left - used };
        (used as usize, left == used)
    }

    #[allow(clippy::cast_possible_truncation, reason = "not more than the piece's length")]
    fn chunk(&mut self, rest: &[u8], left: u64) -> usize {
        let used = left.min(rest.len() as u64);
        self.at = if left == used { At::ChunkEnd } else { At::Chunk { left: left - used } };
        used as usize
    }

    /// Takes bytes up to the end of a line, and acts on the line when it is whole.
    fn line(&mut self, rest: &[u8]) -> Result<(usize, bool), Garbled> {
        let end = memchr(b'\n', rest);
        let part = &rest[..end.unwrap_or(rest.len())];
        if self.line.len() + part.len() > LINE_BYTES_MAX {
            return Err(Garbled);
        }
        let Some(end) = end else {
            self.line.extend_from_slice(part);
            return Ok((rest.len(), false));
        };
        if self.line.is_empty() {
            return Ok((end + 1, self.whole_line(without_cr(part))?));
        }
        self.line.extend_from_slice(part);
        let line = std::mem::take(&mut self.line);
        let whole = self.whole_line(without_cr(&line));
        self.line = line;
        self.line.clear();
        Ok((end + 1, whole?))
    }

    /// Acts on a line; says whether it ended the answer.
    fn whole_line(&mut self, line: &[u8]) -> Result<bool, Garbled> {
        match self.at {
            At::StatusLine => self.status_line(line)?,
            At::Header if line.is_empty() => return Ok(self.head_ended()),
            At::Header => self.header(line)?,
            At::ChunkSize => {
                let left = chunk_size(line).ok_or(Garbled)?;
                self.at = if left == 0 { At::Trailer } else { At::Chunk { left } };
            }
            At::ChunkEnd if line.is_empty() => self.at = At::ChunkSize,
            At::Trailer => return Ok(line.is_empty()),
            At::ChunkEnd | At::Body { .. } | At::Chunk { .. } | At::UntilClose => return Err(Garbled),
        }
        Ok(false)
    }

    fn status_line(&mut self, line: &[u8]) -> Result<(), Garbled> {
        let minor = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.first()).ok_or(Garbled)?;
        let digits = line.get(8..12).and_then(|text| text.strip_prefix(b" ")).ok_or(Garbled)?;
        if !digits.iter().all(u8::is_ascii_digit) || line.get(12).is_some_and(|&byte| byte != b' ') {
            return Err(Garbled);
        }
        self.status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        self.keep_alive = *minor != b'0';
        self.at = At::Header;
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Garbled> {
        let colon = memchr(b':', line).ok_or(Garbled)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(Garbled)?;
            if self.framing == Framing::Unsaid {
                self.framing = Framing::Length(length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            if value.eq_ignore_ascii_case(b"close") {
                self.keep_alive = false;
            } else if value.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            }
        }
        Ok(())
    }

    /// What follows the head; says whether nothing does.
    fn head_ended(&mut self) -> bool {
        if (100..200).contains(&self.status) {
            self.begin();
            return false;
        }
        if self.status == 204 || self.status == 304 {
            return true;
        }
        match self.framing {
            Framing::Length(0) => return true,
            Framing::Length(left) => self.at = At::Body { left },
            Framing::Chunked => self.at = At::ChunkSize,
            Framing::Unsaid => (self.at, self.keep_alive) = (At::UntilClose, false),
        }
        false
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    if digits.is_empty() || digits[0] == b'+' {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(pieces: &[&[u8]]) -> Result<Vec<Answer>, Garbled> {
        let (mut reader, mut answers) = (AnswerReader::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (taken, answer) = reader.feed(rest)?;
                rest = &rest[taken..];
                answers.extend(answer);
            }
        }
        answers.extend(reader.end());
        Ok(answers)
    }

    const ANSWERS: &[u8] =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc\
        HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 400\r\nConnection: close\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.0 200 OK\r\n\r\nuntil the end";

    fn expected() -> Vec<Answer> {
        [(200, true), (503, true), (204, true), (400, false), (200, false)]
            .map(|(status, keep_alive)| Answer { status, keep_alive })
            .to_vec()
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_answers(mut cuts in prop::collection::vec(0..ANSWERS.len(), 0..12)) {
            cuts.sort_unstable();
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([ANSWERS.len()]) {
                pieces.push(&ANSWERS[from..cut]);
                from = cut;
            }
            prop_assert_eq!(read_all(&pieces), Ok(expected()));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _any_result = read_all(&[&bytes]);
        }
    }

    #[test]
    fn what_is_not_http_is_garbled() {
        for text in [
            "SSH-2.0-x\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.1 2x0 OK\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        ] {
            assert_eq!(read_all(&[text.as_bytes()]), Err(Garbled), "{text:?}");
        }
    }

    #[test]
    fn an_answer_cut_off_is_none() {
        assert_eq!(read_all(&[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"]), Ok(vec![]));
    }
}
