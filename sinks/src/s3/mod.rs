//! Amazon S3, and what speaks its protocol, by the AWS SDK.
//!
//! ```text
//!   requests that wait ──▶ lane ──▶ S3Sink ──▶ small objects, soon       ack = "delivered"
//!   journal ─────────────────────▶ Shipper ──▶ large objects, in time    ack = "journaled": the default
//! ```
//!
//! Both make NDJSON objects, compressed as a stream, under the names that the ETL reads ([`layout`]), each with a checksum
//! that S3 compares. A record is delivered when S3 has confirmed the object that holds it, and an object has one name for
//! all attempts.
//!
//! The SDK's own retries are off. [`S3Sink`] leaves retries to the lane but where a second object would repeat records;
//! [`Shipper`] tries for ever, since the journal holds what it can't deliver.
//!
//! | file | what it is |
//! | --- | --- |
//! | `options`, `limits` | what an operator can say, what S3 takes |
//! | `layout` | names of objects |
//! | `encode` | records to bytes |
//! | `call` | what passes between an upload and the client |
//! | `upload`, `pause` | one object on its way, as a state machine without socket and clock |
//! | `fault` | error codes to [`crate::Fault`] |
//! | `watch` | health, figures, log lines |
//! | `sink` | the [`crate::Sink`] |
//! | `ship` | from a journal to objects, each record once |
//! | `client` | all that names the SDK, on a thread of its own |
//! | `check` | `check --connect` |

mod call;
mod check;
mod client;
pub mod encode;
mod fault;
pub mod layout;
pub mod limits;
mod options;
mod pause;
mod ship;
mod sink;
mod upload;
mod watch;

use std::time::SystemTime;

use crate::{OpenError, Wake};

pub use crate::Credentials;
pub use check::check;
pub use encode::{Content, Encoder};
pub use options::{Checksum, Compression, Encryption, Options};
pub use ship::{COMMIT_MARGIN, JournalShape, Shipper, Turn};
pub use sink::S3Sink;

/// All that [`open`] would refuse; nothing is opened.
#[must_use]
pub fn problems(options: &Options) -> Vec<OpenError> {
    options::problems(options)
}

/// Opens an `s3` sink; `now_utc` is the clock that names objects. Connects in the background: an outage shows in
/// [`crate::Sink::health`], and so do credentials or a region that nobody gave.
///
/// # Errors
/// [`OpenError`] when an option can't work whatever the service says: see [`problems`].
pub fn open(options: &Options, now_utc: fn() -> SystemTime, wake: Wake) -> Result<S3Sink, OpenError> {
    S3Sink::open(options, now_utc, wake)
}
