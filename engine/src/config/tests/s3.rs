//! `[sink.<name>]` of kind s3.

use std::time::Duration;

use millrun_sinks::Credentials;
use millrun_sinks::s3::{Checksum, Compression, Encryption, Options};

use super::*;

const S3: &str = "[sink.o]\nkind = \"s3\"\nbucket = \"clicks\"\n";

fn options(settings: &Settings) -> &Options {
    let SinkKind::S3(options) = &settings.sinks[0].kind else { panic!("{settings:?}") };
    options
}

#[test]
fn the_references_defaults_are_the_sinks_own() {
    let settings = settings(S3, &[]);
    assert_eq!(*options(&settings), Options::new("clicks"));
    assert_eq!(settings.sinks[0].linger, Duration::from_millis(50));
    assert_eq!(settings.routes[0].ack, Acknowledgement::Journaled, "a request would wait for a whole object");
}

#[test]
fn what_a_200_promises_can_be_chosen() {
    let route = |ack: &str| format!("{S3}[route.a]\npath = \"/a\"\n{ack}");
    let ack = |text: &str| settings(&route(text), &[]).routes[0].ack;
    assert_eq!(ack(""), Acknowledgement::Journaled);
    assert_eq!(ack("ack = \"delivered\"\n"), Acknowledgement::Delivered);
    assert_eq!(ack("ack = \"accepted\"\n"), Acknowledgement::Accepted);
    let settings = settings(&route(""), &[("MILLRUN_ROUTE__A__ACK", "delivered")]);
    assert_eq!(settings.routes[0].ack, Acknowledgement::Delivered);
}

#[test]
fn every_key_arrives_and_is_shown_again() {
    let file = "[route.a]\npath = \"/a\"\nsink = \"o\"\n[sink.o]\nkind = \"s3\"\nbucket = \"clicks\"\nprefix = \"data/\"\n\
                region = \"eu-west-1\"\nendpoint = \"http://127.0.0.1:9000\"\npath_style = true\n\
                bucket_owner = \"111122223333\"\ncompression = \"zstd\"\ncompression_level = 3\n\
                object_bytes_max = 50000000\nobject_age_max_ms = 60000\nobject_linger_ms = 100\npart_bytes = 16777216\n\
                parts_in_flight_max = 8\ncall_timeout_ms = 10000\nchecksum = \"sha256\"\nencryption = \"aws:kms\"\n\
                kms_key = \"k\"\nkms_bucket_key = false\nstorage_class = \"STANDARD_IA\"\nmanifest_prefix = \"m/\"\n\
                [sink.o.credentials]\naccess_key_id = \"AKID\"\nsecret_access_key = \"hush\"\nsession_token = \"quiet\"\n";
    let loaded = load(&sources(file, &[])).unwrap_or_else(|errors| panic!("{errors}"));
    let expected = Options {
        prefix: "data/".into(),
        region: Some("eu-west-1".into()),
        endpoint: Some("http://127.0.0.1:9000".into()),
        path_style: true,
        credentials: Some(Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hush".into(),
            session_token: Some("quiet".into()),
        }),
        bucket_owner: Some("111122223333".into()),
        compression: Compression::Zstd { level: 3 },
        object_bytes_max: 50_000_000,
        object_age_max: Duration::from_mins(1),
        object_linger: Duration::from_millis(100),
        part_bytes: 16 << 20,
        parts_in_flight_max: 8,
        call_timeout: Duration::from_secs(10),
        checksum: Checksum::Sha256,
        encryption: Some(Encryption::Kms { key: Some("k".into()), dual: false, bucket_key: false }),
        storage_class: Some("STANDARD_IA".into()),
        manifest_prefix: Some("m/".into()),
        ..Options::new("clicks")
    };
    assert_eq!(*options(&loaded.settings), expected);
    let shown = &loaded.effective;
    assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
    let again =
        load(&sources(&shown.replace("(hidden)", "hush"), &[])).unwrap_or_else(|e| panic!("{e}\n{shown}"));
    let mut hidden = loaded.settings.clone();
    let SinkKind::S3(options) = &mut hidden.sinks[0].kind else { panic!() };
    options.credentials.as_mut().unwrap().session_token = Some("hush".into());
    assert_eq!(again.settings, hidden);
}

