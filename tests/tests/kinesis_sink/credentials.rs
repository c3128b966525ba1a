//! Credentials that change while the sink runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millrun_sinks::kinesis::Options;
use millrun_sinks::{Fate, FaultKind};
use support::kinesis_proxy::{Behaviour, KinesisProxy};
use support::poll::poll_until;

use super::lane::{Lane, PATIENCE};
use super::{consumer, shared_server};

/// Set in the process that sends: the proxy's URL. The SDK takes the place of its credentials from its environment,
/// which a test must not change in its own process.
const ENDPOINT: &str = "MILLRUN_TEST_KINESIS_ENDPOINT";

const STREAM: &str = "renewed";

#[test]
fn credentials_that_were_renewed_on_disk_are_picked_up() {
    match std::env::var(ENDPOINT) {
        Ok(endpoint) => send_until_delivered(endpoint),
        Err(_) => renew_under_way(),
    }
}

fn write_credentials(file: &Path, access_key: &str) {
    let text = format!("[default]\naws_access_key_id = {access_key}\naws_secret_access_key = secret\n");
    // Whole or not at all: the SDK may be reading.
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, file).unwrap();
}

fn renew_under_way() {
    let server = shared_server();
    server.create_stream(STREAM, 1);
    let behaviour = Behaviour { access_key: Some("FRESH"), ..Behaviour::default() };
    let proxy = KinesisProxy::start(server.address(), behaviour);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials");
    write_credentials(&file, "STALE");
    let mut sender = Command::new(std::env::current_exe().unwrap());
    sender.args(["--exact", "credentials::credentials_that_were_renewed_on_disk_are_picked_up"]);
    sender.env(ENDPOINT, proxy.endpoint()).env("AWS_SHARED_CREDENTIALS_FILE", &file);
    sender.env("AWS_CONFIG_FILE", dir.path().join("none"));
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
        sender.env_remove(variable);
    }
    let sender = sender.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    poll_until("the old key is refused", PATIENCE, || (proxy.counts().troubled > 0).then_some(()));
    write_credentials(&file, "FRESH");
    let output = sender.wait_with_output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the sender sent: {text}");
    assert_eq!(consumer::values(server, STREAM).len(), 1);
}

fn send_until_delivered(endpoint: String) {
    let mut options = Options::new(STREAM);
    options.endpoint = Some(endpoint);
    options.region = Some("us-east-1".to_owned());
    let mut lane = Lane::open(&options);
    lane.tries_again = false;
    let deadline = Instant::now() + PATIENCE;
    let mut attempt = 0;
    while lane.delivered() == 0 {
        assert!(Instant::now() < deadline, "the new credentials are not picked up");
        attempt += 1;
        lane.submit(&[(b"", format!("attempt {attempt}").as_bytes())]);
        lane.settle_all();
        let pause = Instant::now() + Duration::from_millis(200);
        while Instant::now() < pause {
            lane.turn(Duration::from_millis(50));
        }
    }
    assert!(attempt > 1, "the first one was refused");
    for fault in lane.faults() {
        assert_eq!((fault.kind, fault.fate), (FaultKind::Unauthenticated, Fate::NotStored));
    }
}
