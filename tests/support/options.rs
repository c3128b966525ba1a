//! What an engine under test is configured with: a TOML file, written section by section.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::driver::Driver;

/// The configuration of an [`crate::Engine`]. Each method takes lines of TOML, as an operator would write them.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub(crate) driver: Driver,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    sections: Vec<(String, String)>,
    replaced_sinks: bool,
    pub(crate) has_file: bool,
}

impl EngineOptions {
    /// Two shards, one route `/collect`, one file sink that completes its files when the engine stops.
    pub fn new(driver: Driver) -> Self {
        Self {
            driver,
            data_dir: None,
            environment: Vec::new(),
            sections: vec![("server".to_owned(), "shards = 2\ndrain_delay_ms = 0".to_owned())],
            replaced_sinks: false,
            has_file: true,
        }
    }

    /// No configuration file: what the engine does by itself, but for ports and driver. Lines added to sections
    /// count for nothing then; variables do.
    pub fn embedded(driver: Driver) -> Self {
        Self { has_file: false, ..Self::new(driver) }
            .environment("MILLRUN_SERVER__DRIVER", driver.name())
            .environment("MILLRUN_SERVER__SHARDS", "2")
            .environment("MILLRUN_SERVER__DRAIN_DELAY_MS", "0")
    }

    /// Adds lines to a section; a key that is there already is replaced.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &str) -> Self {
        if !self.sections.iter().any(|(found, _)| found == name) {
            self.sections.push((name.to_owned(), String::new()));
        }
        let (_, text) = self.sections.iter_mut().find(|(found, _)| found == name).expect("it was just added");
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let key = key_of(line).to_owned();
            let kept: Vec<_> = text.lines().filter(|line| key_of(line) != key).map(str::to_owned).collect();
            *text = kept.join("\n");
            let _ = write!(text, "\n{line}");
        }
        self
    }

    /// `[server]`
    #[must_use]
    pub fn server(self, lines: &str) -> Self {
        self.section("server", lines)
    }

    /// `[limits]`
    #[must_use]
    pub fn limits(self, lines: &str) -> Self {
        self.section("limits", lines)
    }

    /// `[cors]`
    #[must_use]
    pub fn cors(self, lines: &str) -> Self {
        self.section("cors", lines)
    }

    /// `[sink.files]`, the file sink that is there by default.
    #[must_use]
    pub fn files(self, lines: &str) -> Self {
        self.section("sink.files", lines)
    }

    /// Leaves out the default route and file sink: the test brings its own sections.
    #[must_use]
    pub fn without_default_sink(mut self) -> Self {
        self.replaced_sinks = true;
        self
    }

    /// Stores into this directory, which outlives the engine, instead of one of its own.
    #[must_use]
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }

    /// Sets a variable of the engine's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The file's text.
    pub(crate) fn toml(&self, listen: &str, admin: &str, data_dir: &Path) -> String {
        let mut options = self
            .clone()
            .server(&format!("listen = \"{listen}\"\ndriver = \"{}\"", self.driver.name()))
            .section("admin", &format!("listen = \"{admin}\""));
        if !self.replaced_sinks {
            let dir = data_dir.display();
            options = options.section("sink.files", &format!("kind = \"file\"\ndir = \"{dir}\"")).section(
                "route.collect",
                "path = \"/collect\"\nprotocol = \"clickstream\"\nsink = \"files\"\nack = \"delivered\"",
            );
        }
        let mut text = String::new();
        for (name, lines) in &options.sections {
            let _ = writeln!(text, "[{name}]\n{}\n", lines.trim());
        }
        text
    }
}

fn key_of(line: &str) -> &str {
    line.split('=').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_replace_earlier_ones() {
        let options = EngineOptions::new(Driver::Epoll)
            .server("drain_delay_ms = 500")
            .limits("head_timeout_ms = 1\nheaders_max = 3")
            .limits("head_timeout_ms = 2");
        let text = options.toml("127.0.0.1:1", "127.0.0.1:2", Path::new("/d"));
        assert!(text.contains("drain_delay_ms = 500") && !text.contains("drain_delay_ms = 0"), "{text}");
        assert!(text.contains("[limits]\nheaders_max = 3\nhead_timeout_ms = 2\n"), "{text}");
        assert!(text.contains("[sink.files]\nkind = \"file\"\ndir = \"/d\""), "{text}");
    }
}
