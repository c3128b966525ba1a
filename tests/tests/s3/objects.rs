//! What objects look like: names, headers, sizes, encryption, accounts of hours.

use support::s3::{KMS_KEY, S3Server};
use support::s3_proxy::S3Proxy;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{PREFIX, RECOVERY, assert_once, direct, post, post_many, stop, through, wait_for};

on_both_drivers!(journaled_records_become_an_object, an_end_ships_what_is_in_hand);

fn journaled_records_become_an_object(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let engine = Engine::start(&direct(driver, journal.path(), &bucket));
    let bodies = post_many(&engine, "first", 50);
    let records = wait_for(&bucket, &bodies);
    assert_once(&records, &bodies);
    let keys = bucket.keys("");
    let name = keys[0].strip_prefix(PREFIX).unwrap();
    let parts: Vec<_> = name.split('/').collect();
    let starts = ["year=", "month=", "day=", "hour="];
    assert!(parts.iter().zip(starts).all(|(part, start)| part.starts_with(start)), "{name}");
    let (epoch, id) = parts[4].strip_suffix(".log.gz").unwrap().split_once('-').unwrap();
    assert!(epoch.parse::<u64>().unwrap() > 1_700_000_000 && id.len() == 36, "{name}");
    let object = bucket.get(&keys[0]);
    assert_eq!(object.header("content-type"), Some("text/x-log"));
    assert_eq!(object.header("content-encoding"), Some("gzip"));
    assert!(records.iter().all(|record| record.text("appId") == Some("app")));
    // Published twice a second.
    poll_until("the figures", RECOVERY, || {
        let metrics = engine.metrics();
        let records = metrics["millrun_s3_records_total{sink=\"journal/events\"}"];
        let behind = metrics["millrun_journal_streams_behind{sink=\"journal/events\"}"];
        (records > 49.5 && behind < 0.5).then_some(())
    });
}

fn an_end_ships_what_is_in_hand(driver: Driver) {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let options =
        direct(driver, journal.path(), &bucket).section("sink.events", "object_age_max_ms = 3600000");
    let mut engine = Engine::start(&options);
    let bodies = post_many(&engine, "hand", 30);
    assert!(bucket.keys("").is_empty(), "the object is young");
    stop(&mut engine);
    assert_once(&bucket.records(PREFIX), &bodies);
    assert_eq!(bucket.keys("").len(), 1);
    // And nothing of it is shipped once more.
    engine.start_again();
    stop(&mut engine);
    assert_eq!(bucket.keys("").len(), 1);
}

#[test]
fn large_objects_go_in_parts_small_ones_do_not() {
    for (compression, end) in [("none", ".log"), ("zstd", ".log.zst")] {
        let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
        let proxy = S3Proxy::start(bucket.address);
        let options = through(&proxy, Driver::Epoll, journal.path(), &bucket).section(
            "sink.events",
            &format!(
                "compression = \"{compression}\"\npart_bytes = 5242880\nobject_bytes_max = 8000000\n\
                 object_age_max_ms = 3600000"
            ),
        );
        let mut engine = Engine::start(&options);
        // Compresses badly, so that both have parts.
        let mut random = fastrand::Rng::with_seed(7);
        let bodies: Vec<String> = (0..16)
            .map(|_| (0..900_000).map(|_| char::from(random.u8(b' '..b'~')).to_ascii_lowercase()).collect())
            .map(|text: String| text.replace(['"', '\\'], "-"))
            .collect();
        for body in &bodies {
            post(&engine, body);
        }
        stop(&mut engine);
        let records = bucket.records(PREFIX);
        assert_once(&records, &bodies);
        let counts = proxy.counts();
        assert!(counts["CompleteMultipartUpload"] >= 1 && counts["UploadPart"] >= 2, "{counts:?}");
        assert!(bucket.uploads().is_empty());
        assert!(bucket.keys("").iter().all(|key| key.ends_with(end)), "{:?}", bucket.keys(""));
        assert!(bucket.keys("").len() >= 2, "one ended by its size");
    }
}

#[test]
fn encryption_storage_class_and_checksum_are_asked_for() {
    let (bucket, journal) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let options = direct(Driver::Epoll, journal.path(), &bucket).section(
        "sink.events",
        &format!(
            "encryption = \"aws:kms\"\nkms_key = \"{KMS_KEY}\"\nstorage_class = \"STANDARD_IA\"\nchecksum = \"sha256\""
        ),
    );
    let engine = Engine::start(&options);
    wait_for(&bucket, &post_many(&engine, "x", 1));
    let object = bucket.get(&bucket.keys("")[0]);
    assert_eq!(object.header("x-amz-server-side-encryption"), Some("aws:kms"));
    let key = object.header("x-amz-server-side-encryption-aws-kms-key-id");
    assert_eq!(key, Some(KMS_KEY));
    assert_eq!(object.header("x-amz-storage-class"), Some("STANDARD_IA"));
}

#[test]
fn the_replaced_systems_variables_make_the_sink() {
    let (bucket, home) = (S3Server::shared().bucket(), tempfile::tempdir().unwrap());
    let endpoint = format!("http://{}", bucket.address);
    let mut options = EngineOptions::embedded(Driver::Epoll);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_S3_BUCKET", &bucket.name),
        ("AWS_S3_PREFIX", PREFIX),
        ("S3_BATCH_MAX_BYTES", "30000000"),
        ("S3_BATCH_TIMEOUT_SECS", "1"),
        ("AWS_MSK_BROKERS", "__NOT_SET__"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("STREAM_ACK_ENABLE", "true"),
        ("SERVER_ENDPOINT_PATH", "/collect"),
        ("AWS_ENDPOINT_URL_S3", &endpoint),
        ("MILLRUN_SINK__S3__PATH_STYLE", "true"),
        ("MILLRUN_JOURNAL__DIR", home.path().to_str().unwrap()),
    ] {
        options = options.environment(name, value);
    }
    let engine = Engine::start(&options);
    let config = engine.admin("/config");
    assert!(config.text().contains("ack = \"journaled\""), "{}", config.text());
    assert_once(&wait_for(&bucket, &post_many(&engine, "seed", 5)), &["seed-0".to_owned()]);
}
