//! A head of fields without end, each with another name, so that none can be merged.

use std::io::Write as _;

use super::{Attack, Moment, PAUSE, PIECE_BYTES, Script, Step, open_head};

pub(super) const ATTACK: Attack = Attack {
    name: "header_flood",
    description: "a head of distinct fields without end, as fast as it is taken",
    reads: true,
    pause: PAUSE,
    variants: &["fields"],
    script: |target, _| Box::new(Flood { first: open_head(target), fields: 0 }),
};

struct Flood {
    first: Vec<u8>,
    fields: u64,
}

impl Script for Flood {
    fn next(&mut self, _: Moment, out: &mut Vec<u8>) -> Step {
        out.append(&mut self.first);
        while out.len() < PIECE_BYTES {
            // Writing into a Vec can't fail.
            let _infallible = write!(out, "X-{:08x}: {}\r\n", self.fields, self.fields);
            self.fields += 1;
        }
        Step::Send
    }
}
