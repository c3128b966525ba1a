//! Half a request, then a reset: what a target keeps of it must go away with the connection.

use std::time::Duration;

use super::{Attack, Once, Step, head, open_head};

/// Of 4,000 bytes.
const HALF_A_BODY: usize = 2000;

pub(super) const ATTACK: Attack = Attack {
    name: "abandoned",
    description: "half a head, or a head and half a body, then a reset; again at once",
    reads: true,
    pause: Duration::ZERO,
    variants: &["half a head", "half a body"],
    script: |target, variant| {
        let bytes = if variant == 0 {
            open_head(target)
        } else {
            let mut bytes = head(target, "Content-Length: 4000");
            bytes.resize(bytes.len() + HALF_A_BODY, b'[');
            bytes
        };
        Box::new(Once { bytes, then: Step::Reset })
    },
};
