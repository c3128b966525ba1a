//! One request, one record: what counts as an event, what is answered, and what is stored of it.

use support::http::Response;
use support::record::{is_rid, record_of};
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    a_post_is_stored_and_answered_200_with_an_empty_body,
    the_query_and_the_headers_become_fields,
    absent_values_are_null,
    a_repeated_or_encoded_query_parameter_is_decoded_and_keeps_one_value,
    the_body_is_opaque_and_stored_byte_for_byte,
    invalid_utf_8_becomes_the_replacement_character,
    bodies_of_any_size_and_content_round_trip,
    a_get_with_a_query_is_recorded_with_empty_data,
    a_request_without_body_and_query_is_refused_and_not_stored,
    every_request_has_an_id_of_its_own,
);

const TARGET: &str = "/collect?platform=Web&appId=app1";

/// The answer that SDKs take as success: exactly 200, nothing in it.
fn assert_success(response: &Response) {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.body, b"");
    assert_eq!(response.header("Content-Length"), Some("0"));
    assert!(is_rid(response.header("X-Request-ID").expect("X-Request-ID")), "{response:?}");
    assert!(!response.announces_close(), "{response:?}");
}

fn a_post_is_stored_and_answered_200_with_an_empty_body(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let response = engine.exchange(&Request::post(TARGET, r#"[{"event_id":"1"}]"#));
    assert_success(&response);
    let records = engine.stop_and_read();
    assert_eq!(records.len(), 1);
    assert_eq!(record_of(&records, &response).data(), r#"[{"event_id":"1"}]"#);
}

fn the_query_and_the_headers_become_fields(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let target = "/collect?platform=Android&appId=shop_1&hashCode=478acd10&event_bundle_sequence_id=7\
                  &upload_timestamp=1795411980908&compression=gzip&fakeIp=1.2.3.4";
    let request = Request::post(target, "H4sIAAAA")
        .header("User-Agent", "aws-solution/clickstream Android/9 (π)")
        .header("X-Forwarded-For", "203.0.113.7");
    let response = engine.exchange(&request);
    let records = engine.stop_and_read();
    let record = record_of(&records, &response);
    let texts = [
        ("appId", "shop_1"),
        ("platform", "Android"),
        ("compression", "gzip"),
        ("fakeIp", "1.2.3.4"),
        ("data", "H4sIAAAA"),
        ("ip", "203.0.113.7"),
        ("method", "POST"),
        ("path", "/collect"),
        ("source_type", "http_server"),
        ("ua", "aws-solution/clickstream Android/9 (π)"),
        ("uri", target),
    ];
    for (key, text) in texts {
        assert_eq!(record.text(key), Some(text), "{key}");
    }
    assert_eq!(
        record.value("client_timestamp"),
        1_795_411_980_908_u64,
        "a number, as the table's schema has it"
    );
}

fn absent_values_are_null(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let bare = engine.exchange(&Request::post("/collect", "{}"));
    let empty = engine.exchange(&Request::post("/collect?appId=&compression=&upload_timestamp=soon", "{}"));
    let records = engine.stop_and_read();
    let record = record_of(&records, &bare);
    for key in ["appId", "platform", "compression", "fakeIp", "client_timestamp", "ua"] {
        assert!(record.value(key).is_null(), "{key} is {}", record.value(key));
    }
    assert_eq!(record.text("uri"), Some("/collect"));
    let record = record_of(&records, &empty);
    assert_eq!(record.text("appId"), Some(""), "sent empty is not absent");
    assert_eq!(record.text("compression"), Some(""));
    assert_eq!(record.text("client_timestamp"), Some("soon"), "what is no number stays text");
}

fn a_repeated_or_encoded_query_parameter_is_decoded_and_keeps_one_value(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let target = "/collect?appId=a%2Bb+c%C3%A9&platform=Web&platform=iOS";
    let response = engine.exchange(&Request::post(target, "{}"));
    let records = engine.stop_and_read();
    let record = record_of(&records, &response);
    assert_eq!(record.text("appId"), Some("a+b cé"));
    assert!(matches!(record.text("platform"), Some("Web" | "iOS")));
    assert_eq!(record.text("uri"), Some(target), "raw, as it was sent");
}

fn the_body_is_opaque_and_stored_byte_for_byte(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let bodies = [
        (
            "application/json; charset=utf-8",
            r#"[{"event_type":"_first_open","attributes":{"p":"a\\\"b\/c\u0041"}}]"#,
        ),
        ("application/json", r#"{"a":"one object"}"#),
        ("text/plain", "H4sIAAAAAAAAA4uuVkpUslKqrQUAbCbpzQoAAAA="),
        ("application/x-www-form-urlencoded", "data=eyJhIjoxfQ%3D%3D&ext=crc%3D-1234567"),
        ("application/x-www-form-urlencoded", "gzip=1&data_list=H4sI%2FAA%3D&crc=1"),
        ("application/octet-stream", "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \u{7f}\u{80}\u{2028}é日🦀\"\\/"),
        ("image/png", " leading, trailing and inner\r\n\r\nblank lines \r\n"),
        ("text/html", "<script>alert('&amp;')</script>"),
    ];
    let mut client = engine.connect();
    let sent: Vec<_> = bodies
        .iter()
        .map(|(kind, body)| {
            (client.exchange(&Request::post(TARGET, *body).header("Content-Type", kind)), body)
        })
        .collect();
    let records = engine.stop_and_read();
    assert_eq!(records.len(), bodies.len());
    for (response, body) in sent {
        assert_eq!(record_of(&records, &response).data(), *body);
    }
}

fn invalid_utf_8_becomes_the_replacement_character(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let bodies: [&[u8]; 7] = [
        b"\xff",
        b"a\xc3(b",
        b"\xe2\x82",
        b"cut \xf0\x9f\xa6",
        b"\xed\xa0\x80 surrogate",
        b"\xc0\xaf overlong",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03raw gzip\xfe\xff\x00",
    ];
    let mut client = engine.connect();
    let sent: Vec<_> =
        bodies.iter().map(|body| (client.exchange(&Request::post(TARGET, *body)), body)).collect();
    let records = engine.stop_and_read();
    for (response, body) in sent {
        assert_eq!(record_of(&records, &response).data(), String::from_utf8_lossy(body), "{body:?}");
    }
}

fn bodies_of_any_size_and_content_round_trip(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sizes: Vec<usize> = vec![1, 2, 3, 4095, 4096, 4097, 16_383, 16_384, 65_535, 65_536, 65_537];
    sizes.extend((0..40).map(|_| random.usize(1..30_000)));
    sizes.extend([262_144, 524_288, 1_000_000]);
    let mut client = engine.connect();
    let sent: Vec<_> = sizes
        .into_iter()
        .map(|size| {
            let body = random_text(&mut random, size);
            (client.exchange(&Request::post(TARGET, body.as_str())), body)
        })
        .collect();
    let records = engine.stop_and_read();
    assert_eq!(records.len(), sent.len());
    for (response, body) in sent {
        assert!(record_of(&records, &response).data() == body, "a body of {} bytes, seed {seed}", body.len());
    }
}

/// Text of exactly `bytes` bytes, one character in twenty of which JSON escapes.
fn random_text(random: &mut fastrand::Rng, bytes: usize) -> String {
    let special = ['"', '\\', '\n', '\u{1}', '/', '\u{7f}'];
    let wide = ['é', '日', '🦀'];
    let mut text = String::new();
    while text.len() < bytes {
        let wide = wide[random.usize(..wide.len())];
        match random.u8(..20) {
            0 => text.push(special[random.usize(..special.len())]),
            1 if text.len() + wide.len_utf8() <= bytes => text.push(wide),
            _ => text.push(random.alphanumeric()),
        }
    }
    text
}

/// Trackers that are images or plain links send their event in the query.
fn a_get_with_a_query_is_recorded_with_empty_data(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let target = "/collect?appId=app1&e=pv&url=https%3A%2F%2Fexample.com%2F";
    let response = engine.exchange(&Request::get(target));
    assert_success(&response);
    let records = engine.stop_and_read();
    let record = record_of(&records, &response);
    assert_eq!(record.data(), "");
    assert_eq!(record.text("method"), Some("GET"));
    assert_eq!(record.text("uri"), Some(target));
}

fn a_request_without_body_and_query_is_refused_and_not_stored(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for request in [Request::post("/collect", ""), Request::get("/collect"), Request::get("/collect?")] {
        let response = client.exchange(&request);
        assert_eq!((response.status, response.error().as_str()), (400, "empty_event"), "{request:?}");
        assert!(!response.announces_close(), "the connection goes on");
    }
    assert_eq!(engine.stop_and_read(), []);
}

fn every_request_has_an_id_of_its_own(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::new(driver));
    let mut client = engine.connect();
    for _ in 0..500 {
        assert_success(&client.exchange(&Request::post(TARGET, "{}")));
    }
    let records = engine.stop_and_read();
    let mut rids: Vec<_> = records.iter().map(support::record::Record::rid).collect();
    rids.sort_unstable();
    rids.dedup();
    assert_eq!(rids.len(), 500);
}
