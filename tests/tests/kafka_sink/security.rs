//! TLS and SASL: what works, and what is told apart when it doesn't.

use std::time::Duration;

use millrun_sinks::kafka::{Options, Sasl, SaslMechanism, Tls, check};
use millrun_sinks::{Fate, FaultKind, Health, Retry, Sink, Whose};
use support::kafka::{PASSWORD, USER};

use super::lane::Lane;
use super::{options, shared_broker};

fn sasl(mechanism: SaslMechanism, password: &str) -> Sasl {
    Sasl::Password { mechanism, username: USER.to_owned(), password: password.to_owned() }
}

fn tls() -> Tls {
    Tls { ca_file: Some(shared_broker().ca_file()), ..Tls::default() }
}

#[test]
fn every_mechanism_delivers_with_and_without_tls() {
    let broker = shared_broker();
    broker.create_topic("secured", 1, &[]);
    let mut expected = Vec::new();
    for (name, brokers, tls, sasl) in [
        ("plain", broker.sasl_brokers(), None, Some(sasl(SaslMechanism::Plain, PASSWORD))),
        ("scram-256", broker.sasl_brokers(), None, Some(sasl(SaslMechanism::ScramSha256, PASSWORD))),
        ("scram-512", broker.sasl_brokers(), None, Some(sasl(SaslMechanism::ScramSha512, PASSWORD))),
        ("tls", broker.tls_brokers(), Some(tls()), None),
        ("tls and plain", broker.sasl_tls_brokers(), Some(tls()), Some(sasl(SaslMechanism::Plain, PASSWORD))),
        (
            "tls and scram",
            broker.sasl_tls_brokers(),
            Some(tls()),
            Some(sasl(SaslMechanism::ScramSha512, PASSWORD)),
        ),
    ] {
        let mut lane = Lane::open(&Options { tls, sasl, ..options(brokers, "secured") });
        lane.submit(&[(b"", name.as_bytes())], None);
        lane.settle_all();
        assert_eq!(lane.account.outcomes[name.as_bytes()], Ok(()), "{name}");
        expected.push(name.as_bytes().to_vec());
    }
    let stored: Vec<_> = broker.records("secured").into_iter().map(|record| record.value).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_wrong_password_is_told_apart() {
    let broker = shared_broker();
    broker.create_topic("locked", 1, &[]);
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256] {
        refused(&Options {
            sasl: Some(sasl(mechanism, "wrong-horse")),
            ..options(broker.sasl_brokers(), "locked")
        });
    }
}

#[test]
fn a_broker_with_a_certificate_of_nobody_we_trust_is_told_apart() {
    let broker = shared_broker();
    // The system's authorities do not know the test's.
    refused(&Options { tls: Some(Tls::default()), ..options(broker.tls_brokers(), "locked") });
}

fn refused(options: &Options) {
    let options = Options { delivery_timeout: Duration::from_secs(2), ..options.clone() };
    let mut lane = Lane::open(&options);
    lane.submit(&[(b"", b"refused")], None);
    lane.settle_all();
    let fault = lane.account.outcomes[&b"refused"[..]].unwrap_err();
    let expected = (FaultKind::Unauthenticated, Whose::Operator, Retry::Client, Fate::NotStored);
    assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    let Health::Down(text) = lane.sink.health() else { panic!("{:?}", lane.sink.health()) };
    assert!(text.contains(&options.brokers), "{text}");
    assert!(!text.contains("wrong-horse"), "{text}");
    let fault = check(&options, Duration::from_secs(20)).unwrap_err();
    assert_eq!((fault.kind, fault.whose), (FaultKind::Unauthenticated, Whose::Operator));
}
