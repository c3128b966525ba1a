//! A record as it is stored: one JSON object with the contract's 17 keys.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::http::Response;

/// The keys of a record, in the order in which they are written. Each has 17: one of the two timestamps.
pub const KEYS: [&str; 18] = [
    "appId",
    "client_timestamp",
    "compression",
    "data",
    "date",
    "fakeIp",
    "ingest_time",
    "ip",
    "method",
    "path",
    "platform",
    "rid",
    "server_ingest_time",
    "source_type",
    "timestamp",
    "ua",
    "upload_timestamp",
    "uri",
];

/// A record whose form was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    fields: BTreeMap<String, Value>,
}

impl Record {
    /// Parses one line of a file, or the value of one message, and checks it against the contract: the keys and
    /// their order, no blank between tokens, the least escaping that JSON allows, the type of each value.
    ///
    /// # Errors
    /// What is wrong with it, and the line.
    pub fn parse(line: &str) -> Result<Self, String> {
        let fields: BTreeMap<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("not JSON: {error}: {line}"))?;
        let record = Self { fields };
        record.check(line).map_err(|reason| format!("{reason}: {line}"))?;
        Ok(record)
    }

    fn check(&self, line: &str) -> Result<(), String> {
        let keys: Vec<_> = self.fields.keys().map(String::as_str).collect();
        // Without the parameter, `upload_timestamp` is null and stands for `client_timestamp`; in dev mode `fakeIp` may
        // have become `ip` (contract 3.1).
        let absent: Vec<_> = KEYS.into_iter().filter(|key| !self.fields.contains_key(*key)).collect();
        let one_timestamp =
            ["client_timestamp", "upload_timestamp"].iter().filter(|key| absent.contains(key)).count() == 1;
        let known = keys.iter().all(|key| KEYS.contains(key));
        if !known || !one_timestamp || absent.len() > 1 + usize::from(absent.contains(&"fakeIp")) {
            return Err(format!("the keys are {keys:?}"));
        }
        // A sorted map written compactly is the same text only if the text was sorted and compact.
        let rewritten = serde_json::to_string(&self.fields).map_err(|error| error.to_string())?;
        if rewritten != line {
            return Err("not sorted, not compact or not minimally escaped".to_owned());
        }
        for (key, value) in &self.fields {
            if !has_type_of(key, value) {
                return Err(format!("`{key}` is {value}"));
            }
        }
        Ok(())
    }

    /// The value of one of its keys.
    pub fn value(&self, key: &str) -> &Value {
        assert!(KEYS.contains(&key), "`{key}` is no key of a record");
        self.fields.get(key).unwrap_or(&Value::Null)
    }

    /// The text of one of its keys; `None` where it is null.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key).as_str()
    }

    /// The request's body.
    pub fn data(&self) -> &str {
        self.text("data").expect("checked by parse")
    }

    /// The request's id.
    pub fn rid(&self) -> &str {
        self.text("rid").expect("checked by parse")
    }
}

fn has_type_of(key: &str, value: &Value) -> bool {
    match key {
        "appId" | "compression" | "fakeIp" | "platform" | "ua" | "ip" => value.is_null() || value.is_string(),
        "data" | "method" | "path" | "uri" => value.is_string(),
        "client_timestamp" => value.is_string() || value.is_u64(),
        "upload_timestamp" => value.is_null(),
        "ingest_time" | "server_ingest_time" => value.as_u64().is_some_and(is_recent_ms),
        "source_type" => value == "http_server",
        "rid" => value.as_str().is_some_and(is_rid),
        "date" => value.as_str().is_some_and(|text| fits(text, "9999-99-99T99:99:99+00:00")),
        "timestamp" => value.as_str().is_some_and(is_rfc3339_utc),
        _ => false,
    }
}

/// The one record that a 200 speaks of: its `X-Request-ID` is the record's `rid`.
pub fn record_of<'a>(records: &'a [Record], response: &Response) -> &'a Record {
    assert_eq!(response.status, 200, "{response:?}");
    let rid = response.header("X-Request-ID").unwrap_or_else(|| panic!("no X-Request-ID: {response:?}"));
    let found: Vec<_> = records.iter().filter(|record| record.rid() == rid).collect();
    assert_eq!(found.len(), 1, "records with rid {rid} among {}", records.len());
    found[0]
}

/// 32 lower-case hexadecimal digits.
pub fn is_rid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Milliseconds since 1970, in this century: neither seconds nor microseconds.
fn is_recent_ms(value: u64) -> bool {
    (1_700_000_000_000..4_102_444_800_000).contains(&value)
}

/// `2026-01-31T23:59:59Z`, with 0, 3, 6 or 9 digits of a second's fraction.
fn is_rfc3339_utc(text: &str) -> bool {
    ["", ".999", ".999999", ".999999999"]
        .iter()
        .any(|fraction| fits(text, &format!("9999-99-99T99:99:99{fraction}Z")))
}

/// Whether `text` is `pattern` with a digit for each 9.
pub fn fits(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(found, wanted)| match wanted {
            b'9' => found.is_ascii_digit(),
            _ => found == wanted,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = concat!(
        r#"{"appId":"app1","client_timestamp":1795411980908,"compression":null,"data":"[{\"a\":1}]","#,
        r#""date":"2026-11-23T07:33:09+00:00","fakeIp":null,"ingest_time":1795411980908,"ip":"203.0.113.7","#,
        r#""method":"POST","path":"/collect","platform":"Web","rid":"0123456789abcdef0123456789abcdef","#,
        r#""server_ingest_time":1795411980908,"source_type":"http_server","#,
        r#""timestamp":"2026-11-23T07:33:09.519475143Z","ua":null,"uri":"/collect?appId=app1&platform=Web"}"#,
    );

    #[test]
    fn a_record_of_the_contract_is_taken() {
        let record = Record::parse(GOOD).unwrap();
        assert_eq!(record.data(), r#"[{"a":1}]"#);
        assert_eq!(record.text("ua"), None);
    }

    #[test]
    fn each_deviation_is_found() {
        let cases = [
            (r#""ua":null,"#, "", "the keys are"),
            (r#""ua":null"#, r#""ub":null"#, "the keys are"),
            (r#""ua":null,"#, r#""ua": null,"#, "not compact"),
            (r#"{"appId":"app1","#, r#"{"client_timestamp":1,"appId":"app1","#, "not JSON|not sorted"),
            ("/collect?", r"\/collect?", "minimally escaped"),
            ("1795411980908,\"ip\"", "1795411980,\"ip\"", "`ingest_time`"),
            ("0123456789abcdef0123456789abcdef", "0123456789ABCDEF0123456789abcdef", "`rid`"),
            ("+00:00", "+01:00", "`date`"),
            ("519475143Z", "5194Z", "`timestamp`"),
            ("http_server", "http", "`source_type`"),
            (r#""data":"[{\"a\":1}]""#, r#""data":[]"#, "`data`"),
        ];
        for (from, to, reason) in cases {
            assert!(GOOD.contains(from), "{from}");
            let error = Record::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(reason.split('|').any(|reason| error.contains(reason)), "{from} -> {to}: {error}");
        }
    }
}
