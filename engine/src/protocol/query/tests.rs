use super::*;
use proptest::prelude::*;

fn decoded(value: Option<Value<'_>>) -> Option<String> {
    value.map(|value| {
        let mut text = String::new();
        value.pieces(|piece| {
            text.push_str(&String::from_utf8_lossy(piece));
            Some(())
        });
        text
    })
}

fn app_id(query: &str) -> Option<String> {
    decoded(Parameters::parse(query.as_bytes()).app_id)
}

#[test]
fn values_are_found_and_decoded() {
    for (query, expected) in [
        ("", None),
        ("a=b", None),
        ("appId=shop", Some("shop")),
        ("platform=Web&appId=shop&x=y", Some("shop")),
        ("&&appId=shop&&", Some("shop")),
        ("appId=", Some("")),
        ("appId", Some("")),
        ("appId=a=b", Some("a=b")),
        ("appId=one&appId=two", Some("two")),
        ("appId=one&appId", Some("")),
        ("appid=shop", None),
        ("xappId=shop&appIdx=shop", None),
        ("app%49d=shop", Some("shop")),
        ("%61%70%70%49%64=shop", Some("shop")),
        ("app%49d%00=shop", None),
        ("%75pload_timestamp_and_more=1", None),
        ("appId=a+b%20c", Some("a b c")),
        ("appId=%2B%26%3D%25", Some("+&=%")),
        ("appId=100%", Some("100%")),
        ("appId=%4", Some("%4")),
        ("appId=%zz%4g%41", Some("%zz%4gA")),
        ("appId=%%41", Some("%A")),
        ("appId=%e4%b8%ad", Some("\u{4e2d}")),
        ("appId=%E4%B8", Some("\u{fffd}")),
        ("appId=\u{4e2d}", Some("\u{4e2d}")),
        ("?appId=shop", None),
    ] {
        assert_eq!(app_id(query).as_deref(), expected, "{query}");
    }
}

#[test]
fn every_parameter_has_its_place() {
    let parameters =
        Parameters::parse(b"fakeIp=1&upload_timestamp=2&compression=3&platform=4&appId=5&hashCode=6");
    assert_eq!(decoded(parameters.fake_ip).as_deref(), Some("1"));
    assert_eq!(decoded(parameters.upload_timestamp).as_deref(), Some("2"));
    assert_eq!(decoded(parameters.compression).as_deref(), Some("3"));
    assert_eq!(decoded(parameters.platform).as_deref(), Some("4"));
    assert_eq!(decoded(parameters.app_id).as_deref(), Some("5"));
}

#[test]
fn which_values_are_numbers() {
    for (raw, expected) in [
        ("1700000000000", true),
        ("0", true),
        ("9223372036854775807", true),
        ("%31%30", true),
        ("9223372036854775808", false),
        ("99999999999999999999999999", false),
        ("", false),
        ("00", false),
        ("017", false),
        ("-1", false),
        ("+1", false),
        ("1.5", false),
        ("1e3", false),
        ("1 ", false),
        ("1+", false),
        ("\u{0661}", false),
    ] {
        assert_eq!(Value::new(raw.as_bytes()).is_integer(), expected, "{raw}");
    }
}

#[test]
fn a_piece_never_cuts_a_character() {
    for text in ["\u{e9}", "\u{4e2d}", "\u{1f600}", "%e4%b8", "%f0%9f%98", "%80", "%ff"] {
        for offset in PIECE_BYTES - 8..PIECE_BYTES + 2 {
            let raw = format!("{}+{}", "a".repeat(offset), text.repeat(200));
            let whole: Vec<u8> = Value::new(raw.as_bytes()).bytes().collect();
            let expected = String::from_utf8_lossy(&whole).into_owned();
            assert_eq!(decoded(Some(Value::new(raw.as_bytes()))), Some(expected), "{text} at {offset}");
        }
    }
}

/// Decoding as the URL Standard words it, on the whole value.
fn reference(raw: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let hex = |digit: u8| char::from(digit).is_ascii_hexdigit();
        if raw[at] == b'%' && at + 2 < raw.len() && hex(raw[at + 1]) && hex(raw[at + 2]) {
            let digits = std::str::from_utf8(&raw[at + 1..at + 3]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            at += 3;
        } else {
            bytes.push(if raw[at] == b'+' { b' ' } else { raw[at] });
            at += 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn any_parameter_is_found_by_its_decoded_name() {
    let found = |query: &'static str, name| decoded(find(query.as_bytes(), name));
    assert_eq!(found("a=1&user+id=x%20y&&b", "user id").as_deref(), Some("x y"));
    assert_eq!(found("us%65r=1&user=2=3", "user").as_deref(), Some("2=3"));
    assert_eq!(found("users=1&use=2", "user"), None);
    assert_eq!(found("user", "user").as_deref(), Some(""));
    assert_eq!(found("", "user"), None);
}

proptest! {
    #[test]
    fn finding_one_agrees_with_reading_all(query in "((appId|a|platform|app%49d)?=?[ab+%&=]{0,9}&){0,6}") {
        let all = Parameters::parse(query.as_bytes());
        prop_assert_eq!(decoded(find(query.as_bytes(), "appId")), decoded(all.app_id));
        prop_assert_eq!(decoded(find(query.as_bytes(), "platform")), decoded(all.platform));
    }

    #[test]
    fn decoding_follows_the_standard(raw in "(%[0-9a-fA-F]{2}|%|[+a-z0-9]|\u{4e2d}){0,300}") {
        let value = Value::new(raw.as_bytes());
        prop_assert_eq!(decoded(Some(value)), Some(reference(raw.as_bytes())));
        prop_assert!(value.bytes().count() <= value.len_max());
    }

    #[test]
    fn any_bytes_are_a_query(query in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Parameters::parse(&query);
    }
}
