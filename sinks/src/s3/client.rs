//! All that names the AWS SDK: one thread with the SDK's runtime, which takes [`Work`] and answers each piece once.
//!
//! ```text
//!  caller's thread                   s3 thread (tokio, one thread)
//!  start(Work) ──── channel ───────▶ a task per call: sign, send, read
//!  take()      ◀─── list, Wake ───── Answer
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client as Sdk;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
    StorageClass,
};
use aws_smithy_types::base64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::call::{Answer, Kind, Said, Stored, Task, Work};
use super::encode::Content;
use super::fault;
use super::options::{Checksum, Compression, Encryption, Options};
use crate::aws::{Failure, sdk};
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
        let (options, answers) = (Arc::new(options.clone()), Arc::clone(&outbox));
        std::thread::Builder::new().name("s3".to_owned()).spawn(move || {
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
            let failure = Failure::NotConnected("the client's thread is gone".to_owned());
            self.outbox.put(answer_to(&refused.0, Err(failure)));
        }
    }

    /// Moves all answers that have come to `answers`.
    pub(super) fn take(&self, answers: &mut Vec<Answer>) {
        answers.append(&mut self.outbox.answers.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn answer_to(work: &Work, result: Result<Said, Failure>) -> Answer {
    Answer { id: work.id, name: work.task.name(), result }
}

async fn serve(options: &Arc<Options>, mut inbox: UnboundedReceiver<Work>, outbox: &Arc<Outbox>) {
    let mut sdk = load(options).await;
    let mut loaded_at = Instant::now();
    let stale = Arc::new(AtomicBool::new(false));
    while let Some(work) = inbox.recv().await {
        if loaded_at.elapsed() >= RELOAD_PAUSE && stale.swap(false, Ordering::Relaxed) {
            sdk = load(options).await;
            loaded_at = Instant::now();
        }
        let (sdk, options) = (sdk.clone(), Arc::clone(options));
        let (outbox, stale) = (Arc::clone(outbox), Arc::clone(&stale));
        tokio::spawn(async move {
            // Whatever becomes of this task, its work is answered.
            let given_up = Failure::Broken("a call was given up".to_owned());
            let mut debt = Debt { outbox: &outbox, unpaid: Some(answer_to(&work, Err(given_up))) };
            let result = carry_out(&sdk, &options, &work).await;
            if let Err(failure) = &result
                && fault::of(failure).kind == FaultKind::Unauthenticated
            {
                stale.store(true, Ordering::Relaxed);
            }
            debt.pay(answer_to(&work, result));
        });
    }
}

/// An answer that is owed. A panic in the SDK pays it as a broken call, whose outcome is unknown.
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
            self.outbox.put(answer);
        }
    }
}

async fn load(options: &Options) -> Sdk {
    let (region, endpoint) = (options.region.as_deref(), options.endpoint.as_deref());
    let shared = sdk::load(region, endpoint, options.credentials.as_ref(), options.call_timeout).await;
    let own = aws_sdk_s3::config::Builder::from(&shared).force_path_style(options.path_style).build();
    Sdk::from_conf(own)
}

async fn carry_out(sdk: &Sdk, options: &Options, work: &Work) -> Result<Said, Failure> {
    match &work.task {
        Task::Put { body, kind } => put(sdk, options, &work.key, body.clone(), *kind).await,
        Task::Create => create(sdk, options, &work.key).await,
        Task::Part { upload, number, body } => {
            part(sdk, options, &work.key, upload, *number, body.clone()).await
        }
        Task::Complete { upload, parts, content } => {
            complete(sdk, options, &work.key, upload, parts, content).await
        }
        Task::Abort { upload } => abort(sdk, options, &work.key, upload).await,
        Task::Head => head(sdk, options, &work.key).await,
    }
}

/// The checksum as it stands in a header.
fn checksum(kind: Checksum, body: &[u8]) -> String {
    match kind {
        Checksum::Crc32c => base64::encode(crc32c::crc32c(body).to_be_bytes()),
        Checksum::Sha256 => base64::encode(Sha256::digest(body)),
    }
}

