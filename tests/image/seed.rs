//! In place of the replaced system's two containers: their variables, all of them, and nothing else.

use std::fs;
use std::time::Duration;

use support::kafka::{KafkaOptions, KafkaServer};
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::{PATIENCE, poll_until};
use support::port::ReservedPort;
use support::record::{Record, record_of};
use support::request::Request;

use super::container::{Container, Options, STATE, Seccomp};

const ORIGIN: &str = "https://shop.example.com";

/// What the replaced stacks set for the proxy and for the worker, without a sink.
fn variables(options: Options) -> Options {
    [
        ("SERVER_ENDPOINT_PATH", "/events"),
        ("PING_ENDPOINT_PATH", "/ping"),
        ("SERVER_CORS_ORIGIN", r"https://shop\.example\.com"),
        ("NGINX_WORKER_CONNECTIONS", "1024"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_MSK_BROKERS", "__NOT_SET__"),
        ("AWS_MSK_TOPIC", "__NOT_SET__"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("AWS_S3_BUCKET", "__NOT_SET__"),
        ("AWS_S3_PREFIX", "__NOT_SET__"),
        ("S3_BATCH_MAX_BYTES", "30000000"),
        ("S3_BATCH_TIMEOUT_SECS", "300"),
        ("DEV_MODE", "No"),
        ("STREAM_ACK_ENABLE", "true"),
        ("WORKER_THREADS_NUM", "6"),
        ("VECTOR_REQUIRE_HEALTHY", "false"),
    ]
    .into_iter()
    .fold(options, |options, (name, value)| options.environment(name, value))
}

fn to_kafka(seccomp: Seccomp, brokers: &str, topic: &str) -> Options {
    variables(Options::plain())
        .environment("AWS_MSK_BROKERS", brokers)
        .environment("AWS_MSK_TOPIC", topic)
        .environment("MILLRUN_SERVER__DRAIN_DELAY_MS", "500")
        .profile(seccomp)
}

fn records(broker: &KafkaServer, topic: &str) -> Vec<Record> {
    let parse = |value: Vec<u8>| Record::parse(std::str::from_utf8(&value).unwrap()).unwrap();
    broker.records(topic).into_iter().map(|record| parse(record.value)).collect()
}

/// A load that is under way when the container is told to stop.
fn a_load_through_a_stop_reaches_the_topic(broker: &KafkaServer, seccomp: Seccomp, driver: &str) {
    let topic = format!("load-{driver}");
    broker.create_topic(&topic, 2, &[]);
    let container = Container::start(&to_kafka(seccomp, &broker.brokers(), &topic));
    assert_eq!(container.logged("driver chosen")["driver"], driver);
    let load = LoadOptions {
        target: "/events?appId=load&platform=Web".to_owned(),
        connections: 16,
        refused_pause: Duration::from_millis(25),
        ..LoadOptions::default()
    };
    let load = Load::start(container.address(), load);
    poll_until("the load to run", PATIENCE, || (load.stored() >= 500).then_some(()));
    let code = container.stop();
    let ledger = load.stop();
    println!("{driver}: {}", ledger.summary());
    assert_eq!(code, 0, "{}", container.log());
    let records = records(broker, &topic);
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    verdict.assert_truthful();
    verdict.assert_whole();
    assert!(verdict.duplicates.is_empty() && verdict.stored_unanswered.is_empty(), "{verdict:?}");
}

fn the_endpoint_is_the_replaced_one(broker: &KafkaServer) {
    broker.create_topic("seed", 1, &[]);
    let container = Container::start(&to_kafka(Seccomp::Ours, &broker.brokers(), "seed"));
    let ping = container.exchange(&Request::get("/ping"));
    assert!(ping.status == 200 && ping.text().starts_with("{\"timestamp\": "), "{ping:?}");
    let health = container.exchange(&Request::get("/health"));
    assert_eq!((health.status, health.text()), (200, "{\"ok\":true}"));
    assert_eq!(container.exchange(&Request::post("/collect", "no such path")).status, 404);
    let post = Request::post("/events?appId=a&platform=Web", "[{\"event_type\":\"first\"}]");
    let response = container.exchange(&post.header("Origin", ORIGIN));
    assert_eq!((response.status, response.text()), (200, ""));
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some(ORIGIN));
    // Answered: it is there by now.
    let records = records(broker, "seed");
    assert_eq!(records.len(), 1);
    let record = record_of(&records, &response);
    assert_eq!(
        (record.data(), record.text("appId"), record.text("path")),
        ("[{\"event_type\":\"first\"}]", Some("a"), Some("/events"))
    );
}

/// The authorities' file of the image is where OpenSSL looks: replaced by one that holds the broker's, that is trusted,
/// and as it is, it is not.
fn tls_trusts_the_images_authorities(broker: &KafkaServer) {
    broker.create_topic("tls", 1, &[]);
    let options = to_kafka(Seccomp::Default, &broker.tls_brokers(), "tls")
        .environment("MILLRUN_SINK__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "ssl")
        .environment("MILLRUN_ACK__DEADLINE_MS", "3000");
    let stranger = Container::start(&options);
    assert_eq!(stranger.exchange(&Request::post("/events?appId=a", "for nobody")).status, 503);
    drop(stranger);
    let trusting = options.file(&broker.ca_file(), "/etc/ssl/certs/ca-certificates.crt");
    let container = Container::start(&trusting);
    assert_eq!(container.exchange(&Request::post("/events?appId=a", "encrypted")).status, 200);
    let data: Vec<_> = records(broker, "tls").iter().map(|record| record.data().to_owned()).collect();
    assert_eq!(data, ["encrypted"]);
}

/// One broker for all of them: it takes longer to start than they take.
#[test]
fn to_kafka_by_the_replaced_variables() {
    let options = KafkaOptions { auto_create_topics: false, secure: true, ..KafkaOptions::default() };
    let broker = KafkaServer::start_with(&options);
    the_endpoint_is_the_replaced_one(&broker);
    a_load_through_a_stop_reaches_the_topic(&broker, Seccomp::Ours, "io_uring");
    a_load_through_a_stop_reaches_the_topic(&broker, Seccomp::Default, "epoll");
    tls_trusts_the_images_authorities(&broker);
}

/// S3 is answered from the journal, which is on the volume: with no S3 in reach that is all that has to work.
#[test]
fn to_s3_by_the_replaced_variables_and_through_the_journal() {
    let (state, nobody) = (tempfile::tempdir().unwrap(), ReservedPort::take());
    let options = variables(Options::plain())
        .profile(Seccomp::Ours)
        .environment("AWS_S3_BUCKET", "events")
        .environment("AWS_S3_PREFIX", "app/data/buffer/")
        .environment("AWS_ENDPOINT_URL_S3", &format!("http://{}", nobody.address))
        .environment("AWS_ACCESS_KEY_ID", "of-a-test")
        .environment("AWS_SECRET_ACCESS_KEY", "of-a-test")
        .environment("MILLRUN_SERVER__DRAIN_DELAY_MS", "0")
        .state(state.path());
    let container = Container::start(&options);
    let response = container.exchange(&Request::post("/events?appId=a", "journaled"));
    assert_eq!((response.status, response.text()), (200, ""));
    assert_eq!(container.stop(), 0, "what is journaled waits for the next start");
    drop(container);
    assert!(fs::read_dir(state.path().join("journal")).unwrap().count() > 0);
    // The image's own commands read it.
    let export =
        Options::plain().state(state.path()).command(&["journal", "export", &format!("{STATE}/journal")]);
    let output = Container::run(&export);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"data\":\"journaled\""), "{text}");
}
