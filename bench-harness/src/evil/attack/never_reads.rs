//! Whole requests in a pipeline whose answers are never read: they pile up in the target.

use super::{Attack, Endless, PAUSE, PIECE_BYTES, head};

const BODY: &str = r#"[{"event_type":"_page_view","event_id":"evil"}]"#;

pub(super) const ATTACK: Attack = Attack {
    name: "never_reads",
    description: "whole requests, pipelined as fast as they are taken; the answers are never read",
    reads: false,
    pause: PAUSE,
    variants: &["pipeline"],
    script: |target, _| {
        let mut request = head(target, &format!("Content-Length: {}", BODY.len()));
        request.extend_from_slice(BODY.as_bytes());
        let piece = request.repeat(PIECE_BYTES / request.len());
        Box::new(Endless { first: Vec::new(), piece })
    },
};
