//! Which field of a record is its partitioning key: `key` of most sinks, `partition_key` of those that call it so.

use crate::config::reader::{Reader, Section, nearest};
use crate::config::settings::RecordKey;

/// Longest name of a parameter, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What most sinks call the fields.
pub(super) const KEYS: [(&str, RecordKey); 4] =
    [("none", RecordKey::None), ("appId", RecordKey::AppId), ("ip", RecordKey::Ip), ("rid", RecordKey::Rid)];

/// Reads one of `words`, or `query:<name>`.
pub(super) fn read(
    reader: &mut Reader,
    section: &Section,
    key: &str,
    words: &[(&str, RecordKey)],
) -> RecordKey {
    let errors = reader.errors.len();
    let text = reader.optional_text(section, key).unwrap_or_default();
    if let Some((_, known)) = words.iter().find(|(word, _)| *word == text) {
        return known.clone();
    }
    if let Some(name) = text.strip_prefix("query:") {
        if (1..=NAME_BYTES_MAX).contains(&name.len()) {
            return RecordKey::Query(name.into());
        }
        reader.fail(section, key, "needs a parameter's name of 1 to 128 bytes behind query:");
    }
    if reader.errors.len() == errors {
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let near = nearest(&text, words.iter().map(|(word, _)| *word));
        let problem = format!("must be one of {} or \"query:<parameter>\"{near}", quoted.join(", "));
        reader.fail(section, key, problem);
    }
    RecordKey::None
}

/// As it is written.
pub(super) fn text(key: &RecordKey, words: &[(&str, RecordKey)]) -> String {
    match key {
        RecordKey::Query(name) => format!("query:{name}"),
        key => {
            words.iter().find(|(_, known)| known == key).map_or_else(String::new, |(word, _)| (*word).into())
        }
    }
}
