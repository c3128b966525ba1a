//! A Kinesis stream as a store: every record of every shard that arrived since the run began.
//!
//! ```text
//!   shard 0   ░░░░│▓▓▓▓▓▓▓▓▓●          ░ before the run   ▓ read   ● the last one read: the next read begins behind it
//!   shard 1   ░░░░│▓▓▓▓┤ split         ┤ closed: read to its end
//!   shard 2            ├▓▓▓▓▓▓●        ├ made during the run
//! ```
//!
//! Where a run begins is the service's clock against this host's, so that records of the minute before come along; they
//! are other traffic to the audit. Sequence numbers say what is new after that, so no record is given twice.
//!
//! With `deaggregate=true` the KPL's aggregated records are taken apart as the KCL does it, which drops without a word
//! what lies on a shard that does not take its hash key: to the audit, too, that is not stored.

mod aggregate;

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, Shard, ShardIteratorType};
use tokio::runtime::Runtime;

use super::store::{Item, Scope, Store, StoreError};

/// How far this host's clock may be ahead of the service's.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// A read that the service refuses for so long has failed.
const STALLED: Duration = Duration::from_secs(30);

/// A shard gives five answers a second (and 2 MB): so long until it may give another.
const PAUSE: Duration = Duration::from_millis(200);

/// Records in an answer: the most that the service allows.
const ANSWER_RECORDS_MAX: i32 = 10_000;

/// What can be said about a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// AWS region; without one as the SDK looks for it.
    pub region: Option<String>,
    /// Another endpoint than AWS's.
    pub endpoint: Option<String>,
    /// Whether aggregated records are taken apart.
    pub deaggregate: bool,
}

impl Options {
    /// # Errors
    /// When there is no such property, or it has no such value.
    pub fn new(properties: &[(&str, &str)]) -> Result<Self, StoreError> {
        let mut options = Self::default();
        for (key, value) in properties {
            match (*key, *value) {
                ("region", region) if !region.is_empty() => options.region = Some(region.to_owned()),
                ("endpoint", url) if !url.is_empty() => options.endpoint = Some(url.to_owned()),
                ("deaggregate", "true") => options.deaggregate = true,
                ("deaggregate", "false") => options.deaggregate = false,
                (key, value) => {
                    return Err(StoreError::KinesisProperty { key: key.to_owned(), value: value.to_owned() });
                }
            }
        }
        Ok(options)
    }
}

/// A stream, from where it stood when the run began.
pub struct Stream {
    name: String,
    options: Options,
    runtime: Runtime,
    client: Client,
    since: SystemTime,
    /// By id.
    shards: BTreeMap<String, Progress>,
}

/// How far a shard is read.
#[derive(Debug)]
struct Progress {
    /// Its smallest and its largest hash key.
    range: (u128, u128),
    /// Sequence number of the last record that was given.
    last: Option<String>,
    /// Closed, and read to its end.
    ended: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("name", &self.name)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// The stream `name`. Credentials are looked for where the AWS SDK does. Connects to nothing yet.
    ///
    /// # Errors
    /// When the system gives no event queue.
    pub fn new(name: &str, options: Options) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| failed(name, "make a client", error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let client = Client::new(&runtime.block_on(loader.load()));
        let shards = BTreeMap::new();
        Ok(Self { name: name.to_owned(), options, runtime, client, since: SystemTime::UNIX_EPOCH, shards })
    }

