//! A Kafka topic as a store: every record of every partition that was added since the run began.
//!
//! ```text
//!   partition 0   ░░░░░░░░│▓▓▓▓▓▓▓▓▓▓▓│        ░ before the run   ▓ read   │ high watermark: at begin, at the read
//!   partition 1   ░░░░░│▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓│
//! ```
//!
//! Offsets say what is new, so clocks don't matter, and no record is given twice. Reads are `read_uncommitted`:
//! what an aborted transaction left behind is in the topic, and other readers may see it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::store::{Item, Scope, Store, StoreError};

/// How long brokers may take to say what there is.
const ASK: Duration = Duration::from_secs(10);

/// A read during which nothing comes for so long has failed.
const STALLED: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(100);

/// A topic, from where it stood when the run began.
pub struct Topic {
    brokers: String,
    name: String,
    consumer: BaseConsumer,
    /// The next offset to read, by partition. Not yet there: from 0.
    next: BTreeMap<i32, i64>,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Topic {
    /// The topic `topic` at `brokers` (`HOST:PORT`, comma between them), with librdkafka properties. Connects to nothing yet.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(brokers: &str, topic: &str, properties: &[(&str, &str)]) -> Result<Self, StoreError> {
        let mut config = ClientConfig::new();
        // A consumer must name a group. None is joined and nothing is committed.
        config.set("group.id", "bench-harness-audit");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        config
            .set("bootstrap.servers", brokers)
            .set("isolation.level", "read_uncommitted")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error");
        let consumer = config.create().map_err(|error| failed(topic, "make a consumer", &error))?;
        Ok(Self { brokers: brokers.to_owned(), name: topic.to_owned(), consumer, next: BTreeMap::new() })
    }

    fn failed(&self, doing: &'static str, error: &KafkaError) -> StoreError {
        failed(&self.name, doing, error)
    }

    /// Its partitions; none when there is no such topic.
    fn partitions(&self) -> Result<Vec<i32>, StoreError> {
        const DOING: &str = "ask for its partitions";
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.name), ASK)
            .map_err(|error| self.failed(DOING, &error))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == self.name) else {
            return Ok(Vec::new());
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Vec::new()),
            Some(code) => Err(self.failed(DOING, &KafkaError::MetadataFetch(code))),
        }
    }

    fn watermarks(&self, partition: i32) -> Result<(i64, i64), StoreError> {
        self.consumer
            .fetch_watermarks(&self.name, partition, ASK)
            .map_err(|error| self.failed("ask for its offsets", &error))
    }

    /// The partitions in which there is something new, and the offset at which it ends.
    fn ends(&self) -> Result<BTreeMap<i32, i64>, StoreError> {
        let mut ends = BTreeMap::new();
        for partition in self.partitions()? {
            let (low, high) = self.watermarks(partition)?;
            let wanted = self.next.get(&partition).copied().unwrap_or(0);
            // Below: deleted by retention. Above the end: the topic was deleted, and made anew.
            if low > wanted || high < wanted {
                return Err(StoreError::Deleted { topic: self.name.clone(), partition, low, high, wanted });
            }
            if high > wanted {
                ends.insert(partition, high);
            }
        }
        Ok(ends)
    }

    fn assign(&self, ends: &BTreeMap<i32, i64>) -> Result<(), StoreError> {
        let mut assignment = TopicPartitionList::new();
        for &partition in ends.keys() {
            let next = self.next.get(&partition).copied().unwrap_or(0);
            assignment
                .add_partition_offset(&self.name, partition, Offset::Offset(next))
                .map_err(|error| self.failed("choose an offset", &error))?;
        }
        self.consumer.assign(&assignment).map_err(|error| self.failed("assign its partitions", &error))
    }

    /// Reads up to `ends`.
    fn consume(
        &mut self,
        mut ends: BTreeMap<i32, i64>,
        each: &mut dyn FnMut(Item<'_>),
    ) -> Result<(), StoreError> {
        let mut moved_at = Instant::now();
        let mut trouble = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while !ends.is_empty() {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    moved_at = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    let next = self.next.entry(partition).or_insert(0);
                    if offset >= *next {
                        *next = offset + 1;
                        give(&message, each);
                    }
                    if ends.get(&partition).is_some_and(|&end| offset + 1 >= end) {
                        ends.remove(&partition);
                    }
                }
                // Also past what has offsets and is no record: markers of transactions.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(end) = ends.remove(&partition) {
                        let next = self.next.entry(partition).or_insert(0);
                        *next = end.max(*next);
                    }
                }
                // Brokers come back, or the read stalls.
                Some(Err(error)) => trouble = error,
                None => {}
            }
            if moved_at.elapsed() > STALLED {
                return Err(self.failed("read it", &trouble));
            }
        }
        Ok(())
    }
}

