//! A sink that can be read back when a run is over.

use std::path::PathBuf;

use super::files::Files;

/// Reads back everything that a sink holds of a run. A new kind of sink joins here.
pub trait Store {
    /// What it is, for people.
    fn describe(&self) -> String;

    /// Hands over every stored record, from the beginning: it is read anew each time.
    ///
    /// # Errors
    /// When it can't be read now; a later try may succeed.
    fn read(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Readout, StoreError>;
}

/// What reading back came across besides records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readout {
    /// Pieces that should have been records and could not be read: a torn line in a file that claims to be complete.
    pub damaged: u64,
}

/// Why a sink can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not `file:DIR` or `kafka:BROKERS/TOPIC`.
    #[error(
        "store {0:?} is neither file:DIR nor kafka:BROKERS/TOPIC, for instance kafka:127.0.0.1:9092/events"
    )]
    Form(String),
    /// A file or directory.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The broker.
    #[error("kafka {doing}: {problem}")]
    Kafka {
        /// What was tried.
        doing: &'static str,
        /// What came of it.
        problem: String,
    },
    /// Built without it.
    #[error("store {0:?}: this bench-harness was built without the feature kafka")]
    NoKafka(String),
}

/// Opens `file:DIR` or `kafka:BROKERS/TOPIC`; `properties` are librdkafka's, as `name=value`.
///
/// For Kafka, what is in the topic already is left out: open it before the run.
///
/// # Errors
/// See [`StoreError`].
pub fn open(text: &str, properties: &[String]) -> Result<Box<dyn Store>, StoreError> {
    let form = || StoreError::Form(text.to_owned());
    match text.split_once(':').ok_or_else(form)? {
        ("file", dir) if !dir.is_empty() => Ok(Box::new(Files::new(dir.into()))),
        ("kafka", rest) => {
            let (brokers, topic) = rest
                .rsplit_once('/')
                .filter(|(brokers, topic)| !brokers.is_empty() && !topic.is_empty())
                .ok_or_else(form)?;
            open_kafka(text, brokers, topic, properties)
        }
        _ => Err(form()),
    }
}

#[cfg(feature = "kafka")]
fn open_kafka(
    _: &str,
    brokers: &str,
    topic: &str,
    properties: &[String],
) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(super::kafka::Topic::open(brokers, topic, properties)?))
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(text: &str, _: &str, _: &str, _: &[String]) -> Result<Box<dyn Store>, StoreError> {
    Err(StoreError::NoKafka(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_store_says_how_one_is_written() {
        for text in ["", "file:", "kafka:", "kafka:127.0.0.1:9092", "kafka:/topic", "s3:bucket", "/data"] {
            let error = open(text, &[]).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(error.to_string().contains("file:DIR"), "{text}: {error}");
        }
    }
}
