//! A sink that can be read back after a run.
//!
//! To join: implement [`Store`] and give it a prefix in [`StoreSpec`](super::StoreSpec). A stream (Kinesis) gives what
//! was added since the last read; a bucket (S3), like a directory, gives everything each time.

use std::fmt::Display;
use std::path::PathBuf;

/// What a read of a store comes upon.
pub enum Item<'a> {
    /// One stored record.
    Record {
        /// Its bytes, as stored, without a line's end.
        bytes: &'a [u8],
        /// Where it is, for people.
        place: &'a dyn Display,
    },
    /// The end of something still being written: half a record, of which nothing was promised.
    Torn,
    /// Something whole that can't be read to its end: what it held after this is not known.
    Damaged {
        /// Where.
        place: &'a dyn Display,
        /// What is wrong with it.
        why: &'a dyn Display,
    },
    /// Something still being written that was left out, as it was not asked for.
    Unread,
}

/// What a read covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything since the run began: what an earlier read gave comes again.
    Everything,
    /// Only what was added since the last read that gave it; a read that failed goes on where it stopped.
    Added,
}

/// A sink that can be read back.
pub trait Store: Send {
    /// What it is, for people: `file directory /tmp/x`.
    fn describe(&self) -> String;

    /// What every read covers.
    fn scope(&self) -> Scope;

    /// Called once, before the first request is sent: what is stored now is of no interest. Checks that the store is there.
    ///
    /// # Errors
    /// When it is not.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Gives what is stored now to `each`, one by one.
    ///
    /// # Errors
    /// When it can't be read now; it may be tried again.
    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError>;
}

/// Why a store can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory.
    #[error("store: can't read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// Not a directory.
    #[error("store: {} is not a directory; give the one that the target writes to", .0.display())]
    NoDirectory(PathBuf),
    /// A property that the store does not have.
    #[error("store: a file store has no property {0:?}; leave --store-property out")]
    Property(String),
    /// Kafka, on the way to something.
    #[error("store: topic {topic}: {doing}: {error}; check --store and the --store-property settings")]
    Kafka {
        /// The topic.
        topic: String,
        /// What was tried.
        doing: &'static str,
        /// librdkafka's answer.
        error: String,
    },
    /// Records went away between the begin of the run and being read.
    #[error(
        "store: topic {topic}: partition {partition} holds offsets {low} to {high}, but the run's records begin at {wanted}: \
         they were deleted before they could be read; raise the topic's retention, and don't delete it during a run"
    )]
    Deleted {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The first offset there is.
        low: i64,
        /// The offset after the last one there is.
        high: i64,
        /// The first offset not yet read.
        wanted: i64,
    },
}
