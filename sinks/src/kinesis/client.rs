//! All that names the AWS SDK: one thread with the SDK's runtime, which takes [`Work`] and answers each piece once.
//!
//! ```text
//!  lane's thread                     kinesis thread (tokio, one thread)
//!  start(Work) ──── channel ───────▶ a task per call: sign, send, read
//!  take()      ◀─── list, Wake ───── Answer
//! ```
//!
//! The SDK serialises nothing of `PutRecords`: the body comes ready made ([`super::request`]) and takes the place of
//! the empty one before it is signed. The SDK's own retries are off: the lane's policy is the only one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client as Sdk;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::{PutRecordsResultEntry, Shard as SdkShard, ShardFilter, ShardFilterType};
use aws_smithy_types::body::SdkBody;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::call::{Answer, Said, Work};
use super::fault::Failure;
use super::options::Options;
use super::shard_map::Shard;
use crate::aws::sdk;
use crate::{FaultKind, Wake};

/// After a call was refused for its credentials they are looked up anew, at most this often.
const RELOAD_PAUSE: Duration = Duration::from_secs(5);

/// A client on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Client {
    work: UnboundedSender<Work>,
    outbox: Arc<Outbox>,
}

#[derive(Debug)]
struct Outbox {
    answers: Mutex<Vec<Answer>>,
    wake: Wake,
}

impl Outbox {
    fn put(&self, answer: Answer) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
        self.wake.wake();
    }
}

impl Client {
    /// Starts the thread. Nothing is connected before the first work.
    pub(super) fn open(options: &Options, wake: Wake) -> std::io::Result<Self> {
        let runtime = sdk::runtime()?;
        let (work, inbox) = unbounded_channel();
        let outbox = Arc::new(Outbox { answers: Mutex::default(), wake });
        let (options, answers) = (options.clone(), Arc::clone(&outbox));
        std::thread::Builder::new().name("kinesis".to_owned()).spawn(move || {
            runtime.block_on(serve(&options, inbox, &answers));
            // A look-up of a name can't be interrupted: it must not keep the process.
            runtime.shutdown_background();
        })?;
        Ok(Self { work, outbox })
    }

    /// Starts a piece of work.
    pub(super) fn start(&self, work: Work) {
        if let Err(refused) = self.work.send(work) {
            // The thread is gone, which only a panic in it can bring about.
            self.outbox.put(unanswered(&refused.0, "the client's thread is gone"));
        }
    }

