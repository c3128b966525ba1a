//! A whole head, then the body byte by byte: one segment, one read and one wake-up each.

use std::time::Duration;

use super::{Attack, Drip, PAUSE, head};

pub(super) const ATTACK: Attack = Attack {
    name: "slow_body",
    description: "a body of 100,000 bytes, ten bytes a second, one at a time",
    reads: true,
    pause: PAUSE,
    variants: &["body"],
    script: |target, _| {
        Box::new(Drip {
            first: head(target, "Content-Length: 100000"),
            tail: b"[",
            interval: Duration::from_millis(100),
            sent: 0,
        })
    },
};
