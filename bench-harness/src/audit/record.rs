//! Finding a request in what a sink stored.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use crate::request::{RequestId, digest};

/// How stored bytes relate to what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RecordForm {
    /// One JSON object with the body as the string `data` and the request target as the string `uri`: what Millrun
    /// and the nginx + Vector pair that it replaces write. Digests are of the unescaped strings.
    #[default]
    Clickstream,
    /// The stored bytes are the body.
    Raw,
}

/// A stored record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whose it is.
    pub id: RequestId,
    /// Digest of the body as stored.
    pub body: u64,
    /// Digest of the request target as stored; 0 where none is.
    pub target: u64,
}

/// What a stored record turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A request of a harness.
    Seen(Sighting),
    /// Well-formed, and not from a harness.
    Foreign,
    /// Not of the expected form.
    Unreadable,
}

#[derive(Deserialize)]
struct Clickstream<'a> {
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
}

impl RecordForm {
    /// Reads one record. Of the ids in it the one in the target counts first, then the first of the body.
    #[must_use]
    pub fn read(self, record: &[u8]) -> Reading {
        let (body, target) = match self {
            Self::Raw => (Cow::Borrowed(record), None),
            Self::Clickstream => match serde_json::from_slice::<Clickstream<'_>>(record) {
                Ok(Clickstream { data, uri }) => {
                    let bytes = |text: Cow<'_, str>| text.into_owned().into_bytes();
                    (Cow::Owned(data.map(bytes).unwrap_or_default()), uri.map(bytes))
                }
                Err(_) => return Reading::Unreadable,
            },
        };
        let id = target.as_deref().and_then(find).or_else(|| find(&body));
        let Some(id) = id else { return Reading::Foreign };
        Reading::Seen(Sighting { id, body: digest(&body), target: target.as_deref().map_or(0, digest) })
    }
}

/// The first id in `text`.
fn find(text: &[u8]) -> Option<RequestId> {
    memmem::find_iter(text, b"bh-").find_map(|at| RequestId::parse(&text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "bh-1f00c0de-03-00000012ab";

    fn id() -> RequestId {
        RequestId { run: 0x1f00_c0de, worker: 3, number: 0x12ab }
    }

    #[test]
    fn a_clickstream_record_is_read_unescaped() {
        let record = format!(r#"{{"data":"[{{\"event_id\":\"{ID}-00\",\"é\":1}}]","uri":"/collect?a=b"}}"#);
        let body = format!(r#"[{{"event_id":"{ID}-00","é":1}}]"#);
        let expected = Sighting { id: id(), body: digest(body.as_bytes()), target: digest(b"/collect?a=b") };
        assert_eq!(RecordForm::Clickstream.read(record.as_bytes()), Reading::Seen(expected));
    }

    #[test]
    fn the_target_names_what_the_body_does_not() {
        let record = format!(r#"{{"data":"H4sIAAAA","uri":"/collect?rid={ID}"}}"#);
        assert!(
            matches!(RecordForm::Clickstream.read(record.as_bytes()), Reading::Seen(Sighting { id: seen, .. }) if seen == id())
        );
    }

    #[test]
    fn what_is_not_ours_is_told_from_what_is_broken() {
        assert_eq!(RecordForm::Clickstream.read(br#"{"data":"hello bh-xyz","uri":null}"#), Reading::Foreign);
        assert_eq!(RecordForm::Clickstream.read(br#"{"data":"hel"#), Reading::Unreadable);
        assert_eq!(RecordForm::Raw.read(b"hello"), Reading::Foreign);
    }
}
