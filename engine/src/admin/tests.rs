use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use millrun_sinks::{Delivery, Fate, Fault, FaultKind, Gauge, Health, Retry, Whose};
use serde_json::Value;

use super::{Handle, State, start};
use crate::observe::registry::{Metrics, Shape, SinkName};
use crate::observe::{BreakerState, LaneRecorder, Outcome, Phase, ShardRecorder};

struct Admin {
    handle: Handle,
    state: Arc<State>,
    shard: ShardRecorder,
    lane: LaneRecorder,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }
}

fn admin() -> Admin {
    let metrics = Metrics::new(
        Shape {
            shards: 1,
            routes: vec!["collect".into()],
            sinks: vec![SinkName { name: "main".into(), kind: "kafka" }],
        },
        SystemTime::now(),
    );
    let (shard, lane) = (metrics.shard_recorder(0).unwrap(), metrics.lane_recorder(0).unwrap());
    let config = "[sink.main]\nkind = \"kafka\"\npassword = \"***\"\n".to_owned();
    let state = State::new(
        metrics,
        Arc::default(),
        Arc::new(Mutex::new(config)),
        "http://127.0.0.1:8088/collect".to_owned(),
    );
    let handle = start(SocketAddr::from(([127, 0, 0, 1], 0)), state.clone()).unwrap();
    Admin { handle, state, shard, lane }
}

fn request(address: SocketAddr, method: &str, path: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

impl Admin {
    fn get(&self, path: &str) -> Answer {
        request(self.handle.address(), "GET", path, "")
    }
}

#[test]
fn health_is_about_the_process_only() {
    let admin = admin();
    for phase in [Phase::Starting, Phase::Serving, Phase::Draining] {
        admin.state.phase.advance(phase);
        let answer = admin.get("/health");
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"ok":true}"#));
    }
}

#[test]
fn ready_between_start_and_drain() {
    let admin = admin();
    let check = |status, ready, reason: Option<&str>| {
        let answer = admin.get("/ready");
        assert_eq!(answer.status, status, "{}", answer.body);
        let body = answer.json();
        assert_eq!((body["ready"].as_bool(), body["reason"].as_str()), (Some(ready), reason));
    };
    check(503, false, Some("starting"));
    admin.state.phase.advance(Phase::Serving);
    check(200, true, None);
    admin.state.phase.advance(Phase::Draining);
    check(503, false, Some("draining"));
    admin.state.phase.advance(Phase::Stopped);
    check(503, false, Some("stopped"));
}

#[test]
fn a_sink_outage_is_listed_and_does_not_make_it_unready() {
    let admin = admin();
    admin.state.phase.advance(Phase::Serving);
    assert_eq!(admin.get("/ready").json()["sinks_down"], serde_json::json!([]));
    admin.lane.publish(Health::Down("no broker".into()), |_| {});
    let answer = admin.get("/ready");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["sinks_down"], serde_json::json!(["main"]));
}

#[test]
fn sinks_tell_their_state() {
    let admin = admin();
    let fault = Fault::new(FaultKind::Unreachable, Whose::Sink, Retry::Yes, Fate::NotStored);
    admin.lane.decided(3, &Delivery::All);
    admin.lane.decided(2, &Delivery::None(fault));
    admin.lane.retried(FaultKind::Throttled);
    admin.lane.depth(5, 1);
    admin.lane.breaker(BreakerState::Open);
    admin.lane.publish(Health::Down("no broker answers".into()), |publish| {
        publish(Gauge { name: "kafka_queue_records", help: "Waiting.", value: 12.0, counter: false });
    });
    let body = admin.get("/sinks").json();
    let sink = &body["sinks"][0];
    assert_eq!((sink["name"].as_str(), sink["kind"].as_str()), (Some("main"), Some("kafka")));
    assert_eq!(
        (sink["health"].as_str(), sink["problem"].as_str()),
        (Some("down"), Some("no broker answers"))
    );
    assert_eq!(sink["breaker"], "open");
    assert_eq!((sink["queue_batches"].as_u64(), sink["in_flight_batches"].as_u64()), (Some(5), Some(1)));
    assert_eq!(sink["delivered_records"], 3);
    assert_eq!(sink["failed_records"], serde_json::json!({ "unreachable": 2 }));
    assert_eq!(sink["retries"], serde_json::json!({ "throttled": 1 }));
    assert_eq!(sink["gauges"]["kafka_queue_records"], 12.0);
}

