//! The form of a workload file: kinds of request and how often each is drawn.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::WorkloadError;
use super::event::EventForm;

/// Most kinds that results are split by; a preflight is one more for each kind that has it.
const KINDS_MAX: usize = 32;

/// The largest event that can be asked for, in bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// The most events in a request.
const EVENTS_MAX: u32 = 10_000;

/// A workload file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KindFile {
    /// `[[kind]]`, at least one.
    #[serde(rename = "kind")]
    pub(super) kinds: Vec<Kind>,
}

/// One kind of request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    /// In results.
    pub(super) name: String,
    /// How often it is drawn, relative to the others.
    pub(super) weight: f64,
    /// `POST`, or `GET` for a request without a body.
    #[serde(default = "post")]
    pub(super) method: String,
    /// The query, without `?`. `{rid}`, `{time}` and `{number}` are filled in.
    #[serde(default)]
    pub(super) query: String,
    /// Fields besides `Host` and what the body needs.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// An `OPTIONS` goes before each, as browsers do it.
    #[serde(default)]
    pub(super) preflight: bool,
    /// Fewest and most events in a request.
    pub(super) events: [u32; 2],
    /// Fewest and most bytes of an event; it is filled up to the drawn size.
    #[serde(default)]
    pub(super) event_bytes: [usize; 2],
    /// What an event looks like.
    #[serde(default)]
    pub(super) event: EventForm,
    /// How the body is sent.
    #[serde(default)]
    pub(super) encoding: Encoding,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// gzip, then base64, as text: what the mobile SDKs send. To a server it is just text.
    Base64Gzip,
    /// `Content-Encoding: gzip`.
    Gzip,
}

fn post() -> String {
    "POST".into()
}

impl KindFile {
    /// Reads a file's text.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, WorkloadError> {
        let wrong = |problem: String| WorkloadError::Form { file: name.to_owned(), problem };
        let file: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if file.kinds.is_empty() || file.kinds.len() > KINDS_MAX {
            return Err(wrong(format!("{} kinds; write 1 to {KINDS_MAX} [[kind]]", file.kinds.len())));
        }
        for kind in &file.kinds {
            kind.check().map_err(|problem| wrong(format!("kind {:?}: {problem}", kind.name)))?;
        }
        Ok(file)
    }
}

impl Kind {
    fn check(&self) -> Result<(), String> {
        let [fewest, most] = self.events;
        let [smallest, largest] = self.event_bytes;
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Err(format!("weight = {}: must be above 0", self.weight));
        }
        if self.method != "POST" && self.method != "GET" {
            return Err(format!("method = {:?}: must be POST or GET", self.method));
        }
        if fewest == 0 || fewest > most || most > EVENTS_MAX {
            return Err(format!("events = [{fewest}, {most}]: fewest and most, 1 to {EVENTS_MAX}"));
        }
        if smallest > largest || largest > EVENT_BYTES_MAX {
            return Err(format!(
                "event_bytes = [{smallest}, {largest}]: fewest and most, up to {EVENT_BYTES_MAX}"
            ));
        }
        if self.method == "GET" && !self.query.contains("{rid}") {
            return Err("a GET carries its id in the query: put {rid} into it".into());
        }
        if self.method == "POST" && self.encoding != Encoding::Plain && !self.query.contains("{rid}") {
            return Err("the id can't be found in a compressed body: put {rid} into the query".into());
        }
        if !self.query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err("query: must be printable ASCII without spaces and #".into());
        }
        for (name, value) in &self.headers {
            check_header(name, value)?;
        }
        Ok(())
    }
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let token =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !token || !value.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return Err(format!("header {name:?}: letters, digits and dashes, and a printable value"));
    }
    if ["host", "content-length", "content-encoding", "transfer-encoding", "connection", "expect"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
    {
        return Err(format!("header {name}: is written by the harness; leave it out"));
    }
    Ok(())
}
