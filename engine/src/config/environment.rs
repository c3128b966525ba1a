//! `MILLRUN_<SECTION>__<KEY>`, and `MILLRUN_<SECTION>__<NAME>__<KEY>` for routes and sinks.
//!
//! Names are matched with those that exist without regard to case, `-` and `.` written as `_`; a name that matches
//! none is taken in lower case.

use std::collections::BTreeMap;

use super::error::{ConfigError, Place};
use super::tree::Tree;

const PREFIX: &str = "MILLRUN_";

/// Variables with the prefix that are not keys.
const OTHERS: [&str; 2] = ["MILLRUN_CONFIG", "MILLRUN_BIN"];

/// What Kubernetes puts into every container beside a service that is called `millrun`.
const SERVICE_LINKS: [&str; 2] = ["MILLRUN_SERVICE_", "MILLRUN_PORT"];

/// The layer of the environment's own variables.
pub(super) fn tree(
    environment: &BTreeMap<String, String>,
    below: &Tree,
    errors: &mut Vec<ConfigError>,
) -> Tree {
    let mut tree = Tree::default();
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        if OTHERS.contains(&variable.as_str())
            || SERVICE_LINKS.iter().any(|link| variable.starts_with(link))
            || variable.starts_with("MILLRUN_TEST_")
        {
            continue;
        }
        let parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if parts.len() < 2 || parts.iter().any(String::is_empty) {
            errors.push(ConfigError {
                place: Some(Place::Variable(variable.clone())),
                key: String::new(),
                value: None,
                problem: "is no key: write MILLRUN_<SECTION>__<KEY>, with two underscores between the parts"
                    .into(),
            });
            continue;
        }
        let path = spelled(&parts, below);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        tree.set(&path, value, variable);
    }
    tree
}

/// The parts, spelled as the names and properties that exist.
fn spelled(parts: &[String], below: &Tree) -> Vec<String> {
    let same = |written: &str, part: &str| written.to_ascii_lowercase().replace(['-', '.'], "_") == *part;
    let mut path = parts.to_vec();
    if let [section, name, ..] = parts
        && (section == "route" || section == "sink")
        && let Some((written, _)) = below.names(section).into_iter().find(|(written, _)| same(written, name))
    {
        path[1] = written;
    }
    // librdkafka's properties are spelled with dots.
    if let [section, _, properties, _] = parts
        && section == "sink"
        && properties == "properties"
    {
        path[3] = path[3].replace('_', ".");
    }
    path
}
