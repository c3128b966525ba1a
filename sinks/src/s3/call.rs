//! What passes between an upload, which thinks, and the client, which talks.

use std::sync::Arc;

use bytes::Bytes;

use super::encode::Content;
use crate::aws::Failure;

/// A call for the client to make. Each is answered exactly once.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// Comes back with the answer.
    pub id: u64,
    /// The object's key.
    pub key: Arc<str>,
    /// What to do.
    pub task: Task,
}

/// The operations of S3.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// `PutObject`.
    Put {
        /// The whole object.
        body: Bytes,
        /// What it is.
        kind: Kind,
    },
    /// `CreateMultipartUpload`.
    Create,
    /// `UploadPart`.
    Part {
        /// The upload's id.
        upload: Arc<str>,
        /// From 1 on.
        number: u16,
        /// The part.
        body: Bytes,
    },
    /// `CompleteMultipartUpload`.
    Complete {
        /// The upload's id.
        upload: Arc<str>,
        /// All parts, in order.
        parts: Vec<Stored>,
        /// What the object holds.
        content: Content,
    },
    /// `AbortMultipartUpload`.
    Abort {
        /// The upload's id.
        upload: Arc<str>,
    },
    /// `HeadObject`.
    Head,
}

impl Task {
    /// For people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "PutObject",
            Self::Create => "CreateMultipartUpload",
            Self::Part { .. } => "UploadPart",
            Self::Complete { .. } => "CompleteMultipartUpload",
            Self::Abort { .. } => "AbortMultipartUpload",
            Self::Head => "HeadObject",
        }
    }
}

/// What a `PutObject` stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records.
    Data,
    /// An account of an hour.
    Manifest,
}

/// A part that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its number.
    pub number: u16,
    /// Its entity tag.
    pub etag: String,
    /// Its checksum, base64, as it was sent.
    pub checksum: String,
}

/// What became of a call.
#[derive(Debug)]
pub(super) struct Answer {
    /// The number that the call was given.
    pub id: u64,
    /// The operation.
    pub name: &'static str,
    /// The answer.
    pub result: Result<Said, Failure>,
}

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The object is stored.
    Done,
    /// The upload exists now.
    Created(String),
    /// The part is stored.
    Part(Stored),
    /// `HeadObject`: the object's size, or none when there is no such object.
    Head(Option<u64>),
}
