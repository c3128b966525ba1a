//! Sign-in by AWS credentials, as Amazon MSK has it. The broker's side is Kafka's own with a validator that makes the
//! signature again by itself; the credentials come as an ECS task gets them.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use support::command::run;
use support::container_credentials::{ContainerCredentials, TaskCredentials};
use support::kafka::{KafkaOptions, KafkaServer};
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

use super::{engine_options, records};

on_both_drivers!(events_arrive_by_the_credentials_of_the_task);

const KEY: &str = "ASIATASK";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn broker(properties: &[(&str, &str)]) -> KafkaServer {
    let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let options = KafkaOptions {
        auto_create_topics: false,
        secure: true,
        iam: true,
        properties,
        ..KafkaOptions::default()
    };
    let broker = KafkaServer::start_with(&options);
    broker.set_iam_keys(&[(KEY, SECRET)]);
    broker
}

fn shared_iam_broker() -> &'static KafkaServer {
    static SHARED: OnceLock<KafkaServer> = OnceLock::new();
    SHARED.get_or_init(|| broker(&[]))
}

fn task(key: &str, secret: &str, lifetime: Duration) -> TaskCredentials {
    TaskCredentials { key: key.to_owned(), secret: secret.to_owned(), lifetime }
}

fn iam_options(
    driver: Driver,
    broker: &KafkaServer,
    topic: &str,
    task: &ContainerCredentials,
) -> EngineOptions {
    engine_options(driver, &broker.sasl_tls_brokers(), topic)
        .section("sink.events.sasl", "mechanism = \"AWS_MSK_IAM\"")
        .section("sink.events.tls", &format!("ca_file = \"{}\"", broker.ca_file().display()))
        .environment("AWS_REGION", "eu-west-1")
        .environment("AWS_EC2_METADATA_DISABLED", "true")
        .environment("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .environment("AWS_CONFIG_FILE", "/dev/null")
        .environment("AWS_CONTAINER_CREDENTIALS_FULL_URI", &task.url())
}

fn post(engine: &Engine, text: &str) -> u16 {
    engine.exchange(&Request::post("/collect?appId=a", text.to_owned())).status
}

fn events_arrive_by_the_credentials_of_the_task(driver: Driver) {
    let broker = shared_iam_broker();
    let topic = format!("iam-{}", driver.name());
    broker.create_topic(&topic, 1, &[]);
    let task = ContainerCredentials::start(task(KEY, SECRET, Duration::from_hours(6)));
    let engine = Engine::start(&iam_options(driver, broker, &topic, &task));
    assert_eq!(post(&engine, "signed"), 200, "{}\n{:?}", engine.log(), broker.iam_refused());
    assert_eq!(records(broker, &topic).len(), 1);
    let sign_in = format!("{KEY} ");
    assert!(
        broker.iam_accepted().iter().any(|line| line.starts_with(&sign_in)),
        "{:?}",
        broker.iam_accepted()
    );
    assert!(!engine.log().contains(SECRET), "{}", engine.log());
}

#[test]
fn a_refused_token_is_named_and_replaced_without_a_restart() {
    let broker = shared_iam_broker();
    broker.create_topic("iam-refused", 1, &[]);
    let task_now = ContainerCredentials::start(task("ASIASTRANGER", SECRET, Duration::from_hours(6)));
    let engine = Engine::start(&iam_options(Driver::Epoll, broker, "iam-refused", &task_now));
    assert_eq!(post(&engine, "refused"), 503);
    let refused = broker.iam_refused();
    assert!(refused.contains(&"unknown key: ASIASTRANGER".to_owned()), "{refused:?}");
    let log = poll_until("the reason is told", PATIENCE, || {
        let log = engine.log();
        log.contains("SASL").then_some(log)
    });
    assert!(log.contains("invalid_token"), "{log}");
    // As a role that is put right: the same endpoint, other keys. The token would have been good for 12 minutes.
    task_now.set(task(KEY, SECRET, Duration::from_hours(6)));
    poll_until("the sink works by itself", PATIENCE, || (post(&engine, "accepted") == 200).then_some(()));
    assert!(records(broker, "iam-refused").iter().all(|record| record.data() == "accepted"));
}

#[test]
fn a_wrong_secret_is_refused_though_the_key_is_known() {
    let broker = shared_iam_broker();
    broker.create_topic("iam-wrong-secret", 1, &[]);
    let task = ContainerCredentials::start(task(KEY, "not/the+secret", Duration::from_hours(6)));
    let engine = Engine::start(&iam_options(Driver::Epoll, broker, "iam-wrong-secret", &task));
    assert_eq!(post(&engine, "refused"), 503);
    assert!(
        broker.iam_refused().iter().any(|line| line.starts_with("signature: ")),
        "{:?}",
        broker.iam_refused()
    );
    assert_eq!(records(broker, "iam-wrong-secret").len(), 0);
}

#[test]
fn tokens_are_renewed_before_they_end() {
    // Who does not sign in again within 3 s is cut off.
    let broker = broker(&[("connections.max.reauth.ms", "3000")]);
    broker.create_topic("iam-renewed", 1, &[]);
    let task = ContainerCredentials::start(task(KEY, SECRET, Duration::from_secs(4)));
    let engine = Engine::start(&iam_options(Driver::Epoll, &broker, "iam-renewed", &task));
    let mut sent = 0;
    poll_until("three tokens were used", PATIENCE, || {
        sent += 1;
        let status = post(&engine, &format!("event {sent}"));
        assert_eq!(status, 200, "{}\n{:?}", engine.log(), broker.iam_refused());
        let tokens: BTreeSet<_> = broker.iam_accepted().into_iter().collect();
        (tokens.len() >= 3).then_some(())
    });
    assert_eq!(broker.iam_refused(), Vec::<String>::new());
    assert!(task.asked() >= 3);
    assert_eq!(records(&broker, "iam-renewed").len(), sent);
}

#[test]
fn check_says_that_there_are_no_credentials_and_what_a_good_sign_in_finds() {
    let broker = shared_iam_broker();
    broker.create_topic("iam-checked", 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("engine.toml");
    let toml = format!(
        "[route.collect]\npath = \"/collect\"\nsink = \"events\"\n\
         [sink.events]\nkind = \"kafka\"\nbrokers = \"{}\"\ntopic = \"iam-checked\"\n\
         [sink.events.sasl]\nmechanism = \"AWS_MSK_IAM\"\nregion = \"eu-west-1\"\n\
         [sink.events.tls]\nca_file = \"{}\"\n",
        broker.sasl_tls_brokers(),
        broker.ca_file().display(),
    );
    std::fs::write(&file, toml).unwrap();
    let check = |environment: &[(&str, &str)]| {
        let nothing = [
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_CONFIG_FILE", "/dev/null"),
        ];
        let environment = [&nothing, environment].concat();
        let output =
            run(&["check", "--connect", "--config", file.to_str().unwrap()], &environment, dir.path());
        println!("{output:?}");
        (output.code(), format!("{}{}", output.stdout, output.stderr))
    };
    let (code, text) = check(&[]);
    assert_eq!(code, 1);
    assert!(text.contains("no AWS credentials") && text.contains("error: sink.events"), "{text}");
    let (code, text) = check(&[("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
    assert_eq!(code, 0);
    assert!(text.contains("topic iam-checked: 2 partitions"), "{text}");
}
