//! Typed reading of a tree: every read remembers its key, every problem is kept, nothing stops at the first one.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml_edit::Value;

use super::error::{ConfigError, Place};
use super::reference::Reference;
use super::tree::{Leaf, Path, Tree, Written};

/// Reads one configuration.
pub(super) struct Reader {
    pub tree: Tree,
    pub reference: Reference,
    pub errors: Vec<ConfigError>,
    used: BTreeSet<Path>,
}

/// A table that is being read: where its values are, and where its defaults are.
#[derive(Clone, Debug)]
pub(super) struct Section {
    path: Path,
    template: Path,
}

impl Section {
    /// A section with a fixed name.
    pub(super) fn fixed(name: &str) -> Self {
        Self { path: vec![name.to_owned()], template: vec![name.to_owned()] }
    }

    /// A section with a name of the user's choice, whose defaults are those of `template`.
    pub(super) fn named(section: &str, name: &str, template: &str) -> Self {
        Self {
            path: vec![section.to_owned(), name.to_owned()],
            template: vec![section.to_owned(), template.to_owned()],
        }
    }

    /// A table within this one.
    pub(super) fn inner(&self, name: &str) -> Self {
        let push = |path: &Path| path.iter().cloned().chain([name.to_owned()]).collect();
        Self { path: push(&self.path), template: push(&self.template) }
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path.join("."))
    }

    pub(super) fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub(super) fn leaf_path(&self, key: &str) -> Path {
        // A sink may name a key of its table of raw properties, whose own name can have dots.
        let inner = key.strip_prefix("properties.").map_or(vec![key], |key| vec!["properties", key]);
        self.path.iter().cloned().chain(inner.into_iter().map(str::to_owned)).collect()
    }
}

impl Reader {
    pub(super) fn new(tree: Tree, reference: Reference) -> Self {
        Self { tree, reference, errors: Vec::new(), used: BTreeSet::new() }
    }

    /// What is written for a key, else its default.
    pub(super) fn leaf(&mut self, section: &Section, key: &str) -> Option<Leaf> {
        let path = section.leaf_path(key);
        let written = self.tree.leaves.get(&path).cloned();
        self.used.insert(path);
        written.or_else(|| {
            let mut template: Vec<_> = section.template.iter().map(String::as_str).collect();
            template.push(key);
            let leaf = self.reference.default(&template)?;
            Some(Leaf { written: leaf.written.clone(), place: Place::Default })
        })
    }

    /// A problem with a key that is written somewhere, or missing.
    pub(super) fn fail(&mut self, section: &Section, key: &str, problem: impl Into<String>) {
        let leaf = self.tree.leaves.get(&section.leaf_path(key));
        let place = leaf.map(|leaf| leaf.place.clone()).or_else(|| {
            let table = self.tree.tables.iter().find(|(table, _)| *table == section.path);
            table.map(|(_, place)| place.clone())
        });
        let value = leaf.map(|leaf| if is_secret(key) { "(hidden)".to_owned() } else { leaf.text() });
        self.errors.push(ConfigError { place, key: section.key(key), value, problem: problem.into() });
    }

    /// Text, or `None` (with an error, unless it is merely absent and `required` is false).
    pub(super) fn optional_text(&mut self, section: &Section, key: &str) -> Option<String> {
        match self.leaf(section, key)?.written {
            Written::Text(text) => Some(text),
            Written::Toml(Value::String(text)) => Some(text.into_value()),
            Written::Toml(_) => {
                self.fail(section, key, "must be text in quotes");
                None
            }
        }
    }

    /// Text that must be there.
    pub(super) fn text(&mut self, section: &Section, key: &str, what: &str) -> String {
        let errors = self.errors.len();
        match self.optional_text(section, key) {
            Some(text) if !text.is_empty() => text,
            _ => {
                if self.errors.len() == errors {
                    self.fail(section, key, format!("is missing: {what}"));
                }
                String::new()
            }
        }
    }

    /// An integer within `range`.
    pub(super) fn integer(&mut self, section: &Section, key: &str, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        let number = match self.leaf(section, key).map(|leaf| leaf.written) {
            Some(Written::Toml(Value::Integer(number))) => u64::try_from(number.into_value()).ok(),
            Some(Written::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                self.fail(section, key, format!("must be a whole number from {low} to {high}"));
                low
            }
        }
    }

    /// An integer that fits the machine's word.
    pub(super) fn size(&mut self, section: &Section, key: &str, range: RangeInclusive<u64>) -> usize {
        usize::try_from(self.integer(section, key, range)).unwrap_or(usize::MAX)
    }

