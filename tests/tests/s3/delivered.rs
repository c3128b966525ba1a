//! Requests that wait for their object.

use std::thread;
use std::time::Duration;

use support::request::Request;
use support::s3::S3Server;
use support::s3_proxy::{S3Proxy, Trouble};
use support::{Driver, Engine, on_both_drivers};

use super::{PREFIX, assert_once, through};

on_both_drivers!(a_200_means_that_the_object_is_there, no_200_while_the_bucket_is_away);

fn a_200_means_that_the_object_is_there(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    let options = through(&proxy, driver, journal.path(), &bucket)
        .section("route.collect", "ack = \"delivered\"")
        .section("ack", "deadline_ms = 10000");
    let engine = Engine::start(&options);
    let stored = || bucket.records(PREFIX);
    for (round, trouble) in [
        None,
        Some(Trouble::Error { status: 503, code: "SlowDown" }),
        Some(Trouble::DoneUnanswered),
        Some(Trouble::DoneThenError { status: 500, code: "InternalError" }),
        Some(Trouble::ResetInBody),
    ]
    .into_iter()
    .enumerate()
    {
        if let Some(trouble) = trouble {
            proxy.trouble(Some("PutObject"), trouble, 1);
        }
        let bodies: Vec<String> = (0..8).map(|number| format!("r{round}-{number}")).collect();
        thread::scope(|scope| {
            for body in &bodies {
                let (engine, stored) = (&engine, &stored);
                scope.spawn(move || {
                    let response = engine.exchange(&Request::post("/collect", body.as_str()));
                    assert_eq!(response.status, 200, "{response:?}");
                    assert!(stored().iter().any(|record| record.data() == body), "{body}");
                });
            }
        });
        assert_once(&stored(), &bodies);
    }
    let puts = proxy.counts()["PutObject"];
    assert!(puts < 40, "requests share objects: {puts}");
}

fn no_200_while_the_bucket_is_away(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let proxy = S3Proxy::start(bucket.address);
    let options = through(&proxy, driver, journal.path(), &bucket)
        .section("route.collect", "ack = \"delivered\"")
        .section("ack", "deadline_ms = 1500");
    let engine = Engine::start(&options);
    for trouble in [
        Trouble::Error { status: 404, code: "NoSuchBucket" },
        Trouble::Error { status: 403, code: "AccessDenied" },
        Trouble::Stall(Duration::from_secs(30)),
    ] {
        proxy.trouble(Some("PutObject"), trouble.clone(), usize::MAX);
        let response = engine.exchange(&Request::post("/collect", "never"));
        assert_eq!(response.status, 503, "{trouble:?}: {response:?}");
        assert!(response.header("Retry-After").is_some(), "{response:?}");
        proxy.clear();
    }
    proxy.set_down(true);
    assert_eq!(engine.exchange(&Request::post("/collect", "never")).status, 503);
    assert!(bucket.keys("").is_empty());
}
