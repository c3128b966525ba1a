//! The configuration as its users meet it.

use super::*;

fn sources(file: &str, environment: &[(&str, &str)]) -> Sources {
    Sources {
        file: (!file.is_empty()).then(|| ("m.toml".to_owned(), file.to_owned())),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn settings(file: &str, environment: &[(&str, &str)]) -> Settings {
    load(&sources(file, environment)).unwrap_or_else(|errors| panic!("{errors}")).settings
}

fn errors(file: &str, environment: &[(&str, &str)]) -> String {
    match load(&sources(file, environment)) {
        Ok(_) => panic!("this must not load: {file}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn nothing_at_all_is_the_embedded_default() {
    let settings = settings("", &[]);
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8088");
    assert_eq!(settings.admin.listen.unwrap().to_string(), "127.0.0.1:8686");
    assert_eq!(settings.server.shards, None);
    assert_eq!((settings.routes.len(), settings.sinks.len()), (1, 1));
    assert_eq!(settings.routes[0].path, "/collect");
    let SinkKind::File(options) = &settings.sinks[0].kind else { panic!("{settings:?}") };
    assert_eq!(options.dir.to_str(), Some("./data"));
    assert_eq!(options.compression, millrun_sinks::file::Compression::None);
}

#[test]
fn the_whole_reference_is_a_valid_file() {
    let loaded = load(&sources(REFERENCE, &[])).unwrap();
    assert_eq!(loaded.settings, settings("", &[]));
    assert!(loaded.warnings.is_empty());
}

#[test]
fn the_effective_configuration_loads_to_the_same_settings() {
    let file = r#"
        [cors]
        origins = ["https://*.example.com", "http://localhost:3000"]
        [route.a]
        path = "/a"
        sink = "events"
        ack = "accepted"
        [sink.events]
        kind = "kafka"
        brokers = "b:9092"
        topic = "t"
        key = "appId"
        [sink.events.properties]
        "socket.timeout.ms" = "10000"
    "#;
    let first = load(&sources(file, &[])).unwrap();
    let second = load(&sources(&first.effective, &[]))
        .unwrap_or_else(|errors| panic!("{errors}\n{}", first.effective));
    assert_eq!(first.settings, second.settings);
}

#[test]
fn every_error_is_reported_at_once_with_its_place_and_the_way_out() {
    let text = errors(
        "[server]\nlisten = \"localhost\"\nshard = 3\ndriver = \"uring\"\n\n[limits]\nheaders_max = 1000\n\n[serverr]\nx = 1\n",
        &[("MILLRUN_ACK__DEADLINE_MS", "soon"), ("MILLRUN_LIMITS", "1")],
    );
    for expected in [
        "m.toml:2: server.listen = \"localhost\": must be an IP address",
        "m.toml:3: server.shard: unknown key, did you mean \"shards\"?",
        "m.toml:4: server.driver = \"uring\": must be one of \"auto\", \"io_uring\", \"epoll\"",
        "m.toml:7: limits.headers_max = 1000: must be a whole number from 1 to 128",
        "m.toml:10: serverr.x: unknown section [serverr], did you mean \"server\"?",
        "environment variable MILLRUN_ACK__DEADLINE_MS: ack.deadline_ms = \"soon\": must be a whole number from 100 to 60000",
        "environment variable MILLRUN_LIMITS: is no key",
        "7 errors in the configuration",
    ] {
        assert!(text.contains(expected), "{expected}\n--- in ---\n{text}");
    }
}

#[test]
fn syntax_errors_name_the_line() {
    assert!(errors("[server]\nlisten = \n", &[]).contains("m.toml:2: not TOML"));
}

#[test]
fn rules_between_sections() {
    for (file, expected) in [
        ("[route.a]\npath = \"/a\"\nsink = \"nope\"\n", "there is no [sink.nope]"),
        (
            "[route.a]\npath = \"/a\"\nsink = \"local\"\n[route.b]\npath = \"/a\"\nsink = \"local\"\n",
            "is the path of route.a already",
        ),
        ("[route.collect]\npath = \"/health\"\n", "is taken"),
        ("[route.collect]\npath = \"collect\"\n", "must begin with /"),
        ("[route.collect]\nack = \"journal\"\n", "did you mean \"journaled\""),
        (
            "[route.collect]\nack = \"journaled\"\n[journal]\nbytes_max = 1048576\n",
            "2 segments of 67108864 and what keeps account of them are 1343",
        ),
        ("[sink.local]\nkind = \"file\"\noutage = \"fallback\"\n", "sink.local.fallback: is missing"),
        ("[sink.local]\nkind = \"file\"\nfallback = \"x\"\n", "has no effect without outage"),
        (
            "[sink.local]\nkind = \"file\"\noutage = \"fallback\"\nfallback = \"local\"\n",
            "names the sink itself",
        ),
        (
            "[sink.local]\nkind = \"file\"\noutage = \"fallback\"\nfallback = \"loca\"\n",
            "there is no [sink.loca]",
        ),
        ("[server]\ndrain_delay_ms = 25000\n", "must be below server.drain_deadline_ms"),
        ("[ack]\nretry_initial_ms = 2000\n", "must not be above ack.retry_max_ms"),
        ("[limits]\nbody_memory_bytes = 65536\n", "each of 1 shard(s) needs 2097152"),
        ("[cors]\norigins = [\"example.com\"]\n", "does not begin with http:// or https://"),
        ("[cors]\norigins = \"*\"\n", "must be a list"),
        ("[log]\nlevel = \"a=b=c\"\n", "is no filter"),
        ("[sink.local]\nkind = \"s3\"\n", "is missing: the bucket's name"),
        ("[sink.local]\nkind = \"fiel\"\n", "is no kind of sink"),
        ("[sink.local]\nkind = \"file\"\nbrokers = \"b\"\n", "unknown key"),
        (
            "[sink.k]\nkind = \"kafka\"\n[route.a]\npath = \"/a\"\nsink = \"k\"\n",
            "sink.k.brokers: is missing",
        ),
        (
            "[sink.k]\nkind = \"kafka\"\nbrokers = \"b\"\ntopic = \"a b\"\n[route.a]\npath = \"/a\"\nsink = \"k\"\n",
            "is no topic",
        ),
        (
            "[sink.k]\nkind = \"kafka\"\nbrokers = \"b\"\ntopic = \"t\"\ndelivery_timeout_ms = 5000\n[route.a]\npath = \"/a\"\nsink = \"k\"\n",
            "\"auto\" or a whole number from 100 to 4000",
        ),
        ("[sink.local]\nkind = \"file\"\nkey = \"query:\"\n", "behind query:"),
        ("[sink.local]\nkind = \"file\"\nkey = \"appid\"\n", "did you mean \"appId\"?"),
        ("[[server]]\n", "unknown key"),
    ] {
        let text = errors(file, &[]);
        assert!(text.contains(expected), "{expected}\n--- in ---\n{text}\n--- for ---\n{file}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_finds_named_sections() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n[route.my-route]\npath = \"/a\"\nsink = \"Events\"\n[sink.Events]\nkind = \"null\"\n";
    let settings = settings(
        file,
        &[
            ("MILLRUN_SERVER__LISTEN", "127.0.0.1:2"),
            ("MILLRUN_ROUTE__MY_ROUTE__PATH", "/b"),
            ("MILLRUN_SINK__EVENTS__LINGER_MS", "7"),
            ("MILLRUN_CORS__ORIGINS", "https://a.example.com, https://*.b.example.com"),
            ("MILLRUN_SERVER__DEV_MODE", "true"),
        ],
    );
    assert_eq!(settings.server.listen.port(), 2);
    assert_eq!(settings.routes[0].path, "/b");
    assert_eq!(settings.sinks[0].linger.as_millis(), 7);
    assert_eq!(settings.cors.origins.len(), 2);
    assert!(settings.server.dev_mode);
}

#[test]
fn the_links_of_a_kubernetes_service_are_no_keys_of_ours() {
    let links = [
        ("MILLRUN_SERVICE_HOST", "10.0.0.1"),
        ("MILLRUN_PORT", "tcp://10.0.0.1:80"),
        ("MILLRUN_PORT_8088_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(settings("", &links), settings("", &[]));
}

#[test]
fn secrets_are_never_shown() {
    let file = "[route.a]\npath = \"/a\"\nsink = \"k\"\n[sink.k]\nkind = \"kafka\"\nbrokers = \"b\"\ntopic = \"t\"\n\
                [sink.k.sasl]\nmechanism = \"PLAIN\"\nusername = \"u\"\npassword = \"hunter2\"\n\
                [sink.k.properties]\n\"ssl.key.password\" = \"hunter2\"\n";
    let loaded = load(&sources(file, &[])).unwrap();
    assert!(
        !loaded.effective.contains("hunter2") && loaded.effective.contains("(hidden)"),
        "{}",
        loaded.effective
    );
    let wrong = file.replace("password = \"hunter2\"\n[", "password = 12345\n[");
    let text = errors(&wrong, &[]);
    assert!(text.contains("password = (hidden)") && !text.contains("12345"), "{text}");
}

#[test]
fn a_sink_that_nothing_uses_is_a_warning() {
    let loaded =
        load(&sources("[sink.spare]\nkind = \"null\"\n[sink.local]\nkind = \"file\"\n", &[])).unwrap();
    assert_eq!(loaded.settings.sinks.len(), 1);
    assert!(loaded.warnings[0].contains("sink.spare"));
}

#[test]
fn the_seed_systems_variables_make_route_and_sink() {
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_MSK_BROKERS", "b-1:9092,b-2:9092"),
        ("AWS_MSK_TOPIC", "clicks"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("AWS_S3_BUCKET", ""),
        ("STREAM_ACK_ENABLE", "false"),
        ("WORKER_THREADS_NUM", "3"),
        ("SERVER_ENDPOINT_PATH", "/in"),
        ("PING_ENDPOINT_PATH", "/alive"),
        ("SERVER_CORS_ORIGIN", r"https://a\.example\.com|https://.*\.example\.org"),
        ("DEV_MODE", "Yes"),
    ];
    let settings = settings("", &variables);
    assert_eq!(settings.server.shards, Some(3));
    assert_eq!(settings.server.ping_path, "/alive");
    assert!(settings.server.dev_mode);
    assert_eq!(settings.routes.len(), 1);
    assert_eq!(
        (settings.routes[0].path.as_str(), settings.routes[0].ack),
        ("/in", Acknowledgement::Accepted)
    );
    assert_eq!(settings.cors.origins.len(), 2);
    let SinkKind::Kafka(options) = &settings.sinks[0].kind else { panic!("{settings:?}") };
    assert_eq!((options.brokers.as_str(), options.topic.as_str()), ("b-1:9092,b-2:9092", "clicks"));
}

#[test]
fn the_seed_systems_variables_are_checked() {
    for (variables, expected) in [
        (
            &[("AWS_MSK_BROKERS", "b:1"), ("AWS_MSK_TOPIC", "t"), ("AWS_S3_BUCKET", "x")][..],
            "more than one sink is set: AWS_MSK_BROKERS, AWS_S3_BUCKET",
        ),
        (&[("AWS_MSK_BROKERS", "b:1")], "AWS_MSK_TOPIC: is missing"),
        (&[("AWS_MSK_TOPIC", "t")], "needs AWS_MSK_BROKERS"),
        (&[("DEV_MODE", "maybe")], "must be one of Yes, No"),
        (&[("STREAM_ACK_ENABLE", "maybe")], "must be one of true, false"),
        (&[("SERVER_CORS_ORIGIN", "(")], "does not begin with http"),
    ] {
        let text = errors("", variables);
        assert!(text.contains(expected), "{expected}\n--- in ---\n{text}");
    }
    let file = "[route.a]\npath = \"/a\"\nsink = \"n\"\n[sink.n]\nkind = \"null\"\n";
    let text = errors(file, &[("AWS_MSK_BROKERS", "b:1"), ("AWS_MSK_TOPIC", "t")]);
    assert!(text.contains("keep one of the two"), "{text}");
}

const KAFKA: &str = "[sink.k]\nkind = \"kafka\"\nbrokers = \"b:9092\"\ntopic = \"t\"\n";

#[test]
fn check_refuses_what_opening_the_sinks_would() {
    for (file, says) in [
        (format!("{KAFKA}[sink.k.properties]\nacks = \"1\"\n"), "acks"),
        (format!("{KAFKA}[sink.k.properties]\n\"message.timeout.ms\" = \"5\"\n"), "delivery_timeout"),
        (format!("{KAFKA}[sink.k.properties]\n\"enable.idempotence\" = \"false\"\n"), "enable.idempotence"),
        (KAFKA.replace("b:9092", "a:9092;b"), "host:port"),
        (KAFKA.replace("\"t\"", "\"a topic\""), "is no topic"),
    ] {
        let errors = errors(&file, &[]);
        assert!(errors.contains(says), "{file}\n{errors}");
        assert!(errors.contains("m.toml:"), "it has a line: {errors}");
    }
}

#[test]
fn a_route_takes_the_only_sink() {
    let settings = settings(KAFKA, &[]);
    assert!(matches!(settings.sinks[0].kind, SinkKind::Kafka(_)));
    assert_eq!((settings.routes[0].path.as_str(), settings.sinks.len()), ("/collect", 1));
    let two = errors(&format!("{KAFKA}{}", KAFKA.replace("[sink.k]", "[sink.l]")), &[]);
    assert!(two.contains("there are: k, l"), "{two}");
}

#[test]
fn an_embedded_name_with_another_kind_is_another_sink() {
    let settings = settings(&KAFKA.replace("[sink.k]", "[sink.local]"), &[]);
    assert!(matches!(settings.sinks[0].kind, SinkKind::Kafka(_)));
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (file, says) in [
        ("[server]\nping_path = \"/health\"\n", "is taken"),
        ("[admin]\nlisten = \"127.0.0.1:8088\"\n", "server.listen"),
        ("[server]\ndrain_delay_ms = 23000\n", "ack.deadline_ms"),
        ("[limits]\nbody_decoded_bytes_max = 65536\n", "limits.body_bytes_max"),
        ("[sink.local]\nlinger_ms = 60000\n", "before their batch is sealed"),
        (
            "[route.a]\npath = \"/a\"\nsink = \"a\"\n[route.b]\npath = \"/b\"\nsink = \"b\"\n[sink.a]\nkind = \"file\"\ndir = \"/x\"\n[sink.b]\nkind = \"file\"\ndir = \"/x\"\n",
            "sink.a already",
        ),
        ("[log]\nlevel = \"inof\"\n", "\"inof\" is no level"),
        ("[route.collect]\npath = \"/a\\\"b\"\n", "RFC 3986"),
    ] {
        let errors = errors(file, &[]);
        assert!(errors.contains(says), "{file}\n{errors}");
    }
    assert_eq!(
        settings("[log]\nlevel = \"warn,millrun::lane=debug\"\n", &[]).log.level,
        "warn,millrun::lane=debug"
    );
}

#[test]
fn a_sink_that_stands_in_is_kept_and_found() {
    let file = "[route.a]\npath = \"/a\"\nsink = \"c\"\n[sink.a]\nkind = \"null\"\n[sink.b]\nkind = \"null\"\n\
                [sink.c]\nkind = \"null\"\noutage = \"fallback\"\nfallback = \"b\"\n";
    let settings = settings(file, &[]);
    let names: Vec<_> = settings.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(settings.sinks[1].outage, Outage::Fallback(0));
    assert_eq!(settings.routes[0].sink, 1);
}

#[test]
fn any_parameter_of_the_query_can_be_the_key() {
    let key = |written: &str| settings(&format!("{KAFKA}key = \"{written}\"\n"), &[]).sinks[0].key.clone();
    assert_eq!(key("query:user id"), RecordKey::Query("user id".into()));
    assert_eq!(key("rid"), RecordKey::Rid);
}

#[cfg(feature = "kinesis")]
mod kinesis;

#[cfg(feature = "s3")]
mod s3;
