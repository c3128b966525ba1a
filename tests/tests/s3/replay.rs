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

/// Of the configuration that wrote it; the engine must be gone.
fn drain(config: &std::path::Path, timeout_s: &str) -> (i32, String) {
    let arguments = ["journal", "drain", "--timeout-s", timeout_s, "--config", config.to_str().unwrap()];
    let drained = run(&arguments, &CREDENTIALS, &std::env::temp_dir());
    (drained.code(), drained.stdout + &drained.stderr)
}

#[test]
fn a_host_that_goes_drains_its_journal_or_says_what_stays() {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.set_down(true);
    let mut engine = Engine::start(&through(&proxy, Driver::Epoll, journal.path(), &bucket));
    let config = engine.own_dir().join("millrun.toml");
    let bodies = post_many(&engine, "leaving", 25);
    let (code, text) = drain(&config, "5");
    assert!(code == 1 && text.contains("is in use by the process"), "the engine still runs: {code} {text}");
    engine.kill();
    let (code, text) = drain(&config, "3");
    assert!(code == 1 && text.contains("stays for the next start"), "{code} {text}");
    proxy.set_down(false);
    for _ in 0..2 {
        let (code, text) = drain(&config, "60");
        assert!(code == 0 && text.contains("the journal is delivered"), "{code} {text}");
    }
    assert_once(&bucket.records(PREFIX), &bodies);
    let exported = run(&["journal", "export", journal.path().to_str().unwrap()], &[], &std::env::temp_dir());
    assert_eq!((exported.code(), exported.stdout.as_str()), (0, ""), "{}", exported.stderr);
}

#[test]
fn draining_without_a_journal_is_a_mistake_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("millrun.toml");
    std::fs::write(&config, "[sink.a]\nkind = \"null\"\n[route.a]\npath = \"/a\"\nsink = \"a\"\n").unwrap();
    let (code, text) = drain(&config, "5");
    assert!(code == 2 && text.contains("there is no journal to drain"), "{code} {text}");
    let absent = dir.path().join("absent");
    let toml = format!(
        "[journal]\ndir = \"{}\"\n[sink.a]\nkind = \"null\"\n[route.a]\npath = \"/a\"\nsink = \"a\"\nack = \"journaled\"\n",
        absent.display()
    );
    std::fs::write(&config, toml).unwrap();
    let (code, text) = drain(&config, "5");
    assert!(code == 2 && text.contains("there is no such directory") && !absent.exists(), "{code} {text}");
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
