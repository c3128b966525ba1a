//! The commented reference `engine/millrun.toml`, read as what it is: the list of all keys and the source of all
//! defaults.
//!
//! | line | means |
//! | --- | --- |
//! | `key = value` | a key and its default; in a named section, also part of the embedded configuration |
//! | `#key = value`, `#[section]` | a key and its default, in a section that is not active |
//! | `#e.g. key = value` | a key without a default |
//! | `# text` | for people |

use super::tree::{Leaf, Path, Tree, Written};

/// The file, as it is shipped.
pub const TEXT: &str = include_str!("../../millrun.toml");

const NAME: &str = "millrun.toml";

/// The reference, read three ways.
#[derive(Debug)]
pub(super) struct Reference {
    /// What runs without a file.
    pub embedded: Tree,
    /// Every key that has a default.
    defaults: Tree,
    /// Every key.
    known: Tree,
}

impl Reference {
    /// Reads the file. It is compiled in and tested, so it parses.
    pub(super) fn read() -> Self {
        let parse =
            |text: &str| Tree::parse(NAME, text).unwrap_or_else(|error| panic!("the reference: {error}"));
        Self { embedded: parse(TEXT), defaults: parse(&uncommented(false)), known: parse(&uncommented(true)) }
    }

    /// The template of a named section: the section of the reference that is alike. Routes have one, sinks one a kind.
    pub(super) fn template(section: &str, kind: Option<&str>) -> &'static str {
        match (section, kind) {
            ("route", _) => "collect",
            (_, Some("kafka")) => "kafka",
            (_, Some("kinesis")) => "kinesis",
            (_, Some("s3")) => "s3",
            (_, Some("null")) => "null",
            _ => "local",
        }
    }

    /// The default of a key, whose named section is given by its template.
    pub(super) fn default(&self, path: &[&str]) -> Option<&Leaf> {
        let path: Path = path.iter().map(|part| (*part).to_owned()).collect();
        self.defaults.leaves.get(&path)
    }

    /// The keys right below `table`.
    pub(super) fn keys(&self, table: &[&str]) -> Vec<String> {
        let leaves = self.known.leaves.keys();
        let tables = self.known.tables.iter().map(|(path, _)| path);
        let below = |path: &&Path| path.len() == table.len() + 1 && path[..table.len()] == *table;
        leaves.chain(tables).filter(below).filter_map(|path| path.last().cloned()).collect()
    }
}

/// The reference with its inactive sections made active; with the keys that have no default, or without.
fn uncommented(examples: bool) -> String {
    let active = |line: &str| match line.strip_prefix('#') {
        None => line.to_owned(),
        Some(rest) if rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()) => {
            match rest.strip_prefix("e.g. ") {
                Some(example) if examples => example.to_owned(),
                Some(_) => String::new(),
                None => rest.to_owned(),
            }
        }
        Some(_) => String::new(),
    };
    TEXT.lines().map(active).collect::<Vec<_>>().join("\n")
}

impl Leaf {
    /// The value as a person would write it in TOML.
    pub(super) fn text(&self) -> String {
        match &self.written {
            Written::Toml(value) => value.clone().decorated("", "").to_string(),
            Written::Text(text) => format!("{text:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commented_line_is_prose_a_default_or_an_example() {
        for line in
            TEXT.lines().filter(|line| line.starts_with('#') && !line.starts_with("# ") && *line != "#")
        {
            assert!(!uncommented(true).is_empty());
            let content = line.trim_start_matches('#').trim_start_matches("e.g. ");
            assert!(content.starts_with('[') || content.contains(" = "), "neither prose nor a key: {line}");
        }
        let reference = Reference::read();
        assert_eq!(reference.default(&["sink", "kafka", "compression"]).unwrap().text(), "\"lz4\"");
        assert!(reference.default(&["sink", "kafka", "brokers"]).is_none(), "an example is no default");
        assert!(reference.keys(&["sink", "kafka"]).contains(&"brokers".to_owned()));
        assert!(reference.keys(&["sink", "kafka"]).contains(&"tls".to_owned()));
        assert!(!reference.embedded.has_table(&["sink", "kafka"]));
    }

    #[test]
    fn every_active_key_is_explained() {
        let lines: Vec<_> = TEXT.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let key = line.contains(" = ") && !line.starts_with("# ");
            if !key || line.contains("kind = ") {
                continue;
            }
            let mut before =
                lines[..number].iter().rev().take_while(|line| !line.is_empty() && !line.starts_with('['));
            assert!(
                before.any(|line| line.starts_with("# ")),
                "line {}: {line} is not explained",
                number + 1
            );
        }
    }
}
