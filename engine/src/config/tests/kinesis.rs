//! `[sink.<name>]` of kind kinesis.

use std::time::Duration;

use millrun_sinks::kinesis::{Compression, Credentials, Options, Rate, Spread};

use super::*;

const KINESIS: &str = "[sink.k]\nkind = \"kinesis\"\nstream = \"clicks\"\n";

fn options(settings: &Settings) -> &Options {
    let SinkKind::Kinesis(options) = &settings.sinks[0].kind else { panic!("{settings:?}") };
    options
}

#[test]
fn the_references_defaults_are_the_sinks_own() {
    let settings = settings(KINESIS, &[]);
    // Half of the acknowledgement's deadline, so that it follows that.
    let expected = Options { call_timeout: Duration::from_secs(2), ..Options::new("clicks") };
    assert_eq!(*options(&settings), expected);
    assert_eq!(settings.sinks[0].key, RecordKey::None);
}

#[test]
fn every_key_arrives_and_is_shown_again() {
    let file = "[route.a]\npath = \"/a\"\nsink = \"k\"\n[sink.k]\nkind = \"kinesis\"\n\
                stream = \"arn:aws:kinesis:us-east-1:111122223333:stream/s\"\nregion = \"us-east-1\"\n\
                endpoint = \"http://127.0.0.1:4567\"\npartition_key = \"query:user\"\nspread = \"even\"\n\
                aggregate_bytes_max = 50000\ncompression = \"zstd\"\ncompression_level = 5\ncall_linger_ms = 20\n\
                record_bytes_max = 60000\ncall_records_max = 400\ncall_bytes_max = 5000000\n\
                calls_in_flight_max = 64\ncall_timeout_ms = 1500\nordered = true\n\
                expected_records_per_s = 10000\nexpected_record_bytes = 900\n\
                [sink.k.credentials]\naccess_key_id = \"AKID\"\nsecret_access_key = \"hush\"\nsession_token = \"quiet\"\n";
    let loaded = load(&sources(file, &[])).unwrap_or_else(|errors| panic!("{errors}"));
    let expected = Options {
        stream: "arn:aws:kinesis:us-east-1:111122223333:stream/s".into(),
        region: Some("us-east-1".into()),
        endpoint: Some("http://127.0.0.1:4567".into()),
        credentials: Some(Credentials {
            access_key_id: "AKID".into(),
            secret_access_key: "hush".into(),
            session_token: Some("quiet".into()),
        }),
        spread: Spread::Even,
        aggregate_bytes_max: Some(50_000),
        compression: Compression::Zstd { level: 5 },
        linger: Duration::from_millis(20),
        record_bytes_max: 60_000,
        call_records_max: 400,
        call_bytes_max: 5_000_000,
        calls_in_flight_max: 64,
        call_timeout: Duration::from_millis(1500),
        ordered: true,
        expected: Some(Rate { records_per_s: 10_000.0, record_bytes: 900.0 }),
    };
    assert_eq!(*options(&loaded.settings), expected);
    assert_eq!(loaded.settings.sinks[0].key, RecordKey::Query("user".into()));
    let shown = &loaded.effective;
    assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
    let again =
        load(&sources(&shown.replace("(hidden)", "hush"), &[])).unwrap_or_else(|e| panic!("{e}\n{shown}"));
    let mut hidden = loaded.settings.clone();
    let SinkKind::Kinesis(options) = &mut hidden.sinks[0].kind else { panic!() };
    options.credentials.as_mut().unwrap().session_token = Some("hush".into());
    assert_eq!(again.settings, hidden);
}

#[test]
fn check_refuses_what_opening_the_sink_would_and_what_makes_no_sense() {
    for (line, says) in [
        ("stream = \"a b\"", "a stream's name is"),
        ("endpoint = \"localhost:4567\"", "http:// or https://"),
        ("region = \"\"", "leave it out"),
        ("partition_key = \"appId\"", "did you mean \"app_id\"?"),
        ("key = \"rid\"", "unknown key"),
        ("spread = \"evn\"", "did you mean \"even\"?"),
        ("aggregate_bytes_max = 100", "at least 1024 bytes"),
        ("aggregate_bytes_max = 2000000", "at most record_bytes_max"),
        ("record_bytes_max = 20000000", "from 1024 to 10485760"),
        ("call_bytes_max = 2000", "room for the largest record"),
        ("call_records_max = 501", "from 1 to 500"),
        ("calls_in_flight_max = 0", "from 1 to 512"),
        ("call_timeout_ms = 5000", "\"auto\" or a whole number from 100 to 4000"),
        ("call_linger_ms = 4000", "must be below ack.deadline_ms = 4000"),
        ("compression_level = 3", "has no effect without compression"),
        ("compression = \"gzip\"\ncompression_level = 12", "gzip has levels 0 to 9"),
        ("compression = \"zstd\"\ncompression_level = 0", "zstd 1 to 19"),
        ("expected_records_per_s = 5", "sink.k.expected_record_bytes: is missing"),
        ("[sink.k.credentials]\naccess_key_id = \"x\"", "secret_access_key: is missing"),
    ] {
        let key = line.split(' ').next().unwrap();
        let without = KINESIS.lines().filter(|old| !old.starts_with(key)).collect::<Vec<_>>().join("\n");
        let errors = errors(&format!("{without}\n{line}\n"), &[]);
        assert!(errors.contains(says) && errors.contains("1 error"), "{line}\n{errors}");
    }
}

#[test]
fn the_seeds_variables_make_route_and_sink() {
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_KINESIS_STREAM_NAME", "clicks"),
        ("AWS_MSK_BROKERS", "__NOT_SET__"),
        ("AWS_MSK_TOPIC", "__NOT_SET__"),
        ("AWS_S3_BUCKET", "__NOT_SET__"),
        ("STREAM_ACK_ENABLE", "true"),
        ("SERVER_ENDPOINT_PATH", "/in"),
        ("MILLRUN_SINK__KINESIS__AGGREGATE_BYTES_MAX", "50000"),
    ];
    let settings = settings("", &variables);
    assert_eq!((settings.routes.len(), settings.sinks.len()), (1, 1));
    assert_eq!(
        (settings.routes[0].path.as_str(), settings.routes[0].ack),
        ("/in", Acknowledgement::Delivered)
    );
    let options = options(&settings);
    assert_eq!((options.stream.as_str(), options.region.as_deref()), ("clicks", Some("eu-west-1")));
    assert_eq!(options.aggregate_bytes_max, Some(50_000), "the engine's own variables refine it");
}

#[test]
fn the_seeds_variables_are_checked() {
    for (variables, expected) in [
        (&[("AWS_KINESIS_STREAM_NAME", "s")][..], "AWS_REGION: is missing"),
        (&[("AWS_KINESIS_STREAM_NAME", "s"), ("AWS_REGION", "__NOT_SET__")], "AWS_REGION: is missing"),
        (&[("AWS_KINESIS_STREAM_NAME", "a b"), ("AWS_REGION", "r")], "a stream's name is"),
        (
            &[("AWS_KINESIS_STREAM_NAME", "s"), ("AWS_REGION", "r"), ("AWS_MSK_BROKERS", "b:1")],
            "more than one sink is set: AWS_MSK_BROKERS, AWS_KINESIS_STREAM_NAME",
        ),
    ] {
        let text = errors("", variables);
        assert!(text.contains(expected), "{expected}\n--- in ---\n{text}");
    }
    let text = errors(KINESIS, &[("AWS_KINESIS_STREAM_NAME", "s"), ("AWS_REGION", "r")]);
    assert!(text.contains("keep one of the two"), "{text}");
}