    /// Moves all answers that have come to `answers`.
    pub(super) fn take(&self, answers: &mut Vec<Answer>) {
        answers.append(&mut self.outbox.answers.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn unanswered(work: &Work, text: &str) -> Answer {
    let failure = Failure::NotConnected(text.to_owned());
    match work {
        Work::Put { call, .. } => Answer::Put { call: *call, result: Err(failure) },
        Work::ListShards => Answer::Shards(Err(failure)),
    }
}

async fn serve(options: &Options, mut inbox: UnboundedReceiver<Work>, outbox: &Arc<Outbox>) {
    let mut sdk = load(options).await;
    let mut loaded_at = Instant::now();
    let stale = Arc::new(AtomicBool::new(false));
    while let Some(work) = inbox.recv().await {
        if loaded_at.elapsed() >= RELOAD_PAUSE && stale.swap(false, Ordering::Relaxed) {
            sdk = load(options).await;
            loaded_at = Instant::now();
        }
        let (sdk, stream) = (sdk.clone(), options.stream.clone());
        let (outbox, stale) = (Arc::clone(outbox), Arc::clone(&stale));
        tokio::spawn(async move {
            // Whatever becomes of this task, its work is answered.
            let mut debt = Debt { outbox: &outbox, unpaid: Some(unanswered(&work, "a call was given up")) };
            let answer = match work {
                Work::Put { call, body } => Answer::Put { call, result: put(&sdk, &stream, body).await },
                Work::ListShards => Answer::Shards(list_shards(&sdk, &stream).await),
            };
            if let Answer::Put { result: Err(failure), .. } = &answer
                && failure.fault().kind == FaultKind::Unauthenticated
            {
                stale.store(true, Ordering::Relaxed);
            }
            debt.pay(answer);
        });
    }
}

/// An answer that is owed. A panic in the SDK pays it as an outage whose outcome is unknown.
struct Debt<'a> {
    outbox: &'a Outbox,
    unpaid: Option<Answer>,
}

impl Debt<'_> {
    fn pay(&mut self, answer: Answer) {
        self.unpaid = None;
        self.outbox.put(answer);
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if let Some(answer) = self.unpaid.take() {
            self.outbox.put(match answer {
                Answer::Put { call, .. } => {
                    Answer::Put { call, result: Err(Failure::Broken("a call was given up".to_owned())) }
                }
                shards @ Answer::Shards(_) => shards,
            });
        }
    }
}

async fn load(options: &Options) -> Sdk {
    let (region, endpoint) = (options.region.as_deref(), options.endpoint.as_deref());
    Sdk::new(&sdk::load(region, endpoint, options.credentials.as_ref(), options.call_timeout).await)
}

/// The stream's name and its ARN: the API wants one of them.
fn name_or_arn(stream: &str) -> (Option<String>, Option<String>) {
    let arn = stream.starts_with("arn:").then(|| stream.to_owned());
    (arn.is_none().then(|| stream.to_owned()), arn)
}

async fn put(sdk: &Sdk, stream: &str, body: Vec<u8>) -> Result<Vec<Said>, Failure> {
    let (name, arn) = name_or_arn(stream);
    let length = body.len().to_string();
    // Runs once, as nothing is retried. Should that change, an empty body is refused and never mistaken for success.
    let body = Mutex::new(Some(body));
    let sent = sdk
        .put_records()
        .set_stream_name(name)
        .set_stream_arn(arn)
        .customize()
        .mutate_request(move |request| {
            let body = body.lock().unwrap_or_else(PoisonError::into_inner).take();
            *request.body_mut() = SdkBody::from(body.unwrap_or_default());
            request.headers_mut().insert("content-length", length.clone());
        })
        .send()
        .await;
    match sent {
        Ok(PutRecordsOutput { records, .. }) => Ok(records.into_iter().map(said).collect()),
        Err(error) => Err(sdk::failure(&error)),
    }
}

fn said(entry: PutRecordsResultEntry) -> Said {
    match (entry.error_code, entry.sequence_number, entry.shard_id) {
        (Some(code), _, _) => Said::Refused { code, message: entry.error_message.unwrap_or_default() },
        (None, Some(_), Some(shard)) => Said::Stored { shard },
        _ => Said::Nothing,
    }
}

async fn list_shards(sdk: &Sdk, stream: &str) -> Result<Vec<Shard>, Failure> {
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
    let filter = filter.map_err(|error| Failure::NotSent(error.to_string()))?;
    let (mut shards, mut token) = (Vec::new(), None);
    loop {
        // Further pages are asked for by the token alone.
        let mut ask = sdk.list_shards();
        if token.is_none() {
            let (name, arn) = name_or_arn(stream);
            ask = ask.set_stream_name(name).set_stream_arn(arn).shard_filter(filter.clone());
        }
        let page = ask.set_next_token(token).send().await.map_err(|error| sdk::failure(&error))?;
        for shard in page.shards() {
            shards.extend(open_shard(shard));
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
}

/// A shard that takes records: one whose sequence numbers have no end.
fn open_shard(shard: &SdkShard) -> Option<Shard> {
    if shard.sequence_number_range()?.ending_sequence_number().is_some() {
        return None;
    }
    let range = shard.hash_key_range()?;
    let first = range.starting_hash_key().parse().ok()?;
    let last = range.ending_hash_key().parse().ok()?;
    Some(Shard { id: shard.shard_id().into(), first, last })
}

/// What `check` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// `ACTIVE`, `UPDATING`, …
    pub status: String,
    /// `ON_DEMAND` or `PROVISIONED`; empty where the service does not say.
    pub mode: String,
    /// Open shards.
    pub open_shards: usize,
    /// Largest record that the stream takes, in bytes.
    pub record_bytes_max: usize,
    /// How long records are kept.
    pub retention_hours: i32,
    /// `NONE` or `KMS`.
    pub encryption: String,
    /// Whether the stream places records by itself, against their keys.
    pub places_by_itself: bool,
}

/// Describes the stream and lists its shards. Blocks for at most about `timeout`.
pub(super) fn describe(
    options: &Options,
    timeout: Duration,
) -> Result<(Description, Result<Vec<Shard>, Failure>), Failure> {
    let runtime = sdk::runtime().map_err(|error| Failure::NotSent(error.to_string()))?;
    let options = Options { call_timeout: options.call_timeout.min(timeout), ..options.clone() };
    let asked = runtime.block_on(async {
        let sdk = load(&options).await;
        let (name, arn) = name_or_arn(&options.stream);
        let summary = sdk.describe_stream_summary().set_stream_name(name).set_stream_arn(arn).send().await;
        let summary = summary.map_err(|error| sdk::failure(&error))?;
        let Some(found) = summary.stream_description_summary else {
            return Err(Failure::Broken("the answer describes no stream".to_owned()));
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let kib = found.max_record_size_in_kib().and_then(|kib| usize::try_from(kib).ok());
        let description = Description {
            status: found.stream_status().as_str().to_owned(),
            mode: text(found.stream_mode_details().map(|details| details.stream_mode().as_str())),
            open_shards: usize::try_from(found.open_shard_count()).unwrap_or_default(),
            record_bytes_max: kib.unwrap_or(1024) * 1024,
            retention_hours: found.retention_period_hours(),
            encryption: text(found.encryption_type().map(aws_sdk_kinesis::types::EncryptionType::as_str)),
            places_by_itself: found
                .record_distribution_strategy()
                .is_some_and(|strategy| strategy.as_str() == "AUTO"),
        };
        Ok((description, list_shards(&sdk, &options.stream).await))
    });
    runtime.shutdown_background();
    asked
}
