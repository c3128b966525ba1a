//! Makes segments before they are needed and removes them when they are delivered, so that no shard ever waits for a
//! directory. [`Keeper::turn`] does what there is to do now and blocks for as long as the disk takes; [`thread`] calls
//! it.
//!
//! ```text
//!             name.spare ── allocate, header, fsync ── rename, fsync of the directory ──▶ name.seg ──▶ SegmentFeed
//!                 ▲                                                                          │
//!                 └─────── rename, fsync of the directory ◀── all delivered ─────────────────┘
//! ```
//!
//! What fails is tried again at the next turn, and shows as [`Room`] until it works. Segments are retired oldest first,
//! each with its own fsync of the directory, so a hole between two segments is damage and never a crash.

mod stream;
pub mod thread;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use stream::{Kept, StreamKeeper};

use super::budget::Budget;
use super::disk::Disk;
use super::figures::KeeperFigures;
use super::recovery::StreamFound;
use super::stream::{KeeperWake, Room};

/// Everything of the keeper that is the same for all streams.
#[derive(Debug)]
pub(super) struct Shop<D> {
    pub(super) disk: D,
    pub(super) budget: Arc<Budget>,
    pub(super) figures: Arc<KeeperFigures>,
    /// Size of new segments.
    pub(super) segment_bytes: u64,
    /// Spares that each stream may keep.
    pub(super) spares_max: usize,
    /// Makes the ids of segments: no client can know them.
    pub(super) random: fastrand::Rng,
}

/// See the module's description.
pub struct Keeper<D: Disk> {
    pub(super) shop: Shop<D>,
    pub(super) streams: Vec<StreamKeeper<D::File>>,
    pub(super) wake: KeeperWake,
    pub(super) dir: PathBuf,
    /// No second engine works on the directory for as long as this lives.
    pub(super) _lock: D::Lock,
}

impl<D: Disk> std::fmt::Debug for Keeper<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl<D: Disk> Keeper<D> {
    /// Does everything that there is to do. False when something could not be done and should be tried again soon.
    pub fn turn(&mut self) -> bool {
        let mut done = true;
        for stream in &mut self.streams {
            done &= stream.tend(&mut self.shop);
        }
        // All of one before any of the other: what is delivered anywhere makes room everywhere.
        for number in 0..self.streams.len() {
            while let Some(room) = self.streams[number].supply(&mut self.shop) {
                if room == Room::LimitReached && self.give_up_a_spare() {
                    continue;
                }
                done = false;
                break;
            }
        }
        done
    }

    /// Removes one spare of any stream, so that another can have its bytes.
    fn give_up_a_spare(&mut self) -> bool {
        self.streams.iter_mut().any(|stream| stream.drop_spare(&mut self.shop))
    }

    /// The last turn: writes down how far everything is delivered, durably.
    pub fn close(&mut self) {
        for stream in &mut self.streams {
            stream.close(&mut self.shop);
        }
    }

    /// What recovery found of each stream, once it is known.
    pub fn found(&self) -> impl Iterator<Item = &StreamFound> {
        self.streams.iter().filter_map(StreamKeeper::found)
    }

    /// Streams whose state could not be read yet, and why. They are tried again at each turn.
    pub fn unrecovered(&self) -> impl Iterator<Item = (&StreamFound, &io::Error)> {
        self.streams.iter().filter_map(StreamKeeper::trouble)
    }

    /// Counters.
    #[must_use]
    pub fn figures(&self) -> Arc<KeeperFigures> {
        self.shop.figures.clone()
    }

    /// Bytes in use, and the limit.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        self.shop.budget.clone()
    }
}

/// What an error of the disk means for those who wait for room.
fn room_of(error: &io::Error) -> Room {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Room::DiskFull,
        _ => Room::DiskFailed,
    }
}
