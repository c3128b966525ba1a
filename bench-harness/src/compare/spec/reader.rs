//! Taking a TOML table apart key by key, so that every complaint names file, key, value and the way out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

/// The longest time that a file may ask for.
const SECONDS_MAX: f64 = 3600.0;

/// Why a file is no target.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It can't be read.
    #[error("{}: {error}; check the path of the target file", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not TOML.
    #[error("{}: not TOML: {error}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A key that must be there is not.
    #[error("{}: {key} is missing; a target needs name, command and url", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// A key that means nothing.
    #[error("{}: {key} = {value}: no such key; the keys here are {known}", file.display())]
    Unknown {
        /// The file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
        /// Its value.
        value: String,
        /// Those that mean something.
        known: String,
    },
    /// A value that makes no sense.
    #[error("{}: {key} = {value}: {problem}; {way_out}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
        /// What to write.
        way_out: &'static str,
    },
}

/// One table of a file. Keys are taken by name; [`Reader::end`] complains about those that nobody asked for.
pub(super) struct Reader {
    file: PathBuf,
    /// `ready.` within `[ready]`; empty at the top.
    prefix: String,
    table: Table,
    known: BTreeSet<&'static str>,
}

impl Reader {
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, SpecError> {
        let table: Table = text
            .parse()
            .map_err(|error| SpecError::Syntax { file: file.to_owned(), error: Box::new(error) })?;
        Ok(Self { file: file.to_owned(), prefix: String::new(), table, known: BTreeSet::new() })
    }

    /// Everything must have been asked for.
    pub(super) fn end(self) -> Result<(), SpecError> {
        let Some((key, value)) = self.table.iter().find(|(key, _)| !self.known.contains(key.as_str())) else {
            return Ok(());
        };
        let known: Vec<_> = self.known.iter().copied().collect();
        Err(SpecError::Unknown {
            key: format!("{}{key}", self.prefix),
            value: shown(value),
            known: known.join(", "),
            file: self.file,
        })
    }

    /// A complaint about the value of `key`.
    pub(super) fn wrong(&self, key: &str, problem: &'static str, way_out: &'static str) -> SpecError {
        SpecError::Wrong {
            file: self.file.clone(),
            key: format!("{}{key}", self.prefix),
            value: self.table.get(key).map_or_else(String::new, shown),
            problem,
            way_out,
        }
    }

    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        take: impl Fn(&mut Self, &'static str) -> Result<Option<T>, SpecError>,
    ) -> Result<T, SpecError> {
        take(self, key)?.ok_or_else(|| SpecError::Missing {
            file: self.file.clone(),
            key: format!("{}{key}", self.prefix),
        })
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, SpecError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) if is_passable(&text) && !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "not a text", "write it in quotes, not empty")),
        }
    }

    /// A program and its arguments.
    pub(super) fn words(&mut self, key: &'static str) -> Result<Option<Vec<String>>, SpecError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let words: Option<Vec<String>> = value
            .as_array()
            .and_then(|words| words.iter().map(|word| Some(word.as_str()?.to_owned())).collect());
        match words {
            Some(words)
                if words.first().is_some_and(|program| !program.is_empty())
                    && words.iter().all(|word| is_passable(word)) =>
            {
                Ok(Some(words))
            }
            _ => Err(self.wrong(key, "not a command", r#"write a list of texts: ["program", "argument"]"#)),
        }
    }

    /// CPU numbers; empty when there is no such key.
    pub(super) fn cpus(&mut self, key: &'static str) -> Result<Vec<usize>, SpecError> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let cpus: Option<BTreeSet<usize>> = value
            .as_array()
            .and_then(|cpus| cpus.iter().map(|cpu| usize::try_from(cpu.as_integer()?).ok()).collect());
        match cpus {
            Some(cpus) if !cpus.is_empty() => Ok(cpus.into_iter().collect()),
            _ => Err(self.wrong(
                key,
                "not a list of CPU numbers",
                "write for instance [0, 1], or leave it out for all CPUs",
            )),
        }
    }

    pub(super) fn seconds(&mut self, key: &'static str) -> Result<Option<Duration>, SpecError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        #[allow(clippy::cast_precision_loss, reason = "anything large is out of bounds anyway")]
        let seconds = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        match seconds {
            Some(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => {
                Ok(Some(Duration::from_secs_f64(seconds)))
            }
            _ => Err(self.wrong(key, "not a time", "write seconds, above 0, at most 3600")),
        }
    }

    /// A table of texts, such as environment variables.
    pub(super) fn texts_by_name(&mut self, key: &'static str) -> Result<Vec<(String, String)>, SpecError> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let is_name = |name: &str| !name.is_empty() && is_passable(name) && !name.contains('=');
        let texts: Option<Vec<_>> = value.as_table().and_then(|table| {
            let mut entries = table.iter();
            entries
                .by_ref()
                .map(|(name, text)| {
                    let text = text.as_str().filter(|text| is_passable(text) && is_name(name))?;
                    Some((name.clone(), text.to_owned()))
                })
                .collect()
        });
        texts.ok_or_else(|| {
            self.wrong(
                key,
                "not a table of texts",
                r#"write for instance { NAME = "value" }, numbers in quotes too"#,
            )
        })
    }

    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Self>, SpecError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(Self {
                file: self.file.clone(),
                prefix: format!("{}{key}.", self.prefix),
                table,
                known: BTreeSet::new(),
            })),
            Some(_) => Err(self.wrong(key, "not a table", "write { timeout_s = 10 } and the like")),
        }
    }

    fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.insert(key);
        self.table.get(key).cloned()
    }
}

/// No C string ends in the middle of it.
fn is_passable(text: &str) -> bool {
    !text.contains('\0')
}

/// A value as one would write it.
fn shown(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(items) => format!("[{}]", list(items.iter().map(shown).collect())),
        Value::Table(table) => {
            format!(
                "{{ {} }}",
                list(table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect())
            )
        }
    }
}
