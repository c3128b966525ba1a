//! How a request is found again in a stored record. Pure.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use crate::request::{RequestId, digest};

/// What a stored record looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RecordForm {
    /// One JSON object per request with the string keys `data` (the body) and `uri` (the request target with its
    /// query), as Clickstream Analytics on AWS stores it. Other keys don't matter.
    ///
    /// `data` must be the body, byte for byte, once unescaped. `uri` is compared byte for byte as well, with requests
    /// that have no body: a target that writes it down in another spelling (`%7e` for `~`, say) has changed it.
    #[default]
    Clickstream,
    /// The stored bytes are the body (or, with requests that have no body, the request target).
    Raw,
}

/// What a record says about this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is about this request.
    Request {
        /// Which.
        id: RequestId,
        /// [`digest`] of the stored body; `None` when there is none.
        body: Option<u64>,
        /// [`digest`] of the stored request target; `None` when there is none.
        target: Option<u64>,
    },
    /// It is about this request, but can't be understood.
    Broken(RequestId),
    /// It is understood, and about no request of this run.
    Foreign,
    /// It can't be understood, and no id of this run is in it.
    Unreadable,
}

#[derive(Deserialize)]
struct Clickstream<'a> {
    #[serde(borrow, default)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
}

impl RecordForm {
    /// Looks for a request of run `run` in `record`. The first id of the run decides, in the request target before
    /// the body; if the record holds more than that request, its digest is another than the sent one's.
    #[must_use]
    pub fn find(self, record: &[u8], run: u32) -> Finding {
        match self {
            Self::Raw => {
                let stored = Some(digest(record));
                first_id(record, run).map_or(Finding::Foreign, |id| Finding::Request {
                    id,
                    body: stored,
                    target: stored,
                })
            }
            Self::Clickstream => clickstream(record, run),
        }
    }
}

fn clickstream(record: &[u8], run: u32) -> Finding {
    let Some(Clickstream { data, uri }) = object(record) else {
        return first_id(record, run).map_or(Finding::Unreadable, Finding::Broken);
    };
    let (data, uri) = (data.as_deref().map(str::as_bytes), uri.as_deref().map(str::as_bytes));
    let id = [uri, data].into_iter().flatten().find_map(|text| first_id(text, run));
    id.map_or(Finding::Foreign, |id| Finding::Request { id, body: data.map(digest), target: uri.map(digest) })
}

/// The record, if it is one JSON object and nothing else. (A derived reader would take an array for one, too.)
fn object(record: &[u8]) -> Option<Clickstream<'_>> {
    record.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(record).ok())?
}

/// The first id of run `run` in `text`.
fn first_id(text: &[u8], run: u32) -> Option<RequestId> {
    memmem::find_iter(text, b"bh-").filter_map(|at| RequestId::parse(&text[at..])).find(|id| id.run == run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: RequestId = RequestId { run: 0x1f00_c0de, worker: 3, number: 0x12ab };

    fn find(record: &str) -> Finding {
        RecordForm::Clickstream.find(record.as_bytes(), ID.run)
    }

    proptest! {
        #[test]
        fn the_body_is_recognised_whatever_had_to_be_escaped(before: String, after: String) {
            let body = format!("{before}{ID}{after}");
            let uri = "/collect?appId=a";
            let record = serde_json::json!({ "appId": null, "data": body, "ingest_time": 5, "uri": uri });
            let found = RecordForm::Clickstream.find(&serde_json::to_vec(&record).unwrap(), ID.run);
            let expected = Finding::Request {
                id: ID,
                body: Some(digest(body.as_bytes())),
                target: Some(digest(uri.as_bytes())),
            };
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_some_finding(record: Vec<u8>) {
            let _no_panic = RecordForm::Clickstream.find(&record, 1);
            let _no_panic = RecordForm::Raw.find(&record, 1);
        }
    }

    #[test]
    fn an_id_in_the_target_is_found_first() {
        let other = RequestId { number: 1, ..ID };
        let uri = format!("/c?bh-&x=bh-00000000-00-0000000000&id={ID}-00");
        let Finding::Request { id, target, .. } = find(&format!(r#"{{"data":"{other}","uri":"{uri}"}}"#))
        else {
            panic!("not found")
        };
        assert_eq!((id, target), (ID, Some(digest(uri.as_bytes()))));
    }

    #[test]
    fn what_is_missing_has_no_digest() {
        let found = find(&format!(r#"{{"uri":"{ID}","data":null}}"#));
        assert_eq!(
            found,
            Finding::Request { id: ID, body: None, target: Some(digest(ID.to_string().as_bytes())) }
        );
    }

    #[test]
    fn other_runs_and_other_traffic_are_foreign() {
        for record in
            [r#"{"data":"bh-00000000-03-00000012ab","uri":"/"}"#, r#"{"data":"","uri":"/"}"#, r#"{"a":1}"#]
        {
            assert_eq!(find(record), Finding::Foreign, "{record}");
        }
        assert_eq!(RecordForm::Raw.find(b"", 1), Finding::Foreign);
    }

    #[test]
    fn a_broken_record_is_blamed_on_the_request_it_names() {
        assert_eq!(find(&format!(r#"{{"data":"{ID}","uri":"/"#)), Finding::Broken(ID));
        assert_eq!(find(&format!(r#"{{"data":"{ID}"}}{{"data":""}}"#)), Finding::Broken(ID));
        assert_eq!(find(&format!(r#"{{"data":["{ID}"],"uri":"/"}}"#)), Finding::Broken(ID));
        for record in ["", "{", r#"{"data":"x"#, "\0\0\0", "[]", "7", r#"{"data":"","data":""}"#] {
            assert_eq!(find(record), Finding::Unreadable, "{record}");
        }
    }

    #[test]
    fn a_raw_record_is_the_body_itself() {
        let body = format!("[{ID}]");
        let stored = Some(digest(body.as_bytes()));
        let expected = Finding::Request { id: ID, body: stored, target: stored };
        assert_eq!(RecordForm::Raw.find(body.as_bytes(), ID.run), expected);
    }
}
