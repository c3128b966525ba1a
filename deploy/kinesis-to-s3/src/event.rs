//! What the event source mapping hands to the function, and what it takes back.
//!
//! Names and meaning: "Using Lambda to process records from Amazon Kinesis Data Streams" and "Configuring partial batch
//! response", AWS Lambda developer guide.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A batch. The service fills it with records of one shard, in the shard's order.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The records.
    #[serde(rename = "Records")]
    pub records: Vec<EventRecord>,
}

/// A record, and where it is from.
#[derive(Clone, Debug, Deserialize)]
pub struct EventRecord {
    /// `shardId-000000000006:<sequence number>`
    #[serde(rename = "eventID")]
    pub event_id: String,
    /// The stream's.
    #[serde(rename = "eventSourceARN", default)]
    pub source_arn: String,
    /// The record.
    pub kinesis: KinesisRecord,
}

/// A record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KinesisRecord {
    /// Its partition key.
    pub partition_key: String,
    /// Its place in the shard.
    pub sequence_number: String,
    /// What it holds, in base64.
    pub data: String,
    /// Seconds since 1970.
    pub approximate_arrival_timestamp: f64,
}

impl EventRecord {
    /// The shard that it is from.
    #[must_use]
    pub fn shard(&self) -> &str {
        self.event_id.split(':').next().unwrap_or_default()
    }

    /// When the service took it, to the second; 1970 for what is no time.
    #[must_use]
    pub fn arrived_at(&self) -> SystemTime {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and NaN is 0")]
        let seconds = self.kinesis.approximate_arrival_timestamp as u64;
        // The year 9999 is far enough.
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799))
    }
}

/// What was not done: the service gives the batch again from the first of these on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Empty: all is done.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<ItemFailure>,
}

/// A record that was not done, nor any behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// Its sequence number.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}