#[test]
fn check_refuses_what_opening_the_sink_would_and_what_makes_no_sense() {
    for (line, says) in [
        ("bucket = \"No\"", "3 to 63 small letters"),
        ("prefix = \"/data\"", "must not begin with a slash"),
        ("manifest_prefix = \"\"", "outside of the prefix"),
        ("endpoint = \"localhost:9000\"", "http:// or https://"),
        ("bucket_owner = \"me\"", "12 digits"),
        ("part_bytes = 1000000", "from 5242880 to 268435456"),
        ("object_bytes_max = 10", "from 1000"),
        ("object_age_max_ms = 7200000", "from 100 to 3600000"),
        ("object_linger_ms = 4000", "must be below ack.deadline_ms = 4000"),
        ("parts_in_flight_max = 65", "from 1 to 64"),
        ("compression = \"none\"\ncompression_level = 3", "has no effect without compression"),
        ("compression_level = 12", "gzip has levels 1 to 9"),
        ("checksum = \"crc32\"", "did you mean \"crc32c\"?"),
        ("encryption = \"aes256\"", "did you mean \"AES256\"?"),
        ("kms_key = \"k\"", "has no effect without encryption"),
        ("storage_class = \"COLD\"", "STANDARD_IA"),
        ("key = \"rid\"", "unknown key"),
        ("[sink.o.credentials]\naccess_key_id = \"x\"", "secret_access_key: is missing"),
    ] {
        let key = line.split(' ').next().unwrap();
        let without = S3.lines().filter(|old| !old.starts_with(key)).collect::<Vec<_>>().join("\n");
        let errors = errors(&format!("{without}\n{line}\n"), &[]);
        assert!(errors.contains(says) && errors.contains("1 error"), "{line}\n{errors}");
    }
}

#[test]
fn the_seeds_variables_make_route_and_sink() {
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_S3_BUCKET", "clicks"),
        ("AWS_S3_PREFIX", "clickstream/app/data/buffer/"),
        ("S3_BATCH_MAX_BYTES", "10000000"),
        ("S3_BATCH_TIMEOUT_SECS", "60"),
        ("AWS_MSK_BROKERS", "__NOT_SET__"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("STREAM_ACK_ENABLE", "true"),
        ("SERVER_ENDPOINT_PATH", "/in"),
    ];
    let settings = settings("", &variables);
    assert_eq!((settings.routes.len(), settings.sinks.len()), (1, 1));
    assert_eq!(
        (settings.routes[0].path.as_str(), settings.routes[0].ack),
        ("/in", Acknowledgement::Journaled)
    );
    let options = options(&settings);
    assert_eq!((options.bucket.as_str(), options.region.as_deref()), ("clicks", Some("eu-west-1")));
    assert_eq!(options.prefix, "clickstream/app/data/buffer/");
    assert_eq!((options.object_bytes_max, options.object_age_max), (10_000_000, Duration::from_mins(1)));
}

#[test]
fn the_seeds_variables_are_checked() {
    for (variables, expected) in [
        (&[("AWS_S3_BUCKET", "clicks")][..], "AWS_REGION: is missing"),
        (
            &[("AWS_S3_BUCKET", "clicks"), ("AWS_REGION", "r"), ("S3_BATCH_TIMEOUT_SECS", "soon")],
            "S3_BATCH_TIMEOUT_SECS = \"soon\": must be a whole number of seconds",
        ),
        (
            &[("AWS_S3_BUCKET", "clicks"), ("AWS_REGION", "r"), ("AWS_S3_PREFIX", "data")],
            "has to end with one",
        ),
    ] {
        let text = errors("", variables);
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}
