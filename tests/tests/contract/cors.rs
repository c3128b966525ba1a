//! CORS (Fetch standard, section 3.2): credentialed, the origin echoed, anchored at both ends, on errors too.

use support::http::Response;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    a_preflight_of_an_allowed_origin_permits_the_sdks_request,
    a_preflight_of_a_foreign_origin_is_answered_and_permits_nothing,
    origins_are_anchored,
    any_origin_is_echoed_where_all_are_allowed,
    without_origins_nothing_is_permitted,
    a_success_carries_the_headers_and_the_request_id,
    errors_carry_the_headers,
);

const ALLOWED: &str = "https://a.example.com";

fn engine(driver: Driver) -> Engine {
    let origins = r#"origins = ["https://a.example.com", "https://*.shop.example", "http://localhost:3000"]"#;
    Engine::start(&EngineOptions::new(driver).cors(origins))
}

/// With credentials a browser takes neither `*` nor a missing header.
fn assert_permits(response: &Response, origin: &str) {
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some(origin), "{response:?}");
    assert_eq!(response.header("Access-Control-Allow-Credentials"), Some("true"), "{response:?}");
    assert!(response.lists("Vary", "Origin"), "caches must not mix origins: {response:?}");
}

fn assert_permits_nothing(response: &Response, origin: &str) {
    assert_eq!(response.header("Access-Control-Allow-Origin"), None, "{origin}: {response:?}");
    assert_eq!(response.header("Access-Control-Allow-Credentials"), None, "{origin}: {response:?}");
}

fn a_preflight_of_an_allowed_origin_permits_the_sdks_request(driver: Driver) {
    let engine = engine(driver);
    let response = engine.exchange(&Request::preflight("/collect?appId=app1&hashCode=1", ALLOWED));
    assert_eq!(response.status, 204);
    assert_permits(&response, ALLOWED);
    for method in ["GET", "POST", "OPTIONS"] {
        assert!(response.lists("Access-Control-Allow-Methods", method), "{response:?}");
    }
    // By name: with credentials `*` is no wildcard.
    for header in ["Content-Type", "User-Agent", "X-Requested-With", "Cache-Control"] {
        assert!(response.lists("Access-Control-Allow-Headers", header), "{response:?}");
    }
    let max_age: u64 = response.header("Access-Control-Max-Age").expect("Max-Age").parse().unwrap();
    assert!(max_age > 0);
}

fn a_preflight_of_a_foreign_origin_is_answered_and_permits_nothing(driver: Driver) {
    let engine = engine(driver);
    let response = engine.exchange(&Request::preflight("/collect", "https://evil.example"));
    assert_eq!(response.status, 204);
    assert_permits_nothing(&response, "https://evil.example");
    assert!(response.lists("Vary", "Origin"), "{response:?}");
}

fn origins_are_anchored(driver: Driver) {
    let engine = engine(driver);
    let mut client = engine.connect();
    let allowed = [
        "https://a.example.com",
        "https://A.Example.COM",
        "https://x.shop.example",
        "https://x.y.shop.example",
        "https://X.Shop.Example",
        "http://localhost:3000",
    ];
    for origin in allowed {
        assert_permits(&client.exchange(&Request::preflight("/collect", origin)), origin);
        assert_permits(&client.exchange(&Request::post("/collect", "{}").header("Origin", origin)), origin);
    }
    let foreign = [
        "http://a.example.com",
        "https://a.example.com:8443",
        "https://a.example.com.evil.org",
        "https://a.example.comevil.org",
        "https://aXexample.com",
        "https://aXexample.com.evil.org",
        "https://evil-a.example.com",
        "https://b.a.example.com",
        "https://example.com",
        "https://shop.example",
        "https://.shop.example",
        "https://evilshop.example",
        "https://x.shop.example.evil.org",
        "https://x.shop.example:8443",
        "http://x.shop.example",
        "https://evil.org/.shop.example",
        "https://evil.org#.shop.example",
        "https://evil.org?.shop.example",
        "https://evil.org:80@x.shop.example",
        "http://localhost",
        "http://localhost:30000",
        "null",
        "*",
    ];
    for origin in foreign {
        assert_permits_nothing(&client.exchange(&Request::preflight("/collect", origin)), origin);
        let response = client.exchange(&Request::post("/collect", "{}").header("Origin", origin));
        assert_eq!(
            response.status, 200,
            "the event is stored all the same: CORS protects the reader of answers"
        );
        assert_permits_nothing(&response, origin);
    }
}

fn any_origin_is_echoed_where_all_are_allowed(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).cors(r#"origins = ["*"]"#));
    for origin in ["https://a.example.com", "http://localhost:3000", "https://anything.at.all:99"] {
        assert_permits(&engine.exchange(&Request::preflight("/collect", origin)), origin);
        assert_permits(&engine.exchange(&Request::post("/collect", "{}").header("Origin", origin)), origin);
    }
    let response = engine.exchange(&Request::post("/collect", "{}"));
    assert_permits_nothing(&response, "no origin");
}

fn without_origins_nothing_is_permitted(driver: Driver) {
    let engine = Engine::start(&EngineOptions::new(driver).cors("origins = []"));
    assert_permits_nothing(&engine.exchange(&Request::preflight("/collect", ALLOWED)), ALLOWED);
    let response = engine.exchange(&Request::post("/collect", "{}").header("Origin", ALLOWED));
    assert_eq!(response.status, 200);
    assert_permits_nothing(&response, ALLOWED);
}

fn a_success_carries_the_headers_and_the_request_id(driver: Driver) {
    let mut engine = engine(driver);
    let response = engine.exchange(&Request::post("/collect?appId=a", "{}").header("Origin", ALLOWED));
    assert_permits(&response, ALLOWED);
    let records = engine.stop_and_read();
    assert_eq!(record_of(&records, &response).data(), "{}");
}

/// Without them a page sees an opaque network error and can't tell a full disk from a lost connection.
fn errors_carry_the_headers(driver: Driver) {
    let engine = engine(driver);
    let too_large = Request::post("/collect", vec![b'a'; 1024 * 1024 + 1]);
    let cases = [
        (Request::post("/elsewhere", "{}"), 404),
        (Request::new("PUT", "/collect"), 405),
        (Request::post("/collect", ""), 400),
        (Request::post("/collect", "{}").header("Content-Encoding", "br"), 415),
        (Request::post("/collect", "not gzip").header("Content-Encoding", "gzip"), 400),
        (too_large, 413),
    ];
    for (request, status) in cases {
        let response = engine.exchange(&request.header("Origin", ALLOWED));
        assert_eq!(response.status, status);
        assert_permits(&response, ALLOWED);
    }
    let response =
        engine.exchange(&Request::post("/elsewhere", "{}").header("Origin", "https://evil.example"));
    assert_permits_nothing(&response, "https://evil.example");
}
