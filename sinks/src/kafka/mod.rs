//! Apache Kafka by librdkafka.
//!
//! A record is reported delivered when all in-sync replicas of its partition have it (`acks=all`). Records travel
//! from the batch's arena without a copy of ours; the batch comes back when the last of its reports has arrived.
//!
//! ```text
//!  lane's thread                                     librdkafka's threads
//!  submit ─▶ InFlight slot ─ rd_kafka_produce_batch ─▶ partition queues ─▶ request ─▶ broker
//!                ▲  (arena stays here)                                                  │
//!  poll  ◀───────┴──── event array of delivery reports ◀── main queue ◀─────────────────┘
//!                                                              └─ first event in an empty queue: Wake
//! ```
//!
//! librdkafka retries by itself within [`Options::delivery_timeout`], in order and without doubles (idempotent
//! producer). So a record that comes back has used up its time, and most faults say [`crate::Retry::Client`]: the
//! lane must not send it a second time, as the first may still count. librdkafka knows one timeout for all records:
//! [`crate::Submission::deadline`] has no effect here, and a batch comes back when its records are decided, at the
//! latest about 2 s after the delivery timeout.
//!
//! Missing topics: brokers that allow it (`auto.create.topics.enable`) make the topic when it is first asked for:
//! librdkafka's producer allows that unless `allow.auto.create.topics = "false"` stands in
//! [`Options::properties`]. Where nobody makes it, records fail with [`crate::FaultKind::DestinationMissing`], and
//! the sink goes on by itself within seconds once the topic is there.
//!
//! | file | what it is |
//! | --- | --- |
//! | `options` | what an operator can say |
//! | `config` | options to librdkafka's properties |
//! | `client` | all that names librdkafka, and all that is `unsafe` |
//! | `token` | bearer tokens, and when the next is due |
//! | `msk_iam` | the token that Amazon MSK takes |
//! | `in_flight` | which batches librdkafka may still read |
//! | `fault` | librdkafka's error codes to [`crate::Fault`] |
//! | `watch` | health, and log lines that can't flood |
//! | `statistics` | librdkafka's statistics to gauges |
//! | `sink` | the [`crate::Sink`] |
//! | `check` | `check --connect` |

mod check;
mod client;
mod config;
mod fault;
mod in_flight;
#[cfg(feature = "msk-iam")]
mod msk_iam;
mod options;
mod sink;
mod statistics;
mod token;
mod watch;

use crate::{OpenError, Wake};

pub use check::check;
pub use options::{Compression, Options, Sasl, SaslMechanism, Tls, is_secret};
pub use sink::KafkaSink;

/// Where the tokens of these options come from; `None` where they need none.
fn tokens(sasl: Option<&Sasl>) -> Option<token::TokenSource> {
    match sasl {
        #[cfg(feature = "msk-iam")]
        Some(Sasl::AwsMskIam { region }) => Some(msk_iam::source(region.clone())),
        // Refused before: see `config`.
        #[cfg(not(feature = "msk-iam"))]
        Some(Sasl::AwsMskIam { .. }) => None,
        Some(Sasl::Password { .. }) | None => None,
    }
}

/// All that `open` would refuse before it asks librdkafka; nothing is opened.
#[must_use]
pub fn problems(options: &Options) -> Vec<OpenError> {
    config::problems(options)
}

/// Opens a `kafka` sink. Connects in the background: brokers that are down show in [`crate::Sink::health`].
///
/// # Errors
/// [`OpenError`] when an option can't work whatever the brokers say: an unknown property, a file that can't be
/// read, a property that would break the sink's promise.
pub fn open(options: &Options, wake: Wake) -> Result<KafkaSink, OpenError> {
    KafkaSink::open(options, wake)
}
