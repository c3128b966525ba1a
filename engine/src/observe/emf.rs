//! CloudWatch's embedded metric format ("Specification: Embedded metric format" in the Amazon CloudWatch user guide): a line
//! of JSON in the log becomes metrics.
//!
//! | metric | unit | is |
//! | --- | --- | --- |
//! | `busy` | Percent | of the interval, CPU time of the shard that worked most: what to scale on |
//! | `requests` | Count | requests answered, probes aside |
//! | `errors` | Count | of those, answered 4xx or 5xx; and once more by `reason` |
//! | `request_duration_ms` | Milliseconds | first byte of a head to last byte of its answer: 100 values, each as likely |
//! | `sink_faults` | Count | attempts at sinks that failed |
//! | `journal_bytes` | Bytes | in use by journals |
//! | `journal_age_ms` | Milliseconds | how long the oldest record waits that is not delivered, to the second |
//!
//! Without dimensions: a fleet has a namespace of its own. Only `errors` by reason has one, in a line of its own, so that the number of
//! metrics that are paid for is fixed.

use serde_json::{Map, Value, json};

/// Most values of one metric in a line (the specification's limit).
const VALUES_MAX: usize = 100;

/// What happened in an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// When it ended, milliseconds since 1970.
    pub unix_ms: u64,
    /// Share of the interval that the busiest shard worked, 0 to 100; `None` where the kernel does not say.
    pub busy_percent: Option<f64>,
    /// Requests answered.
    pub requests: u64,
    /// Of those, refused: by reason, those that occurred.
    pub errors: Vec<(&'static str, u64)>,
    /// Durations in milliseconds, ascending, each as likely; at most 100.
    pub durations_ms: Vec<f64>,
    /// Attempts at sinks that failed.
    pub sink_faults: u64,
    /// Bytes in use by journals; `None` without one.
    pub journal_bytes: Option<u64>,
    /// How long the oldest record of a journal waits, in whole seconds; `None` without one.
    pub journal_age_ms: Option<u64>,
}

impl Interval {
    /// The lines to print.
    #[must_use]
    pub fn lines(&self, namespace: &str) -> Vec<String> {
        let errors: u64 = self.errors.iter().map(|(_, count)| count).sum();
        let mut line = Line::new(self.unix_ms, namespace, &[]);
        if let Some(busy) = self.busy_percent {
            line.metric("busy", "Percent", json!((busy * 100.0).round() / 100.0));
        }
        line.metric("requests", "Count", json!(self.requests));
        line.metric("errors", "Count", json!(errors));
        if !self.durations_ms.is_empty() {
            let values = &self.durations_ms[..self.durations_ms.len().min(VALUES_MAX)];
            line.metric("request_duration_ms", "Milliseconds", json!(values));
        }
        line.metric("sink_faults", "Count", json!(self.sink_faults));
        if let Some(bytes) = self.journal_bytes {
            line.metric("journal_bytes", "Bytes", json!(bytes));
        }
        if let Some(age) = self.journal_age_ms {
            line.metric("journal_age_ms", "Milliseconds", json!(age));
        }
        let by_reason = self.errors.iter().map(|(reason, count)| {
            let mut line = Line::new(self.unix_ms, namespace, &[("reason", reason)]);
            line.metric("errors", "Count", json!(count));
            line.text()
        });
        std::iter::once(line.text()).chain(by_reason).collect()
    }
}

struct Line {
    unix_ms: u64,
    namespace: String,
    dimensions: Vec<String>,
    metrics: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    fn new(unix_ms: u64, namespace: &str, dimensions: &[(&str, &str)]) -> Self {
        let members = dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let dimensions = dimensions.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { unix_ms, namespace: namespace.to_owned(), dimensions, metrics: Vec::new(), members }
    }

    fn metric(&mut self, name: &str, unit: &str, value: Value) {
        self.metrics.push(json!({ "Name": name, "Unit": unit }));
        self.members.insert(name.to_owned(), value);
    }

    fn text(self) -> String {
        let Self { unix_ms, namespace, dimensions, metrics, mut members } = self;
        members.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": unix_ms,
                "CloudWatchMetrics": [{ "Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics }],
            }),
        );
        Value::Object(members).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The units of the specification that are used here.
    const UNITS: [&str; 4] = ["Percent", "Count", "Milliseconds", "Bytes"];

    /// Each sentence of the specification that begins with MUST, for one line.
    fn check(line: &str) -> Value {
        assert!(line.len() <= 1_000_000 && !line.contains('\n'));
        let root: Value = serde_json::from_str(line).unwrap();
        let metadata = &root["_aws"];
        assert!(metadata["Timestamp"].as_u64().is_some());
        for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=1024).contains(&namespace.len()));
            for set in directive["Dimensions"].as_array().unwrap() {
                let set = set.as_array().unwrap();
                assert!(set.len() <= 30);
                for key in set {
                    let value = root[key.as_str().unwrap()].as_str().expect("a dimension's target is a text");
                    assert!((1..=1024).contains(&value.len()));
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
                let target = &root[metric["Name"].as_str().unwrap()];
                let numbers = target.as_array().cloned().unwrap_or_else(|| vec![target.clone()]);
                assert!(numbers.len() <= 100 && numbers.iter().all(Value::is_number), "{metric}");
            }
        }
        root
    }

    #[test]
    fn every_line_is_what_the_specification_asks_for() {
        let full = Interval {
            unix_ms: 1_795_424_461_000,
            busy_percent: Some(37.256),
            requests: 1000,
            errors: vec![("overloaded", 3), ("not_found", 2)],
            durations_ms: (0..150).map(f64::from).collect(),
            sink_faults: 4,
            journal_bytes: Some(1 << 30),
            journal_age_ms: Some(61_000),
        };
        let lines = full.lines("Millrun/shop");
        assert_eq!(lines.len(), 3);
        let main = check(&lines[0]);
        assert_eq!((&main["busy"], &main["errors"]), (&json!(37.26), &json!(5)));
        assert_eq!(main["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        let reason = check(&lines[1]);
        assert_eq!((&reason["reason"], &reason["errors"]), (&json!("overloaded"), &json!(3)));
        check(&lines[2]);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let lines = Interval::default().lines("n");
        let root = check(&lines[0]);
        assert_eq!(lines.len(), 1);
        assert!(root.get("busy").is_none() && root.get("journal_bytes").is_none());
        assert!(root.get("request_duration_ms").is_none());
        assert_eq!(root["requests"], 0);
    }
}
