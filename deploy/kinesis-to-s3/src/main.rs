//! The function as the service starts it: settings from the environment, then event after event.

use std::time::SystemTime;

use kinesis_to_s3::event::Event;
use kinesis_to_s3::handler::handle;
use kinesis_to_s3::settings::Settings;
use kinesis_to_s3::store::Bucket;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::read(|variable| std::env::var(variable).ok())?;
    let bucket = Bucket::open(&settings.bucket).await;
    let (settings, bucket) = (&settings, &bucket);
    run(service_fn(async |event: LambdaEvent<Event>| {
        Ok::<_, Error>(handle(&event.payload, settings, bucket, SystemTime::now()).await)
    }))
    .await
}
