//! Looking at a journal's directory without an engine: on a copy, or in place beside a running one. Nothing is changed,
//! but by [`replay`], which takes the lock.

mod export;
mod inventory;
pub mod replay;
mod report;

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::Path;

pub use export::{Exported, export};
pub use inventory::{Damage, Inventory, SegmentView, SinkView, StreamView, take};
pub use report::{list_text, verify_text};

use super::layout;

/// Who works on the directory: `None` nobody, `Some(None)` a process that can't be told.
#[must_use]
pub fn holder(dir: &Path) -> Option<Option<u32>> {
    let file = File::open(dir.join(layout::LOCK)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(32).read_to_string(&mut text);
            Some(text.trim().parse().ok())
        }
        _ => None,
    }
}
