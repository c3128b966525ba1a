//! Connections that are closed as soon as they are made.

use std::time::Duration;

use super::{Attack, Once, Step};

pub(super) const ATTACK: Attack = Attack {
    name: "connection_churn",
    description: "connects and closes, as fast as the target and this host allow",
    reads: true,
    pause: Duration::ZERO,
    variants: &["churn"],
    script: |_, _| Box::new(Once { bytes: Vec::new(), then: Step::Close }),
};
