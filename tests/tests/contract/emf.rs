//! `metrics.emf`: nothing but lines of CloudWatch's embedded metric format on standard output.

use std::time::Duration;

use serde_json::Value;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(what_was_answered_is_in_the_lines);

/// The lines so far that are in the format.
fn lines(engine: &Engine) -> Vec<Value> {
    let log = engine.log();
    let parsed = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| line.get("_aws").is_some()).collect()
}

fn sum(lines: &[Value], metric: &str) -> f64 {
    lines.iter().filter(|line| line.get("reason").is_none()).filter_map(|line| line[metric].as_f64()).sum()
}

fn what_was_answered_is_in_the_lines(driver: Driver) {
    let options = EngineOptions::new(driver)
        .section("metrics", "emf = true\nnamespace = \"Millrun/test\"\nemf_interval_ms = 1000");
    let mut engine = Engine::start(&options);
    let mut client = engine.connect();
    for _ in 0..20 {
        assert_eq!(client.exchange(&Request::post("/collect?appId=a", "{}")).status, 200);
    }
    assert_eq!(client.exchange(&Request::get("/nowhere")).status, 404);
    poll_until("the requests", Duration::from_secs(20), || {
        (sum(&lines(&engine), "requests") >= 21.0).then_some(())
    });
    drop(client);
    engine.terminate();
    assert_eq!(engine.wait(Duration::from_secs(30)).code(), Some(0));
    let lines = lines(&engine);
    assert_eq!((sum(&lines, "requests"), sum(&lines, "errors")), (21.0, 1.0));
    let reason = lines.iter().find(|line| line["reason"] == "not_found").expect("errors by reason");
    assert_eq!(reason["errors"], 1);
    for line in &lines {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Millrun/test");
        for metric in directive["Metrics"].as_array().unwrap() {
            let target = &line[metric["Name"].as_str().unwrap()];
            assert!(
                target.is_number() || target.as_array().is_some_and(|values| values.len() <= 100),
                "{line}"
            );
        }
    }
    // The last interval may have no shard any more.
    let busy: Vec<f64> = lines.iter().filter_map(|line| line["busy"].as_f64()).collect();
    assert!(!busy.is_empty() && busy.iter().all(|busy| (0.0..=100.0).contains(busy)), "{busy:?}");
    let timed = lines.iter().filter_map(|line| line["request_duration_ms"].as_array());
    assert!(timed.flatten().all(|value| value.as_f64().is_some_and(|ms| ms > 0.0)));
}