    fn failed<E>(&self, doing: &'static str, error: &E) -> StoreError
    where
        E: std::error::Error,
    {
        failed(&self.name, doing, DisplayErrorContext(error).to_string())
    }

    /// Takes in the shards that are new.
    fn list(&mut self) -> Result<(), StoreError> {
        let mut token = None;
        loop {
            // Further pages are asked for by the token alone.
            let name = token.is_none().then(|| self.name.clone());
            let ask = self.client.list_shards().set_stream_name(name).set_next_token(token);
            let page =
                self.runtime.block_on(ask.send()).map_err(|error| self.failed("list its shards", &error))?;
            for shard in page.shards() {
                let id = shard.shard_id().to_owned();
                let range = range(shard).ok_or_else(|| {
                    failed(&self.name, "list its shards", format!("{id} has no range of hash keys"))
                })?;
                self.shards.entry(id).or_insert(Progress { range, last: None, ended: false });
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// An iterator from where the shard is read.
    fn iterator(&self, id: &str) -> Result<Option<String>, StoreError> {
        let ask = self.client.get_shard_iterator().stream_name(&self.name).shard_id(id);
        let ask = match &self.shards[id].last {
            Some(last) => {
                ask.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(last)
            }
            None => {
                ask.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from(self.since))
            }
        };
        let found = self.runtime.block_on(ask.send());
        Ok(found.map_err(|error| self.failed("ask for a place in it", &error))?.shard_iterator)
    }

    /// Reads a shard up to its present end.
    fn read_shard(&mut self, id: &str, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        let mut place = self.iterator(id)?;
        let mut moved_at = Instant::now();
        while let Some(iterator) = &place {
            let ask = self.client.get_records().shard_iterator(iterator).limit(ANSWER_RECORDS_MAX);
            let page = match self.runtime.block_on(ask.send()) {
                Ok(page) => page,
                Err(error) if moved_at.elapsed() < STALLED => match error.code() {
                    Some("ExpiredIteratorException") => {
                        place = self.iterator(id)?;
                        continue;
                    }
                    Some("ProvisionedThroughputExceededException" | "LimitExceededException") => {
                        thread::sleep(PAUSE);
                        continue;
                    }
                    _ => return Err(self.failed("read it", &error)),
                },
                Err(error) => return Err(self.failed("read it", &error)),
            };
            moved_at = Instant::now();
            let GetRecordsOutput { records, next_shard_iterator, millis_behind_latest, .. } = page;
            for record in &records {
                self.give(id, record, each);
                let progress = self.shards.get_mut(id).expect("it was listed");
                progress.last = Some(record.sequence_number().to_owned());
            }
            // Parts of a shard can be empty: only the distance from its end says that this is it.
            if records.is_empty() && next_shard_iterator.is_some() && millis_behind_latest.unwrap_or(0) == 0 {
                return Ok(());
            }
            place = next_shard_iterator;
        }
        self.shards.get_mut(id).expect("it was listed").ended = true;
        Ok(())
    }

    fn give(&self, shard: &str, record: &Record, each: &mut dyn FnMut(Item<'_>)) {
        let (data, sequence_number) = (record.data().as_ref(), record.sequence_number());
        let parts = if self.options.deaggregate { aggregate::parts(data) } else { None };
        let Some(parts) = parts else {
            return each(Item::Record { bytes: data, place: &Place { shard, sequence_number, part: None } });
        };
        let (first, last) = self.shards[shard].range;
        for (number, part) in parts.iter().enumerate() {
            if (first..=last).contains(&part.hash_key) {
                let place = Place { shard, sequence_number, part: Some(number) };
                each(Item::Record { bytes: part.data, place: &place });
            }
        }
    }
}

impl Store for Stream {
    fn describe(&self) -> String {
        let endpoint = self.options.endpoint.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
        let apart = if self.options.deaggregate { ", aggregated records taken apart" } else { "" };
        format!("Kinesis stream {}{endpoint}{apart}", self.name)
    }

    fn scope(&self) -> Scope {
        Scope::Added
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.since = SystemTime::now() - CLOCK_SKEW;
        self.list()
    }

    fn read(&mut self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        self.list()?;
        let open = self.shards.iter().filter(|(_, progress)| !progress.ended).map(|(id, _)| id.clone());
        for id in open.collect::<Vec<_>>() {
            self.read_shard(&id, each)?;
        }
        Ok(())
    }
}

fn range(shard: &Shard) -> Option<(u128, u128)> {
    let range = shard.hash_key_range()?;
    Some((range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?))
}

struct Place<'a> {
    shard: &'a str,
    sequence_number: &'a str,
    /// Its number in an aggregate.
    part: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.shard, self.sequence_number)?;
        self.part.map_or(Ok(()), |part| write!(f, " part {part}"))
    }
}

fn failed(stream: &str, doing: &'static str, error: String) -> StoreError {
    StoreError::Kinesis { stream: stream.to_owned(), doing, error }
}

#[cfg(test)]
mod tests;
