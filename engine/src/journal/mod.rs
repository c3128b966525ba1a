//! The journal: what was acknowledged as `journaled` is on this host's disk, and stays there until it is delivered.
//!
//! ```text
//!  shard ── Appender: where? ── write + fdatasync ── durable ──▶ 200
//!    ▲                              │
//!    │ segments                     ▼ <journal.dir>/<sink>/<stream>/<first sequence>.seg
//!  Keeper ◀── delivered_below ── Reader (a `Source`) ──▶ sink
//! ```
//!
//! # What it promises
//!
//! - A batch whose number [`Appender::durable`] has passed is read back, byte for byte and in order, until it is reported
//!   delivered: over crashes of the process and of the machine, at any point.
//! - Nothing is read that was not written, and no sequence number is used twice.
//! - Everything in the directory together never takes more than `bytes_max`.
//! - Damage costs the batches that are damaged and no others. It is counted, and its bytes are set aside.
//! - A full or failing disk is a state: it shows in [`Room`], and ends by itself.
//!
//! The format and its reasons are in `docs/journal.md`.
//!
//! | part | does | thread |
//! | --- | --- | --- |
//! | [`Appender`] | says where a batch goes; pure | shard |
//! | [`Keeper`] | makes and removes segments | its own |
//! | [`Reader`] | finds what is durable and not delivered | whoever delivers |
//! | [`recovery`] | what earlier processes left | at the start |

mod appender;
mod backlog;
mod budget;
mod cursor;
pub mod disk;
mod figures;
pub mod format;
pub mod keeper;
pub mod layout;
pub mod offline;
mod open;
mod reader;
pub mod recovery;
mod segment;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use appender::{Appender, InFlight, NeedsSegment, Placement};
pub use backlog::Backlog;
pub use budget::Budget;
pub use figures::{Count, KeeperFigures, ReaderFigures};
pub use keeper::Keeper;
pub use open::{Found, Journal, OpenError, Options, ShardStream, SinkJournal, SinkPlan, open};
pub use reader::Reader;
pub use recovery::StreamFound;
pub use stream::{
    Abandoned, ConsumerBell, KeeperWake, ReadySegment, Room, Segment, SegmentFeed, StreamMarks,
};
pub use writer::{AppendError, Writer};
