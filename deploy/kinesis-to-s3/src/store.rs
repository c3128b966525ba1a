//! The seam to S3, and S3.

use std::future::Future;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{doing} {key}: {problem}")]
pub struct StoreError {
    /// What was tried.
    pub doing: &'static str,
    /// With which object.
    pub key: String,
    /// What was said.
    pub problem: String,
}

/// Where objects are put.
pub trait Store {
    /// Writes an object, over one of the same key. Done means that it is stored.
    fn put(&self, key: &str, body: Vec<u8>) -> impl Future<Output = Result<(), StoreError>>;

    /// Whether there is such an object; no where that may not be asked.
    fn has(&self, key: &str) -> impl Future<Output = Result<bool, StoreError>>;
}

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// One attempt. The SDK makes three, with pauses; then the batch comes again.
const ATTEMPT: Duration = Duration::from_secs(20);

impl Bucket {
    /// The bucket `name`, with the function's role, and another endpoint where the SDK's variables name one.
    pub async fn open(name: &str) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await;
        let mut config = aws_sdk_s3::config::Builder::from(&config);
        // Servers that are no S3 are reached under their own name only.
        if ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|name| std::env::var_os(name).is_some()) {
            config = config.force_path_style(true);
        }
        Self { client: Client::from_conf(config.build()), name: name.to_owned() }
    }
}

impl Store for Bucket {
    async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.name).key(key);
        // As the S3 sink's objects, and those of the system that it replaces.
        let put = put.content_type("text/x-log").content_encoding("gzip").body(ByteStream::from(body));
        let failed = |error| failed("put", key, DisplayErrorContext(error).to_string());
        put.send().await.map(drop).map_err(failed)
    }

    async fn has(&self, key: &str) -> Result<bool, StoreError> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(_) => Ok(true),
            // Without the right to list the bucket, S3 says 403 for what is not there. A double is no loss.
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(false),
            Err(error) => Err(failed("look for", key, DisplayErrorContext(error).to_string())),
        }
    }
}

fn status<E>(error: &aws_sdk_s3::error::SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn failed(doing: &'static str, key: &str, problem: String) -> StoreError {
    StoreError { doing, key: key.to_owned(), problem }
}
