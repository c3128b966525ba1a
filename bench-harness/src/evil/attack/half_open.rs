//! Connections on which nothing is ever said.

use super::{Attack, Once, PAUSE, Step};

pub(super) const ATTACK: Attack = Attack {
    name: "half_open",
    description: "connects, says nothing, and comes back when it is closed",
    reads: true,
    pause: PAUSE,
    variants: &["silence"],
    script: |_, _| Box::new(Once { bytes: Vec::new(), then: Step::Hold }),
};
