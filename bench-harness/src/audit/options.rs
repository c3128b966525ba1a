//! What an audit takes from the command line beside the load's options.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::files::Files;
use super::record::RecordForm;
use super::run::AuditOptions;
use super::store::{Store, StoreError};

/// How the sink is read back.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditArgs {
    /// The sink to read back.
    #[arg(long, value_name = "STORE", help = "The sink to read back: file:DIR or kafka:BROKERS/TOPIC")]
    pub store: StoreSpec,
    /// A setting of the store's client, such as a librdkafka property; may be given more than once
    #[arg(long = "store-property", value_name = "KEY=VALUE", value_parser = property)]
    pub store_properties: Vec<(String, String)>,
    /// What a stored record looks like
    #[arg(long, value_enum, default_value_t)]
    pub record_form: RecordForm,
    /// Read files that are still being written too (hidden, named .NAME.open)
    #[arg(long)]
    pub include_open: bool,
    /// What is not stored when nothing was added for so long is lost
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub settle: f64,
}

impl AuditArgs {
    /// The store, ready to be asked.
    ///
    /// # Errors
    /// When its settings are wrong. That it can't be reached is told by [`Store::begin`].
    pub fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        match &self.store {
            StoreSpec::Files(directory) => match self.store_properties.first() {
                None => Ok(Box::new(Files::new(directory.clone(), self.include_open))),
                Some((key, _)) => Err(StoreError::Property(key.clone())),
            },
            #[cfg(feature = "kafka")]
            StoreSpec::Kafka { brokers, topic } => {
                Ok(Box::new(super::kafka::Topic::new(brokers, topic, &self.store_properties)?))
            }
        }
    }

    /// The other settings of the audit.
    #[must_use]
    pub fn options(&self) -> AuditOptions {
        AuditOptions { form: self.record_form, settle: Duration::from_secs_f64(self.settle) }
    }
}

/// Which sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSpec {
    /// `file:DIR`
    Files(PathBuf),
    /// `kafka:BROKERS/TOPIC`
    #[cfg(feature = "kafka")]
    Kafka {
        /// `HOST:PORT`, comma between them.
        brokers: String,
        /// The topic.
        topic: String,
    },
}

impl FromStr for StoreSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", directory)) if !directory.is_empty() => Ok(Self::Files(directory.into())),
            Some(("file", _)) => Err("a file store needs a directory, as in file:/var/lib/millrun".into()),
            Some(("kafka", place)) => kafka(place),
            _ => Err("a store is file:DIR or kafka:BROKERS/TOPIC, as in kafka:127.0.0.1:9092/events".into()),
        }
    }
}

#[cfg(feature = "kafka")]
fn kafka(place: &str) -> Result<StoreSpec, String> {
    match place.split_once('/') {
        Some((brokers, topic)) if !brokers.is_empty() && !topic.is_empty() && !topic.contains('/') => {
            Ok(StoreSpec::Kafka { brokers: brokers.to_owned(), topic: topic.to_owned() })
        }
        _ => {
            Err("a Kafka store is kafka:BROKERS/TOPIC, as in kafka:127.0.0.1:9092,127.0.0.2:9092/events"
                .into())
        }
    }
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &str) -> Result<StoreSpec, String> {
    Err("this bench-harness was built without Kafka; build it with --features kafka".into())
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a property is KEY=VALUE, as in security.protocol=SSL".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, from 0 to 86400 (a day)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        audit: AuditArgs,
    }

    fn line(arguments: &str) -> Result<AuditArgs, String> {
        Line::try_parse_from(std::iter::once("x").chain(arguments.split_whitespace()))
            .map(|line| line.audit)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory() {
        let args = line("--store file:/a:b/c --include-open --record-form raw --settle 0.5").unwrap();
        assert_eq!(args.store, StoreSpec::Files("/a:b/c".into()));
        assert_eq!(
            args.options(),
            AuditOptions { form: RecordForm::Raw, settle: Duration::from_millis(500) }
        );
        assert_eq!(args.open().unwrap().describe(), "file directory /a:b/c, open files included");
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_topic_with_properties() {
        let args = line("--store kafka:[::1]:9092,b:9093/events --store-property client.id=a=b").unwrap();
        let (brokers, topic) = ("[::1]:9092,b:9093".to_owned(), "events".to_owned());
        assert_eq!(args.store, StoreSpec::Kafka { brokers, topic });
        assert_eq!(args.store_properties, [("client.id".to_owned(), "a=b".to_owned())]);
        assert_eq!(args.options().settle, Duration::from_secs(10));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        for (arguments, way_out) in [
            ("", "--store"),
            ("--store /tmp", "file:DIR"),
            ("--store s3:bucket", "file:DIR"),
            ("--store file:", "file:/var"),
            ("--store kafka:a:9092", "kafka:"),
            ("--store file:/a --store-property x", "KEY=VALUE"),
            ("--store file:/a --settle=-1", "86400"),
            ("--store file:/a --settle=nan", "86400"),
        ] {
            let error = line(arguments).unwrap_err();
            assert!(error.contains(way_out), "{arguments}: {error}");
        }
    }

    #[test]
    fn a_directory_has_no_properties() {
        let error = line("--store file:/a --store-property linger.ms=5").unwrap().open().err().unwrap();
        assert!(error.to_string().contains("linger.ms"), "{error}");
    }
}
