//! A `Content-Length` that is not the body's: too short, and the rest reads as a next request; too long, and the
//! target waits for bytes that never come.

use super::{Attack, Once, PAUSE, Step, head};

/// What is sent as body: a whole JSON array of events, and an empty line, so that the rest looks like a whole head.
const BODY: &[u8] =
    b"[{\"event_type\":\"_page_view\",\"attributes\":{\"_page_title\":\"not a request line\"}}]\r\n\r\n";

pub(super) const ATTACK: Attack = Attack {
    name: "lying_length",
    description: "Content-Length 5 for a longer body (the rest is garbage), or longer than the body, then silence",
    reads: true,
    pause: PAUSE,
    variants: &["too short", "too long"],
    script: |target, variant| {
        let length = if variant == 0 { 5 } else { BODY.len() + 1000 };
        let mut bytes = head(target, &format!("Content-Length: {length}"));
        bytes.extend_from_slice(BODY);
        Box::new(Once { bytes, then: Step::Hold })
    },
};