    /// Milliseconds.
    pub(super) fn ms(&mut self, section: &Section, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.integer(section, key, range))
    }

    /// An integer, or `None` for "auto".
    pub(super) fn auto_integer(
        &mut self,
        section: &Section,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let auto = match self.leaf(section, key).map(|leaf| leaf.written) {
            None => true,
            Some(Written::Text(text)) => text == "auto",
            Some(Written::Toml(Value::String(text))) => text.value() == "auto",
            Some(_) => false,
        };
        if auto {
            return None;
        }
        let (low, high) = (*range.start(), *range.end());
        let errors = self.errors.len();
        let number = self.integer(section, key, range);
        if let Some(error) = self.errors.get_mut(errors) {
            error.problem = format!("must be \"auto\" or a whole number from {low} to {high}");
        }
        Some(number)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, section: &Section, key: &str) -> bool {
        match self.leaf(section, key).map(|leaf| leaf.written) {
            Some(Written::Toml(Value::Boolean(value))) => value.into_value(),
            Some(Written::Text(text)) if text == "true" => true,
            Some(Written::Text(text)) if text == "false" => false,
            _ => {
                self.fail(section, key, "must be true or false");
                false
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, section: &Section, key: &str, choices: &[(&str, T)]) -> T {
        let errors = self.errors.len();
        let text = self.optional_text(section, key).unwrap_or_default();
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        if self.errors.len() == errors {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.fail(
                section,
                key,
                format!(
                    "must be one of {}{}",
                    words.join(", "),
                    nearest(&text, choices.iter().map(|(word, _)| *word))
                ),
            );
        }
        choices[0].1
    }

    /// A list of texts; in an environment variable a comma list.
    pub(super) fn texts(&mut self, section: &Section, key: &str) -> Vec<String> {
        let array = match self.leaf(section, key).map(|leaf| leaf.written) {
            None => return Vec::new(),
            Some(Written::Text(text)) => {
                return text
                    .split(',')
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            Some(Written::Toml(Value::Array(array))) => array,
            Some(Written::Toml(_)) => {
                self.fail(section, key, "must be a list: [\"…\", \"…\"]");
                return Vec::new();
            }
        };
        let texts: Vec<_> = array.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        if texts.len() != array.len() {
            self.fail(section, key, "must be a list of texts: [\"…\", \"…\"]");
        }
        texts
    }

    /// All keys of a table, whatever they are called.
    pub(super) fn free_texts(&mut self, section: &Section) -> Vec<(String, String)> {
        let keys = self.tree.leaves.keys();
        let below =
            keys.filter(|path| path.len() == section.path.len() + 1 && path.starts_with(&section.path));
        let names: Vec<_> = below.filter_map(|path| path.last().cloned()).collect();
        let text = |reader: &mut Self, name: String| {
            let text = reader.optional_text(section, &name)?;
            Some((name, text))
        };
        names.into_iter().filter_map(|name| text(self, name)).collect()
    }

    /// Keys that nothing asked for: unknown ones.
    pub(super) fn refuse_unused(&mut self) {
        let unused: Vec<_> =
            self.tree.leaves.keys().filter(|path| !self.used.contains(*path)).cloned().collect();
        for path in unused {
            let place = self.tree.leaves[&path].place.clone();
            let problem = self.explain_unknown(&path);
            self.errors.push(ConfigError { place: Some(place), key: path.join("."), value: None, problem });
        }
    }

    fn explain_unknown(&self, path: &[String]) -> String {
        let sections = self.reference.keys(&[]);
        let Some((last, table)) = path.split_last() else { return "unknown".into() };
        let Some(first) = table.first() else {
            return format!(
                "unknown key outside of any section{}",
                nearest(last, sections.iter().map(String::as_str))
            );
        };
        if !sections.contains(first) {
            return format!(
                "unknown section [{first}]{}",
                nearest(first, sections.iter().map(String::as_str))
            );
        }
        let template: Vec<&str> = match (first.as_str(), table) {
            (section @ ("route" | "sink"), [_, name, rest @ ..]) => {
                let kind =
                    self.tree.leaves.get(&vec![first.clone(), name.clone(), "kind".into()]).map(Leaf::text);
                let template =
                    Reference::template(section, kind.as_deref().map(|kind| kind.trim_matches('"')));
                [section, template].into_iter().chain(rest.iter().map(String::as_str)).collect()
            }
            (_, table) => table.iter().map(String::as_str).collect(),
        };
        let known = self.reference.keys(&template);
        if known.is_empty() {
            return "unknown key".into();
        }
        format!(
            "unknown key{}; there are: {}",
            nearest(last, known.iter().map(String::as_str)),
            known.join(", ")
        )
    }
}

/// `, did you mean …?`, where something is near enough.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> String {
    let near = words
        .map(|other| (strsim::damerau_levenshtein(word, other), other))
        .filter(|(distance, other)| *distance <= 3.min(other.len() / 2).max(1))
        .min();
    near.map_or_else(String::new, |(_, other)| format!(", did you mean \"{other}\"?"))
}

/// Values that are never printed.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "sasl.jaas", "token", "key.pem", "key_pem", "ssl.key"]
        .iter()
        .any(|part| key.contains(part))
}
