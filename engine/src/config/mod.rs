//! Configuration: one TOML file, the environment on top of it, all faults reported at once.
//!
//! ```text
//!   MILLRUN_<SECTION>__<KEY>          wins
//!   the seed system's variables
//!   the file (--config, MILLRUN_CONFIG)
//!   engine/millrun.toml               the reference, compiled in: the only source of defaults
//! ```
//!
//! Parsing and validating have two types: a [`tree`] of what was written and where, and [`Settings`], which can't
//! hold what is wrong.

mod build;
mod environment;
mod error;
mod origins;
mod reader;
mod reference;
mod seed;
pub mod settings;
mod tree;

use std::collections::BTreeMap;

pub(crate) use build::STOP_LEAD;
pub use error::{ConfigError, ConfigErrors, Place};
pub use reference::TEXT as REFERENCE;
pub use settings::*;

use reader::Reader;
use reference::Reference;
use tree::Tree;

/// Where a configuration comes from. The caller reads files and environment, so that a test needs neither.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The user's file: its name and its text.
    pub file: Option<(String, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the engine runs on.
    pub settings: Settings,
    /// The same as TOML, for people: every key, secrets hidden.
    pub effective: String,
    /// What is odd but not wrong.
    pub warnings: Vec<String>,
}

/// Reads, overlays and validates.
///
/// # Errors
/// Everything that is wrong.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let reference = Reference::read();
    let mut errors = Vec::new();
    let mut user = match &sources.file {
        Some((name, text)) => Tree::parse(name, text).map_err(|error| ConfigErrors(vec![error]))?,
        None => Tree::default(),
    };
    let from_file = user.clone();
    user.overlay(seed::tree(&sources.environment, &from_file, &mut errors));
    user.overlay(environment::tree(&sources.environment, &user, &mut errors));
    let mut tree = embedded_for(&user, &reference);
    tree.overlay(user);
    let mut reader = Reader::new(tree, reference);
    reader.errors = errors;
    let (settings, warnings) = build::settings(&mut reader);
    reader.refuse_unused();
    if reader.errors.is_empty() {
        let effective = build::effective(&settings);
        return Ok(Loaded { settings, effective, warnings });
    }
    let mut errors = reader.errors;
    errors.sort_by_key(|error| match &error.place {
        Some(Place::File { line, .. }) => *line,
        _ => usize::MAX,
    });
    Err(ConfigErrors(errors))
}

/// Settings as TOML, for people: every key, secrets hidden.
#[must_use]
pub fn effective(settings: &Settings) -> String {
    build::effective(settings)
}

/// The embedded routes and sinks, as far as the user's do not replace them.
fn embedded_for(user: &Tree, reference: &Reference) -> Tree {
    let mut tree = reference.embedded.clone();
    for section in ["route", "sink"] {
        let replaced = user.names(section).iter().any(|(name, _)| !tree.has_table(&[section, name]));
        if replaced {
            tree.leaves.retain(|path, _| path[0] != section);
            tree.tables.retain(|(path, _)| path[0] != section);
        }
    }
    // A sink of another kind shares nothing with the embedded one of its name.
    for (name, _) in user.names("sink") {
        if user.leaves.contains_key(["sink", &name, "kind"].map(str::to_owned).as_slice()) {
            tree.leaves.retain(|path, _| !(path[0] == "sink" && path[1] == name));
        }
    }
    // The reference's places are not the user's: what is wrong with a default is a bug, not a line of theirs.
    for leaf in tree.leaves.values_mut() {
        leaf.place = Place::Default;
    }
    for (_, place) in &mut tree.tables {
        *place = Place::Default;
    }
    tree
}

#[cfg(test)]
mod tests;
