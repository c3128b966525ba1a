//! librdkafka's statistics, every few seconds a JSON document, to a bounded set of gauges.
//!
//! Brokers and partitions are summed up or the worst of them is taken, so that the number of gauges does not depend
//! on the size of the cluster.

use serde_json::Value;

use crate::Gauge;

/// What is kept of the last document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Statistics {
    queue_records: f64,
    queue_bytes: f64,
    tx_requests: f64,
    tx_bytes: f64,
    rx_bytes: f64,
    tx_errors: f64,
    tx_retries: f64,
    request_timeouts: f64,
    /// Brokers with a connection that is ready for requests.
    pub(super) brokers_connected: f64,
    rtt_avg_seconds_max: f64,
    rtt_p99_seconds_max: f64,
    throttle_seconds_max: f64,
}

impl Statistics {
    /// Reads a document; `None` when it is not one of librdkafka's.
    pub(super) fn read(json: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(json).ok()?;
        let mut read = Self {
            queue_records: number(&document, "msg_cnt"),
            queue_bytes: number(&document, "msg_size"),
            tx_requests: number(&document, "tx"),
            tx_bytes: number(&document, "tx_bytes"),
            rx_bytes: number(&document, "rx_bytes"),
            ..Self::default()
        };
        for broker in document.get("brokers")?.as_object()?.values() {
            read.add_broker(broker);
        }
        Some(read)
    }

    fn add_broker(&mut self, broker: &Value) {
        let micros = |window: &str, figure: &str| {
            broker.get(window).map_or(0.0, |window| number(window, figure) / 1_000_000.0)
        };
        self.tx_errors += number(broker, "txerrs");
        self.tx_retries += number(broker, "txretries");
        self.request_timeouts += number(broker, "req_timeouts");
        // Bootstrap entries (negative ids) have connections of their own only until the cluster is known.
        let up = broker.get("state").and_then(Value::as_str) == Some("UP");
        self.brokers_connected += f64::from(u8::from(up));
        self.rtt_avg_seconds_max = self.rtt_avg_seconds_max.max(micros("rtt", "avg"));
        self.rtt_p99_seconds_max = self.rtt_p99_seconds_max.max(micros("rtt", "p99"));
        let throttle = broker.get("throttle").map_or(0.0, |window| number(window, "max") / 1_000.0);
        self.throttle_seconds_max = self.throttle_seconds_max.max(throttle);
    }

    /// Publishes all of it.
    pub(super) fn publish(&self, publish: &mut dyn FnMut(Gauge)) {
        let mut gauge = |name, help, value| publish(Gauge { name, help, value, counter: false });
        gauge("kafka_queue_records", "Records with librdkafka, not confirmed yet.", self.queue_records);
        gauge("kafka_queue_bytes", "Bytes of records with librdkafka, not confirmed yet.", self.queue_bytes);
        gauge("kafka_brokers_connected", "Brokers with a working connection.", self.brokers_connected);
        gauge(
            "kafka_rtt_avg_seconds",
            "Average answer time of the slowest broker.",
            self.rtt_avg_seconds_max,
        );
        gauge("kafka_rtt_p99_seconds", "p99 answer time of the slowest broker.", self.rtt_p99_seconds_max);
        gauge("kafka_throttle_seconds", "Longest pause that a broker asked for.", self.throttle_seconds_max);
        let mut counter = |name, help, value| publish(Gauge { name, help, value, counter: true });
        counter("kafka_tx_requests_total", "Requests sent to brokers.", self.tx_requests);
        counter("kafka_tx_bytes_total", "Bytes sent to brokers.", self.tx_bytes);
        counter("kafka_rx_bytes_total", "Bytes received from brokers.", self.rx_bytes);
        counter("kafka_tx_errors_total", "Requests that could not be sent.", self.tx_errors);
        counter("kafka_tx_retries_total", "Requests sent again.", self.tx_retries);
        counter("kafka_request_timeouts_total", "Requests without an answer in time.", self.request_timeouts);
    }
}

fn number(object: &Value, key: &str) -> f64 {
    object.get(key).and_then(Value::as_f64).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_summed_up_and_the_slowest_counts() {
        let json = r#"{"msg_cnt":3,"msg_size":300,"tx":10,"tx_bytes":1000,"rx_bytes":200,"brokers":{
            "a:1/bootstrap":{"nodeid":-1,"state":"INIT"},
            "a:1/1":{"state":"UP","txerrs":1,"txretries":2,"req_timeouts":3,"rtt":{"avg":1500,"p99":9000},"throttle":{"max":0}},
            "b:1/2":{"state":"UP","txerrs":1,"txretries":0,"req_timeouts":0,"rtt":{"avg":500,"p99":20000},"throttle":{"max":250}}}}"#;
        let read = Statistics::read(json).unwrap();
        let mut found = Vec::new();
        read.publish(&mut |gauge| found.push((gauge.name, gauge.value, gauge.counter)));
        for expected in [
            ("kafka_queue_records", 3.0, false),
            ("kafka_queue_bytes", 300.0, false),
            ("kafka_brokers_connected", 2.0, false),
            ("kafka_rtt_avg_seconds", 0.0015, false),
            ("kafka_rtt_p99_seconds", 0.02, false),
            ("kafka_throttle_seconds", 0.25, false),
            ("kafka_tx_requests_total", 10.0, true),
            ("kafka_tx_errors_total", 2.0, true),
            ("kafka_tx_retries_total", 2.0, true),
            ("kafka_request_timeouts_total", 3.0, true),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn what_is_no_statistics_changes_nothing() {
        assert_eq!(Statistics::read("not JSON"), None);
        assert_eq!(Statistics::read("[]"), None);
    }
}
