//! Events from a Kinesis stream to S3, as an AWS Lambda function behind an event source mapping.
//!
//! ```text
//!   batch of one shard ─▶ base64 ─▶ aggregates taken apart ─▶ decompressed ─▶ one JSON object? ─▶ line of NDJSON, gzip
//!                                                                     │ no                              │
//!                                                                     ▼                                 ▼
//!                                                       <dead letter prefix>…log.gz        <prefix>year=…/…log.gz
//! ```
//!
//! What it promises:
//!
//! - A record is in S3, in one of the two places, before its batch is reported done. A batch that could not be written is
//!   reported from its first record on (`ReportBatchItemFailures`), and Kinesis gives it again.
//! - A batch that is given again makes no second object: the key comes from stream, shard and sequence numbers, and from
//!   the time at which its last record arrived ([`place`]).
//! - A record that can't be read blocks no shard: it is set aside with the reason and all that it held ([`dead_letter`]).
//!
//! | file | what it is |
//! | --- | --- |
//! | `settings` | the environment |
//! | `event` | what the service hands over, and takes back |
//! | `content` | a Kinesis record to lines |
//! | `dead_letter` | what can't be read |
//! | `place` | names of objects |
//! | `batch` | an event to objects |
//! | `handler` | objects to a store, and the answer |
//! | `store` | the seam to S3, and S3 |

pub mod batch;
pub mod content;
pub mod dead_letter;
pub mod event;
pub mod handler;
pub mod place;
pub mod settings;
pub mod store;
