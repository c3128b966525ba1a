//! What passes between the desk, which thinks, and the client, which talks.

use super::fault::Failure;
use super::shard_map::Shard;

/// Something for the client to do. Each is answered exactly once.
#[derive(Debug)]
pub(super) enum Work {
    /// Make this `PutRecords` call.
    Put {
        /// Comes back with the answer.
        call: u64,
        /// The whole body.
        body: Vec<u8>,
    },
    /// List the open shards.
    ListShards,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of a `PutRecords` call: what the service says about each entry, in order, or why it says nothing.
    Put {
        /// The number that the call was given.
        call: u64,
        /// The answer.
        result: Result<Vec<Said>, Failure>,
    },
    /// The open shards.
    Shards(Result<Vec<Shard>, Failure>),
}

/// What the service says about one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has a sequence number on this shard.
    Stored {
        /// The shard's id.
        shard: String,
    },
    /// It was not stored.
    Refused {
        /// Error code, such as `ProvisionedThroughputExceededException`.
        code: String,
        /// For people.
        message: String,
    },
    /// Neither a sequence number nor an error code.
    Nothing,
}
