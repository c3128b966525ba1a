//! A Kafka topic, from where it ended before the run to where it ends now.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::store::{Readout, Store, StoreError};

/// How long one question to the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long reading goes on without any record coming before it is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A topic that a target writes its records to.
pub struct Topic {
    consumer: BaseConsumer,
    brokers: String,
    name: String,
    /// Where each partition ended before the run; those that came later are read from their beginning.
    starts: HashMap<i32, i64>,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("brokers", &self.brokers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Topic {
    /// Connects and notes where the topic ends; it need not be there yet. `properties` are librdkafka's, as `name=value`.
    ///
    /// # Errors
    /// When the broker does not answer, or a property is wrong.
    pub fn open(brokers: &str, name: &str, properties: &[String]) -> Result<Self, StoreError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            // Never committed to: it is only asked for its name.
            .set("group.id", format!("bench-harness-{:08x}", fastrand::u32(..)))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("allow.auto.create.topics", "false");
        for property in properties {
            let (name, value) = property.split_once('=').ok_or_else(|| StoreError::Kafka {
                doing: "properties",
                problem: format!("{property:?} is not of the form name=value"),
            })?;
            config.set(name, value);
        }
        let consumer = config
            .create()
            .map_err(|error| StoreError::Kafka { doing: "client", problem: error.to_string() })?;
        let mut topic =
            Self { consumer, brokers: brokers.to_owned(), name: name.to_owned(), starts: HashMap::new() };
        for partition in topic.partitions()? {
            let (_, end) = topic.watermarks(partition)?;
            topic.starts.insert(partition, end);
        }
        Ok(topic)
    }

    fn partitions(&self) -> Result<Vec<i32>, StoreError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.name), PATIENCE).map_err(|error| {
            StoreError::Kafka { doing: "metadata", problem: format!("{}: {error}", self.brokers) }
        })?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.name);
        Ok(topic
            .map(|topic| topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
            .unwrap_or_default())
    }

    fn watermarks(&self, partition: i32) -> Result<(i64, i64), StoreError> {
        let marks = self.consumer.fetch_watermarks(&self.name, partition, PATIENCE);
        marks.map_err(|error| StoreError::Kafka {
            doing: "offsets",
            problem: format!("{} partition {partition}: {error}", self.name),
        })
    }

    /// From where to where each partition that has something new is to be read.
    fn ranges(&self) -> Result<HashMap<i32, (i64, i64)>, StoreError> {
        let mut ranges = HashMap::new();
        for partition in self.partitions()? {
            let (begin, end) = self.watermarks(partition)?;
            let from = self.starts.get(&partition).copied().unwrap_or(0).max(begin);
            if from < end {
                ranges.insert(partition, (from, end));
            }
        }
        Ok(ranges)
    }
}

impl Store for Topic {
    fn describe(&self) -> String {
        format!("Kafka topic {} at {}", self.name, self.brokers)
    }

    fn read(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<Readout, StoreError> {
        let failed =
            |doing, error: &dyn fmt::Display| StoreError::Kafka { doing, problem: error.to_string() };
        let mut left = self.ranges()?;
        let mut list = TopicPartitionList::new();
        for (&partition, &(from, _)) in &left {
            list.add_partition_offset(&self.name, partition, Offset::Offset(from))
                .map_err(|error| failed("assign", &error))?;
        }
        self.consumer.assign(&list).map_err(|error| failed("assign", &error))?;
        let (mut heard, mut trouble) = (Instant::now(), String::from("no record came"));
        while !left.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let Some(&(_, end)) = left.get(&message.partition()) else { continue };
                    if message.offset() < end {
                        each(message.payload().unwrap_or_default());
                    }
                    if message.offset() + 1 >= end {
                        left.remove(&message.partition());
                    }
                }
                // A broker that is away for a moment: librdkafka goes on by itself.
                Some(Err(error)) => trouble = error.to_string(),
                None => {}
            }
            if heard.elapsed() > SILENCE_MAX {
                return Err(failed(
                    "read",
                    &format!("{trouble}, {} partitions are not read to their end", left.len()),
                ));
            }
        }
        Ok(Readout::default())
    }
}
