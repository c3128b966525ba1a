//! A configuration as a flat map from dotted keys to values, each with the place where it was written. Layers are
//! laid over each other key by key.

use std::collections::BTreeMap;

use toml_edit::{Document, Item, TableLike, Value};

use super::error::{ConfigError, Place};

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// In TOML.
    Toml(Value),
    /// In an environment variable: its type is that of the key.
    Text(String),
}

/// One key's value.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub written: Written,
    pub place: Place,
}

/// A path of keys. Names of properties may hold dots, so it is not one string.
pub(super) type Path = Vec<String>;

/// A layer, or several laid over each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub leaves: BTreeMap<Path, Leaf>,
    /// Tables in the order in which they were written, with their places; a table may be empty and mean something.
    pub tables: Vec<(Path, Place)>,
}

impl Tree {
    /// Parses a file.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError {
                place: Some(Place::File { file: file.to_owned(), line }),
                key: String::new(),
                value: None,
                problem: format!("not TOML: {}", error.message()),
            }
        })?;
        let mut tree = Self::default();
        tree.add_table(&mut Vec::new(), document.as_table(), file, text);
        Ok(tree)
    }

    fn add_table(&mut self, path: &mut Path, table: &dyn TableLike, file: &str, text: &str) {
        for (key, item) in table.iter() {
            let span = table.get_key_value(key).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let line = span.map_or(1, |span| line_of(text, span.start));
            let place = Place::File { file: file.to_owned(), line };
            path.push(key.to_owned());
            match item {
                Item::Value(Value::InlineTable(inline)) => {
                    self.tables.push((path.clone(), place));
                    self.add_table(path, inline, file, text);
                }
                Item::Value(value) => {
                    self.leaves.insert(path.clone(), Leaf { written: Written::Toml(value.clone()), place });
                }
                Item::Table(table) => {
                    let line = table.span().map_or(line, |span| line_of(text, span.start));
                    self.tables.push((path.clone(), Place::File { file: file.to_owned(), line }));
                    self.add_table(path, table, file, text);
                }
                Item::ArrayOfTables(_) | Item::None => {
                    let empty = Written::Text("[[…]]".to_owned());
                    self.leaves.insert(path.clone(), Leaf { written: empty, place });
                }
            }
            path.pop();
        }
    }

    /// Sets one key, as an environment variable does.
    pub(super) fn set(&mut self, path: &[&str], text: &str, variable: &str) {
        let place = Place::Variable(variable.to_owned());
        let path: Path = path.iter().map(|part| (*part).to_owned()).collect();
        for len in 1..path.len() {
            if !self.tables.iter().any(|(table, _)| *table == path[..len]) {
                self.tables.push((path[..len].to_vec(), place.clone()));
            }
        }
        self.leaves.insert(path, Leaf { written: Written::Text(text.to_owned()), place });
    }

    /// Lays `other` over this one.
    pub(super) fn overlay(&mut self, other: Self) {
        for (path, place) in other.tables {
            if !self.tables.iter().any(|(table, _)| *table == path) {
                self.tables.push((path, place));
            }
        }
        self.leaves.extend(other.leaves);
    }

    /// Names of the tables right below `section`, in the order in which they were written.
    pub(super) fn names(&self, section: &str) -> Vec<(String, Place)> {
        let named = |(path, place): &(Path, Place)| match path.as_slice() {
            [first, name] if first == section => Some((name.clone(), place.clone())),
            _ => None,
        };
        self.tables.iter().filter_map(named).collect()
    }

    pub(super) fn has_table(&self, path: &[&str]) -> bool {
        self.tables.iter().any(|(table, _)| table == path)
    }
}

/// The line of byte `offset`, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count()
}