impl Store for Topic {
    fn describe(&self) -> String {
        format!("Kafka topic {} at {}", self.name, self.brokers)
    }

    fn scope(&self) -> Scope {
        Scope::Added
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        // A topic that the target's first record makes is no error: it begins at offset 0.
        for partition in self.partitions()? {
            let (_, high) = self.watermarks(partition)?;
            self.next.insert(partition, high);
        }
        Ok(())
    }

    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        let ends = self.ends()?;
        if ends.is_empty() {
            return Ok(());
        }
        self.assign(&ends)?;
        let read = self.consume(ends, each);
        let unassigned = self.consumer.unassign().map_err(|error| self.failed("let go of it", &error));
        read.and(unassigned)
    }
}

fn give(message: &BorrowedMessage<'_>, each: &mut dyn FnMut(Item<'_>)) {
    let place = Place { partition: message.partition(), offset: message.offset() };
    each(Item::Record { bytes: message.payload().unwrap_or_default(), place: &place });
}

struct Place {
    partition: i32,
    offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition, self.offset)
    }
}

fn failed(topic: &str, doing: &'static str, error: &KafkaError) -> StoreError {
    StoreError::Kafka { topic: topic.to_owned(), doing, error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    fn cluster(partitions: i32) -> Cluster {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", partitions, 1).unwrap();
        cluster
    }

    fn produce(cluster: &Cluster, records: impl Iterator<Item = (i32, String)>) {
        let producer: ThreadedProducer<_> = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("linger.ms", "1")
            .create::<ThreadedProducer<rdkafka::producer::DefaultProducerContext>>()
            .unwrap();
        for (partition, record) in records {
            producer
                .send(BaseRecord::<(), _>::to("events").partition(partition).payload(&record))
                .unwrap_or_else(|(error, _)| panic!("{error}"));
        }
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    fn topic(cluster: &Cluster) -> Topic {
        Topic::new(&cluster.bootstrap_servers(), "events", &[]).unwrap()
    }

    fn read(topic: &mut Topic) -> Vec<String> {
        let mut records = Vec::new();
        topic
            .read(&mut |item| {
                let Item::Record { bytes, .. } = item else { panic!("not a record") };
                records.push(String::from_utf8(bytes.to_vec()).unwrap());
            })
            .unwrap();
        records.sort();
        records
    }

    #[test]
    fn what_was_added_since_the_begin_is_given_once_from_every_partition() {
        let cluster = cluster(3);
        produce(&cluster, (0..30).map(|n| (n % 3, format!("old {n:03}"))));
        let mut topic = topic(&cluster);
        topic.begin().unwrap();
        assert_eq!(read(&mut topic), [""; 0]);
        let first: Vec<_> = (0..300).map(|n| format!("new {n:03}")).collect();
        produce(&cluster, (0..).zip(&first).map(|(n, record)| (n % 3, record.clone())));
        assert_eq!(read(&mut topic), first);
        assert_eq!(read(&mut topic), [""; 0]);
        produce(&cluster, std::iter::once((1, "late".to_owned())));
        assert_eq!(read(&mut topic), ["late"]);
    }

    #[test]
    fn a_broker_that_is_not_there_is_named() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let brokers = format!("127.0.0.1:{port}");
        let error = Topic::new(&brokers, "events", &[]).unwrap().begin().unwrap_err();
        assert!(error.to_string().contains("topic events: ask for its partitions"), "{error}");
    }

    #[test]
    fn a_property_that_is_none_is_refused() {
        let error = Topic::new("127.0.0.1:1", "events", &[("no.such", "1")]).unwrap_err();
        assert!(error.to_string().contains("no.such"), "{error}");
    }
}