fn content_type(kind: Kind) -> &'static str {
    match kind {
        // What the replaced system's objects say.
        Kind::Data => "text/x-log",
        Kind::Manifest => "application/json",
    }
}

fn content_encoding(options: &Options, kind: Kind) -> Option<String> {
    match (kind, options.compression) {
        (Kind::Manifest, _) | (_, Compression::None) => None,
        (Kind::Data, Compression::Gzip { .. }) => Some("gzip".to_owned()),
        (Kind::Data, Compression::Zstd { .. }) => Some("zstd".to_owned()),
    }
}

/// Algorithm, key and bucket key, as the headers say them.
fn encryption(options: &Options) -> (Option<ServerSideEncryption>, Option<String>, Option<bool>) {
    match &options.encryption {
        None => (None, None, None),
        Some(Encryption::S3) => (Some(ServerSideEncryption::Aes256), None, None),
        Some(Encryption::Kms { key, dual, bucket_key }) => {
            let algorithm =
                if *dual { ServerSideEncryption::AwsKmsDsse } else { ServerSideEncryption::AwsKms };
            // Two layers know no bucket key.
            (Some(algorithm), key.clone(), (!dual).then_some(*bucket_key))
        }
    }
}

fn storage_class(options: &Options) -> Option<StorageClass> {
    options.storage_class.as_deref().map(StorageClass::from)
}

async fn put(sdk: &Sdk, options: &Options, key: &str, body: Bytes, kind: Kind) -> Result<Said, Failure> {
    let sum = checksum(options.checksum, &body);
    let (algorithm, kms_key, bucket_key) = encryption(options);
    let mut call = sdk
        .put_object()
        .bucket(&options.bucket)
        .key(key)
        .content_type(content_type(kind))
        .set_content_encoding(content_encoding(options, kind))
        .set_expected_bucket_owner(options.bucket_owner.clone())
        .set_server_side_encryption(algorithm)
        .set_ssekms_key_id(kms_key)
        .set_bucket_key_enabled(bucket_key);
    // An account of an hour is small and read soon.
    if kind == Kind::Data {
        call = call.set_storage_class(storage_class(options));
    }
    call = match options.checksum {
        Checksum::Crc32c => call.checksum_crc32_c(sum),
        Checksum::Sha256 => call.checksum_sha256(sum),
    };
    let sent = call.body(ByteStream::from(body)).send().await;
    sent.map(|_| Said::Done).map_err(|error| sdk::failure(&error))
}

async fn create(sdk: &Sdk, options: &Options, key: &str) -> Result<Said, Failure> {
    let (algorithm, kms_key, bucket_key) = encryption(options);
    let (sum, sum_type) = match options.checksum {
        Checksum::Crc32c => (ChecksumAlgorithm::Crc32C, ChecksumType::FullObject),
        Checksum::Sha256 => (ChecksumAlgorithm::Sha256, ChecksumType::Composite),
    };
    let sent = sdk
        .create_multipart_upload()
        .bucket(&options.bucket)
        .key(key)
        .content_type(content_type(Kind::Data))
        .set_content_encoding(content_encoding(options, Kind::Data))
        .set_expected_bucket_owner(options.bucket_owner.clone())
        .set_server_side_encryption(algorithm)
        .set_ssekms_key_id(kms_key)
        .set_bucket_key_enabled(bucket_key)
        .set_storage_class(storage_class(options))
        .checksum_algorithm(sum)
        .checksum_type(sum_type)
        .send()
        .await;
    let made = sent.map_err(|error| sdk::failure(&error))?;
    let id = made.upload_id.filter(|id| !id.is_empty());
    id.map(Said::Created).ok_or_else(|| Failure::Broken("the answer names no upload".to_owned()))
}