#[test]
fn metrics_in_the_format_that_was_asked_for() {
    let admin = admin();
    admin.shard.answered(Some(0), Outcome::Ok);
    let sample = "millrun_answers_total{route=\"collect\",status=\"200\",reason=\"ok\"} 1\n";
    let plain = admin.get("/metrics");
    assert_eq!(plain.status, 200);
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(plain.body.contains(sample) && plain.body.contains("# TYPE millrun_answers_total counter\n"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n";
    let open = request(admin.handle.address(), "GET", "/metrics", accept);
    assert!(open.head.contains("content-type: application/openmetrics-text"), "{}", open.head);
    assert!(open.body.contains(sample) && open.body.ends_with("# EOF\n"));
}

#[test]
fn the_live_page_is_self_contained_and_its_figures_add_up() {
    let admin = admin();
    let page = admin.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html") && page.head.contains("content-security-policy:"));
    for foreign in ["src=\"http", "href=\"http", "@import", "url(http", "//cdn"] {
        assert!(!page.body.contains(foreign), "the page loads {foreign}");
    }
    admin.state.phase.advance(Phase::Serving);
    admin.shard.answered(Some(0), Outcome::Ok);
    admin.shard.answered(Some(0), Outcome::NoContent);
    admin.shard.request_took(Duration::from_micros(100));
    admin.shard.publish();
    admin.lane.decided(1, &Delivery::All);
    let live = admin.get("/live").json();
    assert_eq!(live["phase"], "serving");
    assert_eq!((live["requests"].as_u64(), live["stored_records"].as_u64()), (Some(2), Some(1)));
    assert_eq!(live["answers"]["ok"], serde_json::json!({ "status": 200, "count": 1 }));
    assert_eq!(live["request_us"], serde_json::json!([[100, 1]]));
    assert_eq!(live["event_url"], "http://127.0.0.1:8088/collect");
}

#[test]
fn the_configuration_is_shown_as_it_was_given() {
    let admin = admin();
    let answer = admin.get("/config");
    assert!(
        answer.head.contains("content-type: text/plain") && answer.head.contains("cache-control: no-store")
    );
    assert_eq!(answer.body, *admin.state.config.lock().unwrap());
    assert!(answer.body.contains("password = \"***\""));
}

#[test]
fn wrong_paths_and_methods_are_told_in_json() {
    let admin = admin();
    let answer = admin.get("/nothing");
    assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("not_found")));
    for path in ["/", "/metrics", "/config"] {
        let answer = request(admin.handle.address(), "POST", path, "Content-Length: 0\r\n");
        assert_eq!((answer.status, answer.json()["error"].as_str()), (405, Some("method_not_allowed")));
        assert!(answer.head.contains("allow: get,head"), "{}", answer.head);
    }
    let head = request(admin.handle.address(), "HEAD", "/ready", "");
    assert_eq!((head.status, head.body.as_str()), (503, ""));
}

#[test]
fn an_address_in_use_is_reported_with_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let admin = admin();
    let error = start(address, admin.state.clone()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("admin.listen = {address}")), "{error}");
}

#[test]
fn stopping_ends_even_a_connection_in_the_middle_of_a_request() {
    let Admin { handle, .. } = admin();
    let mut held = TcpStream::connect(handle.address()).unwrap();
    held.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    held.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n").unwrap();
    handle.stop();
    match held.read(&mut [0; 64]) {
        Ok(read) => assert_eq!(read, 0, "closed without an answer"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}
