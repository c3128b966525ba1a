use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::Wake;

fn options() -> Options {
    Options {
        brokers: "127.0.0.1:9092".to_owned(),
        topic: "events".to_owned(),
        compression: Compression::Lz4,
        delivery_timeout: Duration::from_secs(5),
        record_bytes_max: 1_000_000,
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
    }
}

fn value<'a>(all: &'a [Property], key: &str) -> Option<&'a str> {
    all.iter().rev().find(|property| property.key == key).map(|property| property.value.as_str())
}

fn error(change: impl FnOnce(&mut Options)) -> OpenError {
    let mut options = options();
    change(&mut options);
    match super::super::open(&options, Wake::new(|| {})) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

fn with(key: &str, value: &str) -> impl FnOnce(&mut Options) {
    let (key, value) = (key.to_owned(), value.to_owned());
    move |options| {
        options.properties.insert(key, value);
    }
}

#[test]
fn librdkafka_takes_what_every_combination_makes() {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mechanisms = [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];
    let sasl = mechanisms.map(|mechanism| {
        Some(Sasl::Password { mechanism, username: "u".to_owned(), password: "p".to_owned() })
    });
    let iam = cfg!(feature = "msk-iam").then(|| Sasl::AwsMskIam { region: Some("eu-west-1".to_owned()) });
    for (compression, sasl) in codecs.into_iter().zip(sasl.into_iter().chain([iam, None])) {
        for tls in [None, Some(Tls::default())] {
            let options = Options { compression, sasl: sasl.clone(), tls, ..options() };
            super::super::open(&options, Wake::new(|| {})).unwrap();
        }
    }
}

#[test]
fn the_promise_and_the_bounds_are_set() {
    let all = properties(&options()).unwrap();
    for (key, expected) in [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("compression.codec", "lz4"),
        ("message.max.bytes", "1000512"),
        ("delivery.timeout.ms", "5000"),
        ("request.timeout.ms", "5000"),
        ("security.protocol", "plaintext"),
        ("queue.buffering.max.messages", "100000"),
        ("queue.buffering.max.kbytes", "250128"),
    ] {
        assert_eq!(value(&all, key), Some(expected), "{key}");
    }
}

#[test]
fn retries_end_before_the_time_is_up() {
    assert_eq!(retries(5_000), 9);
    assert_eq!(retries(1), 3);
    for timeout_ms in [2_000, 5_000, 10_000, 30_000, 300_000] {
        let pauses = (0..retries(timeout_ms)).map(|n| (100 << n.min(3)).min(500)).sum::<u128>();
        // With librdkafka's jitter of 20 %.
        assert!(pauses * 12 / 10 <= timeout_ms, "{timeout_ms}");
        assert!(pauses * 2 >= timeout_ms, "{timeout_ms}");
    }
}

#[test]
fn security_follows_from_tls_and_sasl() {
    let sasl = Sasl::Password {
        mechanism: SaslMechanism::ScramSha512,
        username: "u".to_owned(),
        password: "p".to_owned(),
    };
    let both = Options { tls: Some(Tls::default()), sasl: Some(sasl.clone()), ..options() };
    let all = properties(&both).unwrap();
    assert_eq!(value(&all, "security.protocol"), Some("sasl_ssl"));
    assert_eq!(value(&all, "sasl.mechanism"), Some("SCRAM-SHA-512"));
    assert_eq!(value(&all, "sasl.password"), Some("p"));
    let only_tls = properties(&Options { sasl: None, ..both.clone() }).unwrap();
    assert_eq!(value(&only_tls, "security.protocol"), Some("ssl"));
    let only_sasl = properties(&Options { tls: None, ..both }).unwrap();
    assert_eq!(value(&only_sasl, "security.protocol"), Some("sasl_plaintext"));
}

#[test]
fn raw_properties_come_last() {
    let mut options = options();
    options.properties.insert("linger.ms".to_owned(), "7".to_owned());
    options.properties.insert("acks".to_owned(), "-1".to_owned());
    let all = properties(&options).unwrap();
    assert_eq!(value(&all, "linger.ms"), Some("7"));
    super::super::open(&options, Wake::new(|| {})).unwrap();
}

#[test]
fn what_would_break_the_promise_is_refused() {
    for (key, bad) in [
        ("acks", "1"),
        ("request.required.acks", "0"),
        ("delivery.report.only.error", "true"),
        ("delivery.timeout.ms", "0"),
        ("message.timeout.ms", "1"),
        ("message.max.bytes", "2000000"),
        ("bootstrap.servers", "other:9092"),
        ("transactional.id", "t"),
        ("enable.gapless.guarantee", "true"),
        ("log.queue", "false"),
        ("enabled_events", "0"),
    ] {
        let error = error(with(key, bad));
        assert_eq!((error.key, error.value.as_str()), (format!("properties.{key}"), bad));
    }
}

#[test]
fn librdkafkas_own_refusals_keep_their_text() {
    let unknown = error(with("linger.msec", "5"));
    assert_eq!(unknown.key, "properties.linger.msec");
    assert!(unknown.problem.contains("No such configuration property"), "{unknown}");
    let range = error(with("linger.ms", "-5"));
    assert_eq!((range.key.as_str(), range.value.as_str()), ("properties.linger.ms", "-5"));
    let together = error(with("max.in.flight", "100"));
    assert!(
        together.key.starts_with("properties.max.in.flight") || together.problem.contains("max.in.flight"),
        "{together}"
    );
    let late = error(with("linger.ms", "6000"));
    assert!(late.problem.contains("linger.ms"), "{late}");
}

#[test]
fn options_that_cannot_work_are_named() {
    assert_eq!(error(|o| o.brokers = String::new()).key, "brokers");
    assert_eq!(error(|o| o.brokers = "a:9092,b:none".to_owned()).key, "brokers");
    assert_eq!(error(|o| o.brokers = "a:0".to_owned()).key, "brokers");
    assert_eq!(error(|o| o.topic = "no spaces".to_owned()).key, "topic");
    assert_eq!(error(|o| o.topic = "t".repeat(250)).key, "topic");
    assert_eq!(error(|o| o.delivery_timeout = Duration::ZERO).key, "delivery_timeout");
    assert_eq!(error(|o| o.record_bytes_max = 0).key, "record_bytes_max");
    assert_eq!(error(|o| o.record_bytes_max = 1_000_000_000).key, "record_bytes_max");
    let missing = |o: &mut Options| {
        o.tls = Some(Tls { ca_file: Some("/nowhere/ca.pem".into()), ..Tls::default() });
    };
    let error_of_missing = error(missing);
    assert_eq!(
        (error_of_missing.key.as_str(), error_of_missing.value.as_str()),
        ("tls.ca_file", "/nowhere/ca.pem")
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a certificate").unwrap();
    let path = file.path().to_path_buf();
    assert_eq!(error(|o| o.tls = Some(Tls { ca_file: Some(path), ..Tls::default() })).key, "tls.ca_file");
    let half = Tls { certificate_file: Some(file.path().to_path_buf()), ..Tls::default() };
    assert_eq!(error(|o| o.tls = Some(half)).key, "tls");
}

#[test]
fn brokers_in_all_shapes() {
    for good in ["a", "a:9092", "10.0.0.1:1", "[::1]:9092", "b-1.x.kafka.us-east-1.amazonaws.com:9098"] {
        assert!(is_broker(good), "{good}");
    }
    for bad in ["", ":9092", "a:", "a:99999", "PLAINTEXT://a:9092", "a b:1"] {
        assert!(!is_broker(bad), "{bad}");
    }
}

#[test]
fn secrets_are_never_printed() {
    let mut options = options();
    let password = "hunter2secret";
    options.sasl = Some(Sasl::Password {
        mechanism: SaslMechanism::Plain,
        username: "u".to_owned(),
        password: password.to_owned(),
    });
    for key in ["ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"]
    {
        options.properties.insert(key.to_owned(), password.to_owned());
    }
    assert!(!format!("{options:?}").contains(password));
    assert!(!format!("{:?}", properties(&options).unwrap()).contains(password));
    let error = super::super::open(&options, Wake::new(|| {})).map(|_| ()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(password), "{error}");
    let zero = Options { sasl: None, ..options };
    let mut zero = Options { properties: BTreeMap::new(), ..zero };
    zero.properties.insert("sasl.password".to_owned(), format!("{password}\0"));
    let error = super::super::open(&zero, Wake::new(|| {})).map(|_| ()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(password), "{error}");
}

#[test]
#[cfg(feature = "msk-iam")]
fn a_bearer_token_never_leaves_without_tls() {
    for tls in [None, Some(Tls::default())] {
        let options = Options { sasl: Some(Sasl::AwsMskIam { region: None }), tls, ..options() };
        let all = properties(&options).unwrap();
        let value =
            |key: &str| all.iter().find(|property| property.key == key).map(|found| found.value.as_str());
        assert_eq!(
            (value("security.protocol"), value("sasl.mechanism")),
            (Some("sasl_ssl"), Some("OAUTHBEARER"))
        );
    }
    let mut options = Options { sasl: Some(Sasl::AwsMskIam { region: None }), ..options() };
    options.properties.insert("security.protocol".to_owned(), "sasl_plaintext".to_owned());
    let error = properties(&options).unwrap_err();
    assert_eq!(error.key, "properties.security.protocol");
    assert!(error.problem.contains("TLS"), "{error}");
}
