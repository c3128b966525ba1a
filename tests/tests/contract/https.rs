//! What came to a load balancer by plain HTTP is sent to HTTPS, with method and body kept (RFC 9110 section 15.4.9).

use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(plain_http_is_sent_to_https, nothing_is_redirected_unless_it_is_asked_for,);

fn from_http(target: &str) -> Request {
    Request::post(target, "{}").header("X-Forwarded-Proto", "http")
}

fn plain_http_is_sent_to_https(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver).server("redirect_to_https = true"));
    let mut client = engine.connect();
    let target = "/collect?appId=a&x=%20y";
    let redirected = client.exchange(&from_http(target));
    assert_eq!(redirected.status, 308);
    let location = format!("https://collector.example{target}");
    assert_eq!(redirected.header("Location"), Some(&*location));
    assert_eq!(redirected.header("X-Request-ID"), None, "nothing is recorded");
    // On the same connection: whatever else is served as ever.
    let by_https = Request::post(target, "{}").header("X-Forwarded-Proto", "https");
    assert_eq!(client.exchange(&by_https).status, 200);
    assert_eq!(client.exchange(&Request::post(target, "{}")).status, 200);
    for path in ["/health", "/ping"] {
        assert_eq!(client.exchange(&Request::get(path).header("X-Forwarded-Proto", "http")).status, 200);
    }
    assert_eq!(client.exchange(&from_http("/other")).status, 404);
    assert_eq!(engine.stop_and_read().len(), 2);
}

fn nothing_is_redirected_unless_it_is_asked_for(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    assert_eq!(engine.exchange(&from_http("/collect")).status, 200);
    assert_eq!(engine.stop_and_read().len(), 1);
}
