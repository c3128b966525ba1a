use super::*;
use crate::config::settings::RecordKey;
use crate::protocol::forwarded::TRUST_ALL;
use crate::record::{RequestId, Timestamps};
use proptest::prelude::*;
use std::collections::BTreeMap;

const RID: u128 = 0x65a8_d1c5_9f0e_4b7a_8c3d_2e1f_0a9b_8c7d;
const NANOS: u64 = 1_705_563_189_519_475_143;

/// A request and all that the engine adds to it, owned.
#[derive(Clone, Debug)]
struct Case {
    method: Vec<u8>,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    forwarded_for: Vec<Vec<u8>>,
    body: Vec<u8>,
    key: RecordKey,
    dev_mode: bool,
    trusted_proxies: u8,
}

impl Case {
    fn post(query: &str, body: &str) -> Self {
        Self {
            method: b"POST".to_vec(),
            path: b"/collect".to_vec(),
            query: Some(query.into()),
            user_agent: Some(b"okhttp/4.9.3".to_vec()),
            forwarded_for: vec![b"203.0.113.9".to_vec()],
            body: body.into(),
            key: RecordKey::None,
            dev_mode: false,
            trusted_proxies: 1,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Key and value, after all promises of [`Encode`] are checked.
    fn record(&self) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let mut uri = self.path.clone();
        if let Some(query) = &self.query {
            uri.push(b'?');
            uri.extend_from_slice(query);
        }
        let forwarded_for: Vec<&[u8]> = self.forwarded_for.iter().map(Vec::as_slice).collect();
        let request = Request {
            method: &self.method,
            uri: &uri,
            path: &self.path,
            query: self.query.as_deref().unwrap_or_default(),
            user_agent: self.user_agent.as_deref(),
            forwarded_for: &forwarded_for,
            peer: b"192.0.2.1",
            body: &self.body,
        };
        let receipt = Receipt {
            rid: &RequestId::from_bits(RID),
            moment: &Timestamps::new().at(NANOS),
            key: &self.key,
            dev_mode: self.dev_mode,
            trusted_proxies: self.trusted_proxies,
        };
        let mut records = Vec::new();
        Clickstream.records(&request, &receipt, &mut |record| {
            records.push(written(record));
            Ok(())
        })?;
        assert_eq!(records.len(), 1);
        Ok(records.remove(0))
    }

    fn line(&self) -> String {
        String::from_utf8(self.record().unwrap().1).unwrap()
    }

    fn key(&self) -> String {
        String::from_utf8(self.record().unwrap().0).unwrap()
    }
}

fn written(record: &dyn Encode) -> (Vec<u8>, Vec<u8>) {
    let len = record.len();
    assert!(record.len_max() >= len, "{} < {len}", record.len_max());
    let mut free = vec![0; len];
    let (key_len, value_len) = record.encode(&mut free).expect("exactly enough room");
    assert_eq!(key_len + value_len, len);
    assert_eq!(record.encode(&mut free[..len - 1]), None, "one byte too few");
    let mut wide = vec![b'x'; record.len_max() + 100];
    assert_eq!(record.encode(&mut wide), Some((key_len, value_len)));
    assert_eq!(wide[..len], free, "the text does not depend on the room");
    (free[..key_len].to_vec(), free[key_len..].to_vec())
}

#[test]
fn a_web_event() {
    let case = Case::post(
        "platform=Web&appId=shop&event_bundle_sequence_id=7&upload_timestamp=1705563189000&hashCode=1a2b3c4d",
        r#"[{"event_type":"_page_view","title":"a \"b\" /中"}]"#,
    );
    assert_eq!(
        case.line(),
        concat!(
            r#"{"appId":"shop","client_timestamp":1705563189000,"compression":null,"#,
            r#""data":"[{\"event_type\":\"_page_view\",\"title\":\"a \\\"b\\\" /中\"}]","#,
            r#""date":"2024-01-18T07:33:09+00:00","fakeIp":null,"ingest_time":1705563189519,"ip":"203.0.113.9","#,
            r#""method":"POST","path":"/collect","platform":"Web","rid":"65a8d1c59f0e4b7a8c3d2e1f0a9b8c7d","#,
            r#""server_ingest_time":1705563189519,"source_type":"http_server","#,
            r#""timestamp":"2024-01-18T07:33:09.519475143Z","ua":"okhttp/4.9.3","#,
            r#""uri":"/collect?platform=Web&appId=shop&event_bundle_sequence_id=7"#,
            r#"&upload_timestamp=1705563189000&hashCode=1a2b3c4d"}"#,
        )
    );
}

#[test]
fn a_request_that_has_nothing_but_a_body() {
    let case = Case::post("", "data=eyJ9&ext=crc").with(|case| {
        case.query = None;
        case.user_agent = None;
        case.forwarded_for.clear();
    });
    assert_eq!(
        case.line(),
        concat!(
            r#"{"appId":null,"compression":null,"data":"data=eyJ9&ext=crc","#,
            r#""date":"2024-01-18T07:33:09+00:00","fakeIp":null,"ingest_time":1705563189519,"ip":"192.0.2.1","#,
            r#""method":"POST","path":"/collect","platform":null,"rid":"65a8d1c59f0e4b7a8c3d2e1f0a9b8c7d","#,
            r#""server_ingest_time":1705563189519,"source_type":"http_server","#,
            r#""timestamp":"2024-01-18T07:33:09.519475143Z","ua":null,"upload_timestamp":null,"uri":"/collect"}"#,
        )
    );
}

#[test]
fn dev_mode_takes_the_fake_address() {
    let case = Case::post("fakeIp=10.9.8.7&appId=a&upload_timestamp=", "[]");
    let line = case.clone().with(|case| case.dev_mode = true).line();
    assert_eq!(
        line,
        concat!(
            r#"{"appId":"a","client_timestamp":"","compression":null,"data":"[]","#,
            r#""date":"2024-01-18T07:33:09+00:00","ingest_time":1705563189519,"ip":"10.9.8.7","#,
            r#""method":"POST","path":"/collect","platform":null,"rid":"65a8d1c59f0e4b7a8c3d2e1f0a9b8c7d","#,
            r#""server_ingest_time":1705563189519,"source_type":"http_server","#,
            r#""timestamp":"2024-01-18T07:33:09.519475143Z","ua":"okhttp/4.9.3","#,
            r#""uri":"/collect?fakeIp=10.9.8.7&appId=a&upload_timestamp="}"#,
        )
    );
    let line = case.line();
    assert!(line.contains(r#","fakeIp":"10.9.8.7","ingest_time""#), "{line}");
    assert!(line.contains(r#","ip":"203.0.113.9","#), "{line}");
}

#[test]
fn values_keep_their_json_type() {
    for (query, expected) in [
        ("upload_timestamp=1705563189000", r#""client_timestamp":1705563189000,"#),
        ("upload_timestamp=017", r#""client_timestamp":"017","#),
        ("upload_timestamp=-5", r#""client_timestamp":"-5","#),
        ("upload_timestamp=9223372036854775808", r#""client_timestamp":"9223372036854775808","#),
        ("upload_timestamp=%31%37", r#""client_timestamp":17,"#),
        ("upload_timestamp=%22", r#""client_timestamp":"\"","#),
        ("compression=", r#""compression":"","#),
        ("compression=gzip", r#""compression":"gzip","#),
        ("platform=i+O%53%0a", r#""platform":"i OS\n","#),
        ("platform=%e4%b8%ad%ff", "\"platform\":\"\u{4e2d}\u{fffd}\","),
    ] {
        let line = Case::post(query, "[]").line();
        assert!(line.contains(expected), "{query}: {line}");
    }
}

#[test]
fn the_key_is_the_plain_value() {
    let case = Case::post("appId=a%22+b&user=no&fakeIp=10.9.8.7&us%65r=%C3%A9", "[]").with(|case| {
        case.forwarded_for = vec![b"6.6.6.6, 203.0.113.9, 10.0.0.7".to_vec()];
        case.trusted_proxies = 2;
    });
    for (key, dev_mode, expected) in [
        (RecordKey::None, false, ""),
        (RecordKey::Query("user".into()), false, "é"),
        (RecordKey::Query("absent".into()), false, ""),
        (RecordKey::AppId, false, "a\" b"),
        (RecordKey::Ip, false, "203.0.113.9"),
        (RecordKey::Ip, true, "10.9.8.7"),
        (RecordKey::Rid, false, "65a8d1c59f0e4b7a8c3d2e1f0a9b8c7d"),
    ] {
        let case = case.clone().with(|case| (case.key, case.dev_mode) = (key.clone(), dev_mode));
        assert_eq!(case.key(), expected, "{key:?}");
    }
    assert_eq!(Case::post("x=y", "[]").with(|case| case.key = RecordKey::AppId).key(), "");
}

#[test]
fn what_is_an_event() {
    let empty = Err(Refusal::EmptyEvent);
    for (method, query, body, expected) in [
        ("POST", Some("appId=a"), "[]", Ok(())),
        ("PUT", None, "[]", Ok(())),
        ("PATCH", None, "[]", Ok(())),
        ("DELETE", None, "[]", Ok(())),
        ("GET", None, "[]", Ok(())),
        ("GET", Some("e=pv"), "", Ok(())),
        ("GET", Some("e=pv"), "[]", Ok(())),
        ("GET", Some(""), "", empty),
        ("GET", None, "", empty),
        ("POST", Some("appId=a"), "", empty),
        ("PUT", None, "", empty),
        ("get", Some("e=pv"), "", empty),
    ] {
        let case = Case::post("", body).with(|case| {
            case.method = method.into();
            case.query = query.map(Into::into);
        });
        assert_eq!(case.record().map(drop), expected, "{method} {query:?} {body:?}");
    }
    let line = Case::post("e=pv", "").with(|case| case.method = b"GET".to_vec()).line();
    assert!(line.contains(r#""data":"","#) && line.contains(r#""method":"GET","#), "{line}");
}

#[test]
fn which_methods_are_served() {
    for method in ["GET", "POST"] {
        assert_eq!(Clickstream.wants(method.as_bytes(), true), Ok(Wants::Event), "{method}");
    }
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS", "post"] {
        assert_eq!(Clickstream.wants(method.as_bytes(), true), Err(Refusal::MethodNotAllowed), "{method}");
    }
}

#[test]
fn a_refusal_of_the_taker_is_passed_on() {
    let (rid, moment) = (RequestId::from_bits(0), Timestamps::new().at(0));
    let request = Request {
        method: b"POST",
        uri: b"/",
        path: b"/",
        query: b"",
        user_agent: None,
        forwarded_for: &[],
        peer: b"::1",
        body: b"1",
    };
    let receipt =
        Receipt { rid: &rid, moment: &moment, key: &RecordKey::None, dev_mode: false, trusted_proxies: 1 };
    let protocol = crate::protocol::of(crate::config::settings::Protocol::Clickstream);
    let outcome = protocol.records(&request, &receipt, &mut |_| Err(Refusal::Overloaded));
    assert_eq!(outcome, Err(Refusal::Overloaded));
    assert_eq!(Clickstream.success(), Answer { status: 200, content_type: Some("text/plain"), body: b"" });
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..60)
}

fn query() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("appId"),
        Just("platform"),
        Just("compression"),
        Just("upload_timestamp"),
        Just("fakeIp"),
        Just("x")
    ];
    let pair = (name, bytes()).prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat());
    proptest::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join(&b'&'))
}

prop_compose! {
    fn case()(
        (method, path, body) in ("[A-Z]{1,10}", "/[a-zA-Z0-9._~!$&'()*+,;=:@%-]{0,20}", proptest::collection::vec(any::<u8>(), 1..400)),
        query in proptest::option::of(query()),
        user_agent in proptest::option::of(bytes()),
        forwarded_for in proptest::collection::vec(bytes(), 0..3),
        key in prop_oneof![
            Just(RecordKey::None), Just(RecordKey::AppId), Just(RecordKey::Ip), Just(RecordKey::Rid),
            Just(RecordKey::Query("x".into()))
        ],
        dev_mode in any::<bool>(),
        trusted_proxies in prop_oneof![0..4u8, Just(TRUST_ALL)],
    ) -> Case {
        Case {
            method: method.into_bytes(), path: path.into_bytes(), query, user_agent, forwarded_for, body, key, dev_mode, trusted_proxies,
        }
    }
}

proptest! {
    #[test]
    fn every_record_has_its_keys_in_order(case in case()) {
        let line = case.line();
        let parsed: BTreeMap<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        let faked = case.dev_mode && !parsed.contains_key("fakeIp");
        prop_assert_eq!(parsed.len(), if faked { 16 } else { 17 });
        prop_assert_eq!(parsed.contains_key("client_timestamp"), !parsed.contains_key("upload_timestamp"));
        // The map is sorted and serde_json's text minimal: writing it again gives back every byte.
        prop_assert_eq!(serde_json::to_string(&parsed).unwrap(), line);
        prop_assert_eq!(parsed["data"].as_str(), Some(&*String::from_utf8_lossy(&case.body)));
        prop_assert_eq!(parsed["path"].as_str(), Some(&*String::from_utf8_lossy(&case.path)));
    }
}
