//! `/health` and `/ping` on the data port: what load balancers and clients' clocks ask.

use support::record::fits;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    health_says_that_the_process_lives,
    ping_tells_the_time,
    head_is_answered_like_get_without_a_body,
    neither_is_ever_recorded,
    the_ping_path_is_configurable,
);

fn health_says_that_the_process_lives(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    for request in [Request::get("/health"), Request::get("/health?probe=1")] {
        let response = engine.exchange(&request);
        assert_eq!((response.status, response.text()), (200, r#"{"ok":true}"#));
        assert_eq!(response.header("Content-Type"), Some("application/json"));
    }
}

fn ping_tells_the_time(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let before = now();
    let response = engine.exchange(&Request::get("/ping?appId=app1"));
    let after = now();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), Some("application/json"), "once: the seed sent two");
    // Seconds with exactly three decimals, one blank after the colon.
    assert!(fits(response.text(), r#"{"timestamp": 9999999999.999}"#), "{}", response.text());
    let told: f64 = response.text()[14..28].parse().unwrap();
    assert!((before - 0.002..=after + 0.002).contains(&told), "{before} <= {told} <= {after}");
}

fn head_is_answered_like_get_without_a_body(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for path in ["/health", "/ping"] {
        let get = client.exchange(&Request::get(path));
        let head = client.exchange(&Request::new("HEAD", path));
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("Content-Length"), get.header("Content-Length"), "{path}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{path}");
    }
}

fn neither_is_ever_recorded(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for path in ["/health?appId=a", "/ping?appId=a"] {
        client.exchange(&Request::get(path));
        client.exchange(&Request::post(path, r#"{"event":1}"#));
        assert_eq!(client.exchange(&Request::preflight(path, "https://a.example.com")).status, 204);
    }
    assert_eq!(engine.stop_and_read(), []);
}

fn the_ping_path_is_configurable(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).server(r#"ping_path = "/clock""#));
    assert_eq!(engine.exchange(&Request::get("/clock")).status, 200);
    assert_eq!(engine.exchange(&Request::get("/ping")).status, 404);
}
