//! Logs: one subscriber, to standard error, so that standard output stays free for what a command prints.
//!
//! A disabled `tracing` call site costs one load of a static and a compare. So that this holds for every call site,
//! the subscriber has one global filter and no per-layer ones.

use std::io::{IsTerminal, Write, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;

use crate::config::{Log, LogFormat};

/// Why logging can't start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is no filter.
    #[error(
        "log.level = {level:?}: {problem}; use error, warn, info, debug or trace, or name targets like \
         \"info,millrun::shard=debug\""
    )]
    BadFilter {
        /// The value.
        level: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a subscriber already.
    #[error("logging was set up before: {0}")]
    AlreadySet(#[source] TryInitError),
}

/// Sets the process's logging up: once, before the first thread.
pub fn init(log: &Log) -> Result<(), LogError> {
    let terminal = stderr().is_terminal();
    install(subscriber(log, terminal, stderr)?)
}

fn install(subscriber: Box<dyn tracing::Subscriber + Send + Sync>) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;
    subscriber.try_init().map_err(LogError::AlreadySet)
}

/// The subscriber for `log`; `terminal` says whether `writer` is one.
fn subscriber<W>(
    log: &Log,
    terminal: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w, Writer: Write> + Send + Sync + 'static,
{
    let filter = filter(&log.level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match (log.format, terminal) {
        (LogFormat::Human, _) | (LogFormat::Auto, true) => Box::new(builder.with_ansi(terminal).finish()),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Box::new(
            builder.json().flatten_event(true).with_current_span(false).with_thread_names(true).finish(),
        ),
    })
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let bad = |problem: String| LogError::BadFilter { level: level.to_owned(), problem };
    // A bare word that is no level would be taken as the name of a target and silence everything else.
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    for directive in &directives {
        if directive.is_empty() {
            return Err(bad("a filter is missing".to_owned()));
        }
        let is_word = directive.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_word && directive.parse::<tracing_subscriber::filter::LevelFilter>().is_err() {
            return Err(bad(format!("{directive:?} is no level")));
        }
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(level: &str, format: LogFormat, terminal: bool) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = Log { level: level.into(), format };
        let subscriber = subscriber(&log, terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not at info");
            tracing::warn!(sink = "main", "the disk is full");
        });
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_where_nobody_looks() {
        for format in [LogFormat::Auto, LogFormat::Json] {
            let text = written("info", format, false);
            assert_eq!(text.lines().count(), 1, "{text}");
            let line: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(line["level"], "WARN");
            assert_eq!(line["message"], "the disk is full");
            assert_eq!(line["sink"], "main");
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        }
    }

    #[test]
    fn colours_on_a_terminal_only() {
        assert!(written("debug", LogFormat::Auto, true).contains("\u{1b}["));
        let piped = written("debug", LogFormat::Human, false);
        assert!(piped.contains("the disk is full") && piped.contains("not at info"), "{piped}");
        assert!(!piped.contains('\u{1b}'), "{piped}");
    }

    #[test]
    fn a_bad_filter_is_named() {
        for (level, part) in
            [("inof", "inof"), ("info,millrun=loud", "loud"), ("info,", "missing"), ("", "missing")]
        {
            let error = filter(level).unwrap_err().to_string();
            assert!(error.contains(&format!("log.level = {level:?}")), "{error}");
            assert!(error.contains(part), "{error}");
        }
        for level in ["info", "WARN", "off", "info, millrun::shard=debug", "millrun=trace,warn"] {
            filter(level).unwrap();
        }
    }
}
