//! The shipper's note: what it is about to make visible, so that whoever reads it after a crash knows what may be there.
//!
//! ```text
//!  note: ranges of the journal, key, upload ──▶ put or complete ──▶ journal: delivered ──▶ next note
//!                    crash here ▲        crash here ▲        crash here ▲
//!                  nothing there      there or not: look       there: look, then go on
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::StreamId;
use crate::s3::encode::Content;
use crate::s3::layout::Hour;

/// Version of the note's format.
const VERSION: u32 = 1;

/// A run of a stream's batches: from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    pub stream: u16,
    pub from: u64,
    pub to: u64,
}

impl Range {
    pub(super) fn id(self) -> StreamId {
        StreamId(self.stream)
    }
}

/// An object that is about to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub key: String,
    pub hour: Hour,
    /// Id of the multipart upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// What is in it; none: it is still growing, so nobody asked for it to be made visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    pub ranges: Vec<Range>,
}

/// All of the note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    version: u32,
    /// This journal's own id: objects' names and accounts of hours follow from it.
    pub writer: uuid::Uuid,
    /// Below which everything of a stream is delivered. The journal's own marks become durable some time later, so after a
    /// crash they may be behind.
    #[serde(default)]
    pub marks: BTreeMap<u16, u64>,
    /// The object in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

impl Note {
    /// The note of a journal that has none.
    pub(super) fn new(writer: uuid::Uuid) -> Self {
        Self { version: VERSION, writer, marks: BTreeMap::new(), plan: None }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note is plain data")
    }

    /// `None`: there is none, or it is of no use, which is said in the log.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        match serde_json::from_slice::<Self>(bytes) {
            Ok(note) if note.version == VERSION => Some(note),
            Ok(note) => {
                tracing::warn!(
                    version = note.version,
                    "the note in the journal is of another version: the last object may be stored twice"
                );
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the note in the journal can't be read: the last object may be stored twice");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_and_what_is_none_is_told() {
        let mut note = Note::new(crate::s3::layout::random_id());
        assert_eq!(Note::decode(&note.encode()), Some(note.clone()));
        note.marks.insert(3, 7);
        note.plan = Some(Plan {
            key: "k".into(),
            hour: Hour::from_number(5).unwrap(),
            upload: Some("u".into()),
            content: Some(Content { records: 1, raw_bytes: 2, bytes: 3, crc32c: 4 }),
            ranges: vec![Range { stream: 0, from: 1, to: 2 }],
        });
        assert_eq!(Note::decode(&note.encode()), Some(note.clone()));
        note.version = 2;
        assert_eq!(Note::decode(&note.encode()), None);
        assert_eq!(Note::decode(b""), None);
        assert_eq!(Note::decode(b"{"), None);
    }

    #[test]
    fn a_note_of_many_streams_fits_the_journal() {
        let ranges =
            (0..512).map(|stream| Range { stream, from: u64::MAX / 2, to: u64::MAX / 2 + 9 }).collect();
        let plan = Plan {
            key: "k".repeat(1024),
            hour: Hour::from_number(490_000).unwrap(),
            upload: Some("u".repeat(200)),
            content: Some(Content::default()),
            ranges,
        };
        let marks = (0..512).map(|stream| (stream, u64::MAX / 2)).collect();
        let note = Note { version: 1, writer: uuid::Uuid::nil(), marks, plan: Some(plan) };
        assert!(note.encode().len() < 64 << 10, "{}", note.encode().len());
    }
}
