//! Whose address is the client's: `X-Forwarded-For` counts only as far as the proxies in front are ours.
//!
//! Readers of the records take the first item of the `ip` list as the client.

use support::record::{Record, record_of};
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    behind_one_proxy_its_entry_is_the_client,
    behind_two_proxies_the_last_but_one_entry_is_the_client,
    without_proxies_the_header_is_not_believed,
    the_lists_of_several_fields_are_one,
    a_fake_ip_counts_in_dev_mode_only,
);

/// The client's address as readers find it.
fn client_of(record: &Record) -> &str {
    record.text("ip").expect("an address").split(',').next().unwrap().trim()
}

/// Stores one event for each header value and returns the addresses found.
fn clients(driver: Driver, trusted_proxies: u8, forwarded: &[Option<&str>]) -> Vec<String> {
    let options = EngineOptions::new(driver).server(&format!("trusted_proxies = {trusted_proxies}"));
    let mut engine = Engine::start(&options);
    let mut client = engine.connect();
    let sent: Vec<_> = forwarded
        .iter()
        .map(|value| {
            let request = Request::post("/collect", "{}");
            client.exchange(&match value {
                Some(value) => request.header("X-Forwarded-For", value),
                None => request,
            })
        })
        .collect();
    let records = engine.stop_and_read();
    sent.iter().map(|response| client_of(record_of(&records, response)).to_owned()).collect()
}

fn behind_one_proxy_its_entry_is_the_client(driver: Driver) {
    let forwarded = [
        Some("203.0.113.7"),
        Some("6.6.6.6, 203.0.113.7"),
        Some("6.6.6.6,7.7.7.7 ,  203.0.113.7 "),
        Some("2001:db8::1"),
        None,
    ];
    let expected = ["203.0.113.7", "203.0.113.7", "203.0.113.7", "2001:db8::1", "127.0.0.1"];
    assert_eq!(clients(driver, 1, &forwarded), expected);
}

fn behind_two_proxies_the_last_but_one_entry_is_the_client(driver: Driver) {
    let forwarded = [Some("203.0.113.7, 10.0.0.1"), Some("6.6.6.6, 203.0.113.7, 10.0.0.1")];
    assert_eq!(clients(driver, 2, &forwarded), ["203.0.113.7", "203.0.113.7"]);
}

fn without_proxies_the_header_is_not_believed(driver: Driver) {
    let forwarded = [Some("6.6.6.6"), Some("6.6.6.6, 7.7.7.7"), None];
    assert_eq!(clients(driver, 0, &forwarded), ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
}

/// RFC 9110 section 5.3.
fn the_lists_of_several_fields_are_one(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let request = Request::post("/collect", "{}")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("x-forwarded-for", "203.0.113.7");
    let response = engine.exchange(&request);
    let records = engine.stop_and_read();
    assert_eq!(client_of(record_of(&records, &response)), "203.0.113.7");
}

fn a_fake_ip_counts_in_dev_mode_only(driver: Driver) {
    for (dev_mode, expected) in [(false, "203.0.113.7"), (true, "1.2.3.4")] {
        let mut engine = Engine::start(&EngineOptions::new(driver).server(&format!("dev_mode = {dev_mode}")));
        let request = Request::post("/collect?fakeIp=1.2.3.4", "{}").header("X-Forwarded-For", "203.0.113.7");
        let response = engine.exchange(&request);
        let records = engine.stop_and_read();
        assert_eq!(client_of(record_of(&records, &response)), expected, "dev_mode = {dev_mode}");
    }
}