async fn part(
    sdk: &Sdk,
    options: &Options,
    key: &str,
    upload: &str,
    number: u16,
    body: Bytes,
) -> Result<Said, Failure> {
    let sum = checksum(options.checksum, &body);
    let call = sdk
        .upload_part()
        .bucket(&options.bucket)
        .key(key)
        .upload_id(upload)
        .part_number(number.into())
        .set_expected_bucket_owner(options.bucket_owner.clone());
    let call = match options.checksum {
        Checksum::Crc32c => call.checksum_crc32_c(sum.clone()),
        Checksum::Sha256 => call.checksum_sha256(sum.clone()),
    };
    let sent = call.body(ByteStream::from(body)).send().await;
    let stored = sent.map_err(|error| sdk::failure(&error))?;
    let etag = stored.e_tag.filter(|etag| !etag.is_empty());
    let etag = etag.ok_or_else(|| Failure::Broken("the answer names no entity tag".to_owned()))?;
    Ok(Said::Part(Stored { number, etag, checksum: sum }))
}

async fn complete(
    sdk: &Sdk,
    options: &Options,
    key: &str,
    upload: &str,
    parts: &[Stored],
    content: &Content,
) -> Result<Said, Failure> {
    let part = |part: &Stored| {
        let named = CompletedPart::builder().part_number(part.number.into()).e_tag(&part.etag);
        match options.checksum {
            Checksum::Crc32c => named.checksum_crc32_c(&part.checksum),
            Checksum::Sha256 => named.checksum_sha256(&part.checksum),
        }
        .build()
    };
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(part).collect())).build();
    let mut call = sdk
        .complete_multipart_upload()
        .bucket(&options.bucket)
        .key(key)
        .upload_id(upload)
        .multipart_upload(parts)
        .set_expected_bucket_owner(options.bucket_owner.clone());
    if options.checksum == Checksum::Crc32c {
        let whole = base64::encode(content.crc32c.to_be_bytes());
        call = call.checksum_crc32_c(whole).checksum_type(ChecksumType::FullObject);
        call = call.set_mpu_object_size(i64::try_from(content.bytes).ok());
    }
    let done = call.send().await.map_err(|error| sdk::failure(&error))?;
    // S3 begins its answer before it knows the outcome; what is no result is no success.
    if done.e_tag.is_none() {
        return Err(Failure::Broken("the answer names no entity tag".to_owned()));
    }
    Ok(Said::Done)
}

async fn abort(sdk: &Sdk, options: &Options, key: &str, upload: &str) -> Result<Said, Failure> {
    let sent = sdk
        .abort_multipart_upload()
        .bucket(&options.bucket)
        .key(key)
        .upload_id(upload)
        .set_expected_bucket_owner(options.bucket_owner.clone())
        .send()
        .await;
    match sent.map_err(|error| sdk::failure(&error)) {
        Err(failure) if !fault::is_gone(&failure) => Err(failure),
        _ => Ok(Said::Done),
    }
}

async fn head(sdk: &Sdk, options: &Options, key: &str) -> Result<Said, Failure> {
    let sent = sdk
        .head_object()
        .bucket(&options.bucket)
        .key(key)
        .set_expected_bucket_owner(options.bucket_owner.clone())
        .send()
        .await;
    match sent {
        Ok(found) => {
            let bytes = found.content_length().and_then(|bytes| u64::try_from(bytes).ok());
            bytes
                .map(|bytes| Said::Head(Some(bytes)))
                .ok_or_else(|| Failure::Broken("the answer names no size".to_owned()))
        }
        Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => {
            Ok(Said::Head(None))
        }
        Err(error) => Err(sdk::failure(&error)),
    }
}

/// What `check` finds out: whether the bucket is there and may be asked for.
pub(super) fn head_bucket(options: &Options, timeout: Duration) -> Result<Option<String>, Failure> {
    let runtime = sdk::runtime().map_err(|error| Failure::NotSent(error.to_string()))?;
    let options = Options { call_timeout: options.call_timeout.min(timeout), ..options.clone() };
    let asked = runtime.block_on(async {
        let sdk = load(&options).await;
        let owner = options.bucket_owner.clone();
        let sent = sdk.head_bucket().bucket(&options.bucket).set_expected_bucket_owner(owner).send().await;
        sent.map(|found| found.bucket_region).map_err(|error| sdk::failure(&error))
    });
    runtime.shutdown_background();
    asked
}
