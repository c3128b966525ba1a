//! Services that fail, stall, lie about credentials, or are not there.

use std::time::Duration;

use millrun_sinks::kinesis::{Rate, check};
use millrun_sinks::{Fate, FaultKind, Health, Retry, Sink, Whose};
use support::kinesis_proxy::{Behaviour, KinesisProxy, Trouble};
use support::port::ReservedPort;

use super::lane::Lane;
use super::{consumer, options, shared_server};

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn through_every_kind_of_trouble_nothing_confirmed_is_lost() {
    let server = shared_server();
    server.create_stream("troubled", 2);
    let troubles = vec![
        Trouble::Error { status: 500, code: "InternalFailure" },
        Trouble::Cut,
        Trouble::StoredUnanswered,
        Trouble::Error { status: 503, code: "ServiceUnavailable" },
        Trouble::Stall(Duration::from_secs(3)),
        Trouble::Error { status: 400, code: "ExpiredTokenException" },
        Trouble::Error { status: 400, code: "KMSThrottlingException" },
        Trouble::Error { status: 400, code: "LimitExceededException" },
    ];
    let many = troubles.len();
    let proxy = KinesisProxy::start(server.address(), Behaviour { troubles, ..Behaviour::default() });
    let mut options = options(proxy.endpoint(), "troubled");
    options.call_timeout = Duration::from_secs(1);
    options.calls_in_flight_max = 2;
    let mut lane = Lane::open(&options);
    lane.submit_numbered(0..300, |_| String::new());
    lane.settle_all();
    assert_eq!(proxy.counts().troubled, many);
    assert_eq!(lane.faults().next(), None);
    assert_eq!(lane.delivered(), 300);
    assert_eq!(lane.sink.health(), Health::Up);
    let stored = consumer::values(server, "troubled");
    assert!(stored.len() > 300, "what was stored without an answer is there twice");
    lane.compare(&stored);
}

#[test]
fn what_may_be_stored_is_said_to_be() {
    let server = shared_server();
    server.create_stream("doubtful", 1);
    for (trouble, kind, fate) in [
        (Trouble::StoredUnanswered, FaultKind::Unreachable, Fate::Unknown),
        (Trouble::Stall(Duration::from_secs(3)), FaultKind::TimedOut, Fate::Unknown),
        (Trouble::Error { status: 500, code: "" }, FaultKind::StorageFailed, Fate::Unknown),
        (
            Trouble::Error { status: 400, code: "AccessDeniedException" },
            FaultKind::Unauthorized,
            Fate::NotStored,
        ),
        (
            Trouble::Error { status: 400, code: "KMSDisabledException" },
            FaultKind::StorageFailed,
            Fate::NotStored,
        ),
    ] {
        let proxy = KinesisProxy::start(
            server.address(),
            Behaviour { outage: Some(trouble.clone()), ..Behaviour::default() },
        );
        let mut options = options(proxy.endpoint(), "doubtful");
        options.call_timeout = Duration::from_secs(1);
        let mut lane = Lane::open(&options);
        lane.tries_again = false;
        lane.submit(&[(b"", format!("{trouble:?}").as_bytes())]);
        lane.settle_all();
        let fault = lane.faults().next().unwrap();
        assert_eq!((fault.kind, fault.fate, fault.retry), (kind, fate, Retry::Yes), "{trouble:?}");
        let down = matches!(lane.sink.health(), Health::Down(_));
        assert_eq!(down, fault.whose == Whose::Operator, "{trouble:?}: one call in doubt is no outage");
    }
    assert_eq!(consumer::values(server, "doubtful").len(), 1, "the one that was stored without an answer");
}

#[test]
fn expired_credentials_are_the_operators_and_pass_when_they_are_renewed() {
    let server = shared_server();
    server.create_stream("expired", 1);
    let outage = Some(Trouble::Error { status: 400, code: "ExpiredTokenException" });
    let proxy = KinesisProxy::start(server.address(), Behaviour { outage, ..Behaviour::default() });
    let mut lane = Lane::open(&options(proxy.endpoint(), "expired"));
    lane.tries_again = false;
    lane.submit(&[(b"", b"too late")]);
    lane.settle_all();
    let fault = lane.faults().next().unwrap();
    let expected = (FaultKind::Unauthenticated, Whose::Operator, Retry::Yes, Fate::NotStored);
    assert_eq!((fault.kind, fault.whose, fault.retry, fault.fate), expected);
    let Health::Down(text) = lane.sink.health() else { panic!("{:?}", lane.sink.health()) };
    assert!(text.contains("credentials") && text.contains("ExpiredTokenException"), "{text}");
    proxy.change(|behaviour| behaviour.outage = None);
    lane.submit(&[(b"", b"renewed")]);
    lane.settle_all();
    assert_eq!((lane.delivered(), lane.sink.health()), (1, Health::Up));
    lane.compare(&consumer::values(server, "expired"));
}

#[test]
fn a_stream_that_does_not_exist_is_told_from_a_server_that_does_not() {
    let server = shared_server();
    let mut lane = Lane::open(&options(server.endpoint(), "missing"));
    lane.tries_again = false;
    lane.submit(&[(b"", b"nowhere to go")]);
    lane.settle_all();
    let fault = lane.faults().next().unwrap();
    assert_eq!((fault.kind, fault.whose), (FaultKind::DestinationMissing, Whose::Operator));
    let Health::Down(text) = lane.sink.health() else { panic!("{:?}", lane.sink.health()) };
    assert!(text.contains("stream missing does not exist"), "{text}");
    // Its appearance is noticed by itself.
    server.create_stream("missing", 1);
    lane.submit(&[(b"", b"it is there now")]);
    lane.settle_all();
    assert_eq!(lane.delivered(), 1);

    let port = ReservedPort::take();
    let mut lane = Lane::open(&options(format!("http://{}", port.address), "missing"));
    lane.tries_again = false;
    lane.submit(&[(b"", b"nobody there")]);
    lane.settle_all();
    let fault = lane.faults().next().unwrap();
    assert_eq!((fault.kind, fault.fate), (FaultKind::Unreachable, Fate::NotStored));
}

#[test]
fn check_describes_the_stream_and_compares_its_capacity() {
    let server = shared_server();
    server.create_stream("checked", 3);
    let mut options = options(server.endpoint(), "checked");
    options.expected = Some(Rate { records_per_s: 10_000.0, record_bytes: 500.0 });
    let lines = check(&options, TIMEOUT).unwrap();
    assert!(lines[0].contains("ACTIVE, PROVISIONED, 3 open shards"), "{lines:?}");
    assert!(lines.last().unwrap().contains("10 shards: NOT ENOUGH"), "{lines:?}");
    options.stream = "unheard-of".to_owned();
    assert_eq!(check(&options, TIMEOUT).unwrap_err().kind, FaultKind::DestinationMissing);
    options.stream = "not a name".to_owned();
    assert_eq!(check(&options, TIMEOUT).unwrap_err().kind, FaultKind::Internal);
    let port = ReservedPort::take();
    options = super::options(format!("http://{}", port.address), "checked");
    assert_eq!(check(&options, TIMEOUT).unwrap_err().kind, FaultKind::Unreachable);
}
