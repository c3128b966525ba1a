//! The Kinesis sink against a real server, most of the time with a proxy in front that imposes what the real service
//! does: what the sink reports is compared with what a consumer finds.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports, in what its tests share as well")]

#[path = "kinesis_sink/aggregation.rs"]
mod aggregation;
#[path = "kinesis_sink/conformance.rs"]
mod conformance;
#[path = "kinesis_sink/consumer.rs"]
mod consumer;
#[path = "kinesis_sink/credentials.rs"]
mod credentials;
#[path = "kinesis_sink/lane.rs"]
mod lane;
#[path = "kinesis_sink/limits.rs"]
mod limits;
#[path = "kinesis_sink/outage.rs"]
mod outage;
#[path = "kinesis_sink/reshard.rs"]
mod reshard;

use std::sync::OnceLock;
use std::time::Duration;

use millrun_sinks::kinesis::{Credentials, Options};
use support::kinesis::KinesisServer;

/// The server of every test; each has streams of its own.
fn shared_server() -> &'static KinesisServer {
    static SHARED: OnceLock<KinesisServer> = OnceLock::new();
    SHARED.get_or_init(KinesisServer::start)
}

fn options(endpoint: String, stream: &str) -> Options {
    let mut options = Options::new(stream);
    options.endpoint = Some(endpoint);
    options.region = Some("us-east-1".to_owned());
    // The server is slow where the machine is busy.
    options.call_timeout = Duration::from_secs(30);
    options.credentials = Some(Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
    });
    options
}
