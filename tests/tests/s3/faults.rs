//! Everything that S3 and the way to it do wrong.

use std::time::Duration;

use support::s3::S3Server;
use support::s3_proxy::{S3Proxy, Trouble};
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{PREFIX, RECOVERY, assert_once, post, post_many, stop, through, wait_for};

on_both_drivers!(an_outage_is_outlasted);

/// One trouble for the only calls that small objects need.
fn survives(trouble: &Trouble, times: usize) -> usize {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.trouble(Some("PutObject"), trouble.clone(), times);
    let options = through(&proxy, Driver::Epoll, journal.path(), &bucket)
        .section("sink.events", "call_timeout_ms = 1000");
    let engine = Engine::start(&options);
    let bodies = post_many(&engine, "b", 20);
    assert_once(&wait_for(&bucket, &bodies), &bodies);
    // The last answer is on its way when the records are seen.
    poll_until("an answer to every call", RECOVERY, || {
        let delivered = engine.metrics()["millrun_s3_records_total{sink=\"journal/events\"}"];
        (delivered >= 20.0).then_some(())
    });
    // All attempts had the same name.
    let calls: Vec<_> = proxy.calls().into_iter().filter(|call| call.operation == "PutObject").collect();
    let mut keys: Vec<_> = calls.iter().map(|call| &call.key).collect();
    keys.dedup();
    assert!(keys.len() <= bucket.keys(PREFIX).len(), "{calls:?}");
    calls.len()
}

#[test]
fn refusals_are_tried_again() {
    for (status, code) in [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "RequestTimeout"),
        (400, "ExpiredToken"),
        (403, "AccessDenied"),
        (403, "RequestTimeTooSkewed"),
        (301, "PermanentRedirect"),
        (404, "NoSuchBucket"),
    ] {
        let calls = survives(&Trouble::Error { status, code }, 2);
        assert!(calls >= 3, "{code}: {calls}");
    }
}

#[test]
fn connections_that_break_and_answers_that_lie_lose_nothing_and_repeat_nothing() {
    for trouble in [
        Trouble::ResetInBody,
        Trouble::DoneUnanswered,
        Trouble::DoneThenError { status: 500, code: "InternalError" },
        Trouble::Stall(Duration::from_secs(30)),
    ] {
        let calls = survives(&trouble, 2);
        assert!(calls >= 3, "{trouble:?}: {calls}");
    }
}

#[test]
fn multipart_uploads_survive_every_trouble_of_theirs() {
    let slow = Trouble::Error { status: 503, code: "SlowDown" };
    let lie = Trouble::DoneThenError { status: 500, code: "InternalError" };
    let gone = Trouble::Error { status: 404, code: "NoSuchUpload" };
    for (operation, trouble) in [
        ("CreateMultipartUpload", slow.clone()),
        ("UploadPart", slow),
        ("UploadPart", Trouble::ResetInBody),
        ("UploadPart", Trouble::DoneUnanswered),
        ("UploadPart", gone.clone()),
        ("CompleteMultipartUpload", Trouble::Error { status: 500, code: "InternalError" }),
        ("CompleteMultipartUpload", Trouble::ErrorInside),
        ("CompleteMultipartUpload", Trouble::Error { status: 400, code: "InvalidRequest" }),
        ("CompleteMultipartUpload", Trouble::DoneUnanswered),
        ("CompleteMultipartUpload", lie),
        ("CompleteMultipartUpload", gone),
    ] {
        let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
        let proxy = S3Proxy::start(bucket.address);
        proxy.trouble(Some(operation), trouble.clone(), 2);
        let options = through(&proxy, Driver::Epoll, journal.path(), &bucket).section(
            "sink.events",
            "compression = \"none\"\npart_bytes = 5242880\nobject_age_max_ms = 3600000\ncall_timeout_ms = 20000",
        );
        let mut engine = Engine::start(&options);
        let bodies: Vec<String> = (0..8).map(|number| format!("{number}-").repeat(400_000)).collect();
        for body in &bodies {
            post(&engine, body);
        }
        // An end would not wait for more than the drain's time.
        poll_until("the parts", RECOVERY, || proxy.counts().contains_key("UploadPart").then_some(()));
        stop(&mut engine);
        engine.start_again();
        stop(&mut engine);
        assert_once(&bucket.records(PREFIX), &bodies);
        assert!(
            proxy.calls().iter().filter(|call| call.operation == operation).count() >= 2,
            "{operation} {trouble:?}"
        );
    }
}

fn an_outage_is_outlasted(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    proxy.set_down(true);
    let mut engine = Engine::start(&through(&proxy, driver, journal.path(), &bucket));
    let mut bodies = post_many(&engine, "down", 40);
    poll_until("the outage to be told", RECOVERY, || {
        let ready = engine.admin("/ready");
        assert_eq!(ready.status, 200, "the journal takes what the bucket does not");
        ready.text().contains("journal/events").then_some(())
    });
    stop(&mut engine);
    engine.start_again();
    bodies.extend(post_many(&engine, "still-down", 40));
    proxy.clear();
    bodies.extend(post_many(&engine, "up", 40));
    assert_once(&wait_for(&bucket, &bodies), &bodies);
    stop(&mut engine);
    assert_once(&bucket.records(PREFIX), &bodies);
}
