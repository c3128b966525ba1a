//! A sink that can be read back after a run.
//!
//! To join: implement [`Store`] and give it a prefix in [`open`]. A stream (Kinesis) gives what
//! was added since the last read; a bucket (S3), like a directory, gives everything each time.

use std::fmt::Display;
use std::path::PathBuf;

use super::files::Files;

/// What a read of a store comes upon.
pub enum Item<'a> {
    /// One stored record.
    Record {
        /// Its bytes, as stored, without a line's end.
        bytes: &'a [u8],
        /// Where it is, for people.
        place: &'a dyn Display,
    },
    /// The end of something still being written: half a record, of which nothing was promised.
    Torn,
    /// Something whole that can't be read to its end: what it held after this is not known.
    Damaged {
        /// Where.
        place: &'a dyn Display,
        /// What is wrong with it.
        why: &'a dyn Display,
    },
    /// Something still being written that was left out, as it was not asked for.
    Unread,
}

/// What a read covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything since the run began: what an earlier read gave comes again.
    Everything,
    /// Only what was added since the last read that gave it; a read that failed goes on where it stopped.
    Added,
}

/// A sink that can be read back.
pub trait Store: Send {
    /// What it is, for people: `file directory /tmp/x`.
    fn describe(&self) -> String;

    /// What every read covers.
    fn scope(&self) -> Scope;

    /// Called once, before the first request is sent: what is stored now is of no interest. Checks that the store is there.
    ///
    /// # Errors
    /// When it is not.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Gives what is stored now to `each`, one by one.
    ///
    /// # Errors
    /// When it can't be read now; it may be tried again.
    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError>;
}

/// Why a store can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory.
    #[error("store: can't read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// Not a directory.
    #[error("store: {} is not a directory; give the one that the target writes to", .0.display())]
    NoDirectory(PathBuf),
    /// Neither `file:DIR` nor `kafka:BROKERS/TOPIC` nor `kinesis:STREAM`.
    #[error(
        "store {0:?} is neither file:DIR nor kafka:BROKERS/TOPIC nor kinesis:STREAM, for instance kafka:127.0.0.1:9092/events"
    )]
    Form(String),
    /// Not `KEY=VALUE`.
    #[error("store property {0:?} is not of the form KEY=VALUE, for instance security.protocol=SSL")]
    PropertyForm(String),
    /// A property that a file store does not have.
    #[error("store property {key}={value}: a file store has only include_open=true and include_open=false")]
    FileProperty {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Built without it.
    #[error("store {0:?}: this bench-harness was built without the feature kafka")]
    NoKafka(String),
    /// Kafka, on the way to something.
    #[error("store: topic {topic}: {doing}: {error}; check --store and the --store-property settings")]
    Kafka {
        /// The topic.
        topic: String,
        /// What was tried.
        doing: &'static str,
        /// librdkafka's answer.
        error: String,
    },
    /// Built without it.
    #[error("store {0:?}: this bench-harness was built without the feature kinesis")]
    NoKinesis(String),
    /// A property that a Kinesis store does not have.
    #[error(
        "store property {key}={value}: a Kinesis store has region=REGION, endpoint=URL and deaggregate=true or false"
    )]
    KinesisProperty {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Kinesis, on the way to something.
    #[error(
        "store: stream {stream}: {doing}: {error}; check --store, the --store-property settings and credentials"
    )]
    Kinesis {
        /// The stream.
        stream: String,
        /// What was tried.
        doing: &'static str,
        /// The service's answer, or why there is none.
        error: String,
    },
    /// Records went away between the begin of the run and being read.
    #[error(
        "store: topic {topic}: partition {partition} holds offsets {low} to {high}, but the run's records begin at {wanted}: \
         they were deleted before they could be read; raise the topic's retention, and don't delete it during a run"
    )]
    Deleted {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The first offset there is.
        low: i64,
        /// The offset after the last one there is.
        high: i64,
        /// The first offset not yet read.
        wanted: i64,
    },
}

/// Opens `file:DIR`, `kafka:BROKERS/TOPIC` or `kinesis:STREAM`. It is asked nothing before [`Store::begin`].
///
/// `properties` are `KEY=VALUE`: librdkafka's for Kafka; `region`, `endpoint` and `deaggregate` for Kinesis; `include_open=false` for files leaves out those that are
/// still being written.
///
/// # Errors
/// When that makes no sense.
pub fn open(text: &str, properties: &[String]) -> Result<Box<dyn Store>, StoreError> {
    let form = || StoreError::Form(text.to_owned());
    let properties: Vec<(&str, &str)> =
        properties.iter().map(|text| property(text)).collect::<Result<_, _>>()?;
    match text.split_once(':').ok_or_else(form)? {
        ("file", directory) if !directory.is_empty() => {
            Ok(Box::new(Files::new(directory.into(), include_open(&properties)?)))
        }
        ("kafka", place) => {
            // Neither names of hosts nor of topics have a slash.
            let (brokers, topic) = place.split_once('/').ok_or_else(form)?;
            if brokers.is_empty() || topic.is_empty() || topic.contains('/') {
                return Err(form());
            }
            open_kafka(text, brokers, topic, &properties)
        }
        ("kinesis", stream) if !stream.is_empty() && !stream.contains('/') => {
            open_kinesis(text, stream, &properties)
        }
        _ => Err(form()),
    }
}

