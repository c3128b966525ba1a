//! The admin port: what an operator and an orchestrator ask.

use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(its_paths_answer, metrics_count_what_happened, it_is_not_on_the_data_port,);

fn its_paths_answer(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    for path in ["/health", "/ready", "/metrics", "/sinks", "/config"] {
        assert_eq!(engine.admin(path).status, 200, "{path}");
    }
    assert_eq!(engine.admin("/elsewhere").status, 404);
    assert!(engine.admin("/sinks").text().contains("files"), "each sink by its name");
    let config = engine.admin("/config").text().to_owned();
    assert!(config.contains(&engine.address().to_string()), "what is in force: {config}");
}

fn metrics_count_what_happened(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    let sum = |needle: &str| -> f64 {
        let metrics = engine.metrics();
        metrics.iter().filter(|(series, _)| series.contains(needle)).map(|(_, value)| value).sum()
    };
    assert!(!engine.metrics().is_empty());
    let mut client = engine.connect();
    for _ in 0..20 {
        assert_eq!(client.exchange(&Request::post("/collect", "{}")).status, 200);
    }
    for _ in 0..7 {
        assert_eq!(client.exchange(&Request::post("/elsewhere", "{}")).status, 404);
    }
    // Published by the shards from time to time, hence polled for.
    support::poll_until("the counters to say 20 and 7", support::poll::PATIENCE, || {
        (sum("status=\"200\"") >= 20.0 && sum("status=\"404\"") >= 7.0 && sum("\"not_found\"") >= 7.0)
            .then_some(())
    });
}

fn it_is_not_on_the_data_port(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver));
    for path in ["/metrics", "/ready", "/sinks", "/config", "/"] {
        assert_eq!(engine.exchange(&Request::get(path)).status, 404, "{path}");
    }
}
