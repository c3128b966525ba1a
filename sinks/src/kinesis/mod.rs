//! Amazon Kinesis Data Streams by the AWS SDK.
//!
//! A record is reported delivered when its own entry of a `PutRecords` answer has a sequence number and a shard;
//! aggregated, when that shard also takes the record's hash key, since consumers drop it otherwise. Everything else is
//! a failure, entry by entry: a call that is answered 200 can have stored none of its records.
//!
//! ```text
//!  submit ─▶ batches ─▶ a queue per shard ─▶ call of up to 500 entries ─▶ base64, JSON ─▶ SDK: sign, send
//!               ▲       (pace of the shard)  (plain, or KPL aggregates)                        │
//!  poll ◀───────┴───────── judged entry by entry ◀─────────────────────────────────────────────┘
//! ```
//!
//! **Who tries again.** The lane: failed records come back as [`crate::Retry::Yes`] and only they are submitted again. A
//! record whose fate is unknown (a timeout, an internal failure) is among them, so a record can be stored twice; that is
//! Kinesis' contract with its producers. One thing the sink does by itself: a call that was refused for its content is
//! halved until the one bad record is found.
//!
//! **Order.** Not promised as such: `PutRecords` does not promise it either, and a record that failed comes after its
//! successors. With [`Options::ordered`] at most one call per shard is on its way (and none while the stream's shards
//! change hands), so the records of one key are stored in the order of their submission as long as none of them fails.
//!
//! **Which shard.** A record with a key goes by the key's MD5, as Kinesis does it; one without by [`Spread`]. The map of
//! shards is read with `ListShards` at the start and whenever a record lands where nobody expected it. Without that
//! right the sink works, but neither paces shards nor aggregates.
//!
//! **Pace.** A shard that throttles is written more slowly by itself (additive increase, multiplicative decrease); the
//! others are not. What would have to wait for more than half a second goes back to the lane as throttled. A batch comes
//! back as a whole, so records that share a batch with a hot key do wait for its outcome.
//!
//! **Memory.** Bodies on their way take at most 4/3 of the batches that the sink holds, plus about 100 bytes a record.
//!
//! | file | what it is |
//! | --- | --- |
//! | `options` | what an operator can say |
//! | `limits` | what Kinesis takes, and where that is written |
//! | `key` | partition keys that Kinesis takes |
//! | `shard_map` | which shard a hash key belongs to |
//! | `refresh` | when the shards are listed |
//! | `pace` | how fast a shard is written |
//! | `slots` | the batches here, and where each of their records is |
//! | `backlog` | what waits, shard by shard |
//! | `payload` | compression of a value |
//! | `base64`, `request` | the body of a call |
//! | `pack` | what waits to calls |
//! | `call` | what passes between desk and client |
//! | `fault` | error codes to [`crate::Fault`] |
//! | `desk` | all of the above as one state machine without socket and clock |
//! | `client` | all that names the SDK, on a thread of its own |
//! | `watch`, `figures` | health, log and gauges |
//! | `sink` | the [`crate::Sink`] |
//! | `check` | `check --connect` |

mod backlog;
mod base64;
mod call;
mod check;
mod client;
mod desk;
mod fault;
mod figures;
mod key;
pub mod limits;
mod options;
mod pace;
mod pack;
mod payload;
mod refresh;
mod request;
mod shard_map;
mod sink;
mod slots;
mod watch;

use crate::{OpenError, Wake};

pub use crate::Credentials;
pub use check::check;
pub use options::{Compression, Options, Rate, Spread};
pub use sink::KinesisSink;

/// All that [`open`] would refuse; nothing is opened.
#[must_use]
pub fn problems(options: &Options) -> Vec<OpenError> {
    options::problems(options)
}

/// Opens a `kinesis` sink. Connects in the background: an outage shows in [`crate::Sink::health`], and so do
/// credentials or a region that nobody gave.
///
/// # Errors
/// [`OpenError`] when an option can't work whatever the service says: see [`problems`].
pub fn open(options: &Options, wake: Wake) -> Result<KinesisSink, OpenError> {
    KinesisSink::open(options, wake)
}