fn property(text: &str) -> Result<(&str, &str), StoreError> {
    let property = text.split_once('=').filter(|(key, _)| !key.is_empty());
    property.ok_or_else(|| StoreError::PropertyForm(text.to_owned()))
}

/// The last one holds, as with librdkafka.
fn include_open(properties: &[(&str, &str)]) -> Result<bool, StoreError> {
    properties.iter().try_fold(true, |_, property| match property {
        ("include_open", "true") => Ok(true),
        ("include_open", "false") => Ok(false),
        (key, value) => Err(StoreError::FileProperty { key: (*key).to_owned(), value: (*value).to_owned() }),
    })
}

#[cfg(feature = "kafka")]
fn open_kafka(
    _: &str,
    brokers: &str,
    topic: &str,
    properties: &[(&str, &str)],
) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(super::kafka::Topic::new(brokers, topic, properties)?))
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(text: &str, _: &str, _: &str, _: &[(&str, &str)]) -> Result<Box<dyn Store>, StoreError> {
    Err(StoreError::NoKafka(text.to_owned()))
}

#[cfg(feature = "kinesis")]
fn open_kinesis(_: &str, stream: &str, properties: &[(&str, &str)]) -> Result<Box<dyn Store>, StoreError> {
    use super::kinesis::{Options, Stream};
    Ok(Box::new(Stream::new(stream, Options::new(properties)?)?))
}

#[cfg(not(feature = "kinesis"))]
fn open_kinesis(text: &str, _: &str, _: &[(&str, &str)]) -> Result<Box<dyn Store>, StoreError> {
    Err(StoreError::NoKinesis(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str, properties: &[&str]) -> Result<String, String> {
        let properties: Vec<String> = properties.iter().map(ToString::to_string).collect();
        open(text, &properties).map(|store| store.describe()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_with_or_without_open_files() {
        let (with, without) = ("file directory /a:b/c, open files included", "file directory /a:b/c");
        assert_eq!(described("file:/a:b/c", &[]).unwrap(), with);
        assert_eq!(described("file:/a:b/c", &["include_open=true"]).unwrap(), with);
        assert_eq!(described("file:/a:b/c", &["include_open=false"]).unwrap(), without);
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_topic_with_properties() {
        let store = described(
            "kafka:[::1]:9092,b:9093/events",
            &["client.id=a=b", "client.dns.lookup=use_all_dns_ips"],
        );
        assert_eq!(store.unwrap(), "Kafka topic events at [::1]:9092,b:9093");
    }

    #[cfg(feature = "kinesis")]
    #[test]
    fn a_stream_with_properties() {
        let store =
            described("kinesis:events", &["region=eu-west-1", "endpoint=http://a:1", "deaggregate=true"]);
        assert_eq!(store.unwrap(), "Kinesis stream events at http://a:1, aggregated records taken apart");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        for (text, properties, way_out) in [
            ("", &[][..], "file:DIR"),
            ("/data", &[], "file:DIR"),
            ("file:", &[], "file:DIR"),
            ("s3:bucket", &[], "file:DIR"),
            ("kafka:127.0.0.1:9092", &[], "kafka:BROKERS/TOPIC"),
            ("kafka:/topic", &[], "kafka:BROKERS/TOPIC"),
            ("kafka:a:1/b/c", &[], "kafka:BROKERS/TOPIC"),
            ("kinesis:", &[], "kinesis:STREAM"),
            ("kinesis:a/b", &[], "kinesis:STREAM"),
            #[cfg(feature = "kinesis")]
            ("kinesis:a", &["deaggregate=yes"], "endpoint=URL"),
            ("file:/a", &["include_open"], "KEY=VALUE"),
            ("file:/a", &["=x"], "KEY=VALUE"),
            ("file:/a", &["linger.ms=5"], "include_open=true"),
            ("file:/a", &["include_open=yes"], "include_open=true"),
            #[cfg(feature = "kafka")]
            ("kafka:a:1/b", &["no.such=1"], "no.such"),
        ] {
            let error = described(text, properties).unwrap_err();
            assert!(error.contains(way_out), "{text} {properties:?}: {error}");
        }
    }
}
