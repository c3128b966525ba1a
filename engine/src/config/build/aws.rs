//! What the sections of AWS sinks share.

use millrun_sinks::Credentials;

use crate::config::reader::{Reader, Section};

/// `[sink.<name>.credentials]`: none of it, or a whole key.
pub(super) fn credentials(reader: &mut Reader, section: &Section) -> Option<Credentials> {
    if !reader.tree.has_table(&section.path()) {
        return None;
    }
    Some(Credentials {
        access_key_id: reader.text(section, "access_key_id", "the access key's id"),
        secret_access_key: reader.text(
            section,
            "secret_access_key",
            "the secret access key, best set by its environment variable",
        ),
        session_token: reader.optional_text(section, "session_token"),
    })
}
