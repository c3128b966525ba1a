//! Apps that a route takes events of, and what changes while the engine serves.

use std::time::Duration;

use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers, poll_until};

on_both_drivers!(
    only_listed_apps_are_recorded,
    sighup_changes_the_apps_and_nothing_else,
    a_wrong_file_changes_nothing,
);

const PATIENCE: Duration = Duration::from_secs(20);

fn options(driver: Driver, apps: &str) -> EngineOptions {
    EngineOptions::new(driver)
        .cors("origins = [\"https://a.example.com\"]")
        .section("route.collect", &format!("path = \"/collect\"\nsink = \"local\"\napp_ids = {apps}"))
}

fn status(engine: &Engine, app: &str) -> u16 {
    engine.exchange(&Request::post(&format!("/collect?appId={app}"), "{}")).status
}

fn only_listed_apps_are_recorded(driver: Driver) {
    let mut engine = Engine::start(&options(driver, "[\"web\", \"phone\"]"));
    let mut client = engine.connect();
    for (target, expected) in [
        ("/collect?appId=web", 200),
        ("/collect?appId=other", 403),
        // On the connection that it left usable.
        ("/collect?appId=%70hone&x=1", 200),
        ("/collect", 403),
        ("/collect?appId=", 403),
    ] {
        assert_eq!(client.exchange(&Request::post(target, "{}")).status, expected, "{target}");
    }
    let origin = "https://a.example.com";
    let refused = client.exchange(&Request::post("/collect?appId=x", "{}").header("Origin", origin));
    assert!(refused.text().contains("\"app_not_allowed\""), "{refused:?}");
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some(origin));
    assert_eq!(client.exchange(&Request::preflight("/collect?appId=x", origin)).status, 204);
    let counted = |reason: &str| -> f64 {
        let has = format!("reason=\"{reason}\"");
        let metrics = engine.metrics();
        let of_reason = |series: &str| series.starts_with("millrun_answers_total{") && series.contains(&has);
        metrics.iter().filter(|(series, _)| of_reason(series)).map(|(_, value)| value).sum()
    };
    poll_until("the count", PATIENCE, || (counted("app_not_allowed") >= 4.0).then_some(()));
    assert_eq!(engine.stop_and_read().len(), 2);
}

fn sighup_changes_the_apps_and_nothing_else(driver: Driver) {
    let engine = Engine::start(&options(driver, "[\"web\"]"));
    assert_eq!((status(&engine, "web"), status(&engine, "phone")), (200, 403));
    let config = engine.own_dir().join("millrun.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    let after = before.replace("[\"web\"]", "[\"phone\"]").replace("shards = 2", "shards = 1");
    assert_ne!(before, after);
    std::fs::write(&config, after).unwrap();
    engine.signal(libc::SIGHUP);
    poll_until("the new app", PATIENCE, || (status(&engine, "phone") == 200).then_some(()));
    poll_until("the old app's end", PATIENCE, || (status(&engine, "web") == 403).then_some(()));
    let shown = engine.admin("/config");
    assert!(shown.text().contains("app_ids = [\"phone\"]"), "{shown:?}");
    assert!(shown.text().contains("shards = 2"), "what waits for a restart is not in force: {shown:?}");
    assert!(engine.log().contains("server.shards"), "it is named: {}", engine.log());
}

fn a_wrong_file_changes_nothing(driver: Driver) {
    let engine = Engine::start(&options(driver, "[\"web\"]"));
    let config = engine.own_dir().join("millrun.toml");
    std::fs::write(&config, "[route.collect]\npath = \"no slash\"\n").unwrap();
    engine.signal(libc::SIGHUP);
    let told = || engine.log().contains("must begin with /").then_some(());
    poll_until("the error", PATIENCE, told);
    assert_eq!((status(&engine, "web"), status(&engine, "phone")), (200, 403));
}
