//! Slowloris: a head that never ends, one byte a second.

use std::time::Duration;

use super::{Attack, Drip, PAUSE, open_head};

pub(super) const ATTACK: Attack = Attack {
    name: "slow_headers",
    description: "a head that never ends, one byte a second (slowloris)",
    reads: true,
    pause: PAUSE,
    variants: &["headers"],
    script: |target, _| {
        Box::new(Drip {
            first: open_head(target),
            tail: b"X-a: b\r\n",
            interval: Duration::from_secs(1),
            sent: 0,
        })
    },
};
