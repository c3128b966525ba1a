//! The journal of a host that is gone, shipped by the command; and what `check` says of a bucket.

use support::command::run;
use support::s3::S3Server;
use support::s3_proxy::{S3Proxy, Trouble};
use support::{Driver, Engine};

use super::{PREFIX, assert_once, direct, post_many, through};

const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_EC2_METADATA_DISABLED", "true")];

#[test]
fn a_dead_engines_journal_is_shipped_by_the_command() {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.set_down(true);
    let mut engine = Engine::start(&through(&proxy, Driver::Epoll, journal.path(), &bucket));
    let bodies = post_many(&engine, "gone", 25);
    engine.kill();
    let config = Engine::prepare(&direct(Driver::Epoll, journal.path(), &bucket));
    let config = config.own_dir().join("millrun.toml");
    for expected in ["25 records are delivered", "0 records are delivered"] {
        let dir = journal.path().to_str().unwrap();
        let arguments = ["journal", "replay", "--config", config.to_str().unwrap(), "--dir", dir];
        let replayed = run(&arguments, &CREDENTIALS, &std::env::temp_dir());
        assert!(replayed.status.success(), "{}{}", replayed.stdout, replayed.stderr);
        assert!(replayed.stderr.contains(expected), "{}", replayed.stderr);
    }
    assert_once(&bucket.records(PREFIX), &bodies);
}

#[test]
fn check_names_what_is_wrong_with_a_bucket() {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    let engine = Engine::prepare(&through(&proxy, Driver::Epoll, journal.path(), &bucket));
    let config = engine.own_dir().join("millrun.toml");
    let check = || {
        let arguments = ["check", "--connect", "--config", config.to_str().unwrap()];
        let checked = run(&arguments, &CREDENTIALS, &std::env::temp_dir());
        (checked.code(), checked.stdout + &checked.stderr)
    };
    let (code, text) = check();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("bucket {}", bucket.name)) && text.contains("there"), "{text}");
    for (status, code, says) in [
        (404, "NoSuchBucket", "destination_missing"),
        (301, "PermanentRedirect", "set the sink's region"),
        (400, "ExpiredToken", "error"),
    ] {
        proxy.trouble(Some("HeadBucket"), Trouble::Error { status, code }, usize::MAX);
        let (exit, text) = check();
        assert!(exit == 1 && text.contains(says), "{code}: {exit} {text}");
        proxy.clear();
    }
    proxy.trouble(Some("HeadBucket"), Trouble::Error { status: 403, code: "AccessDenied" }, usize::MAX);
    let (exit, text) = check();
    assert!(exit == 0 && text.contains("s3:PutObject"), "{text}");
}
