//! Counters as JSON: `/sinks` for scripts and `/live` for the page.
//!
//! All figures are cumulative since the start. The page keeps the last answer and takes differences, so the server
//! remembers nothing about who looks, and any number of pages may look at once.

use millrun_sinks::{FaultKind, Health};
use serde_json::{Map, Value, json};

use super::state::State;
use crate::observe::lane::LaneMetrics;
use crate::observe::latency::Distribution;
use crate::observe::registry::SinkName;
use crate::observe::render::health_name;
use crate::observe::shard::ShardMetrics;
use crate::observe::{Metrics, Outcome};

/// Names of the sinks that are known to be down.
pub(super) fn sinks_down(metrics: &Metrics) -> Vec<&str> {
    let down = metrics.lanes().filter(|(_, lane)| matches!(lane.health(), Health::Down(_)));
    down.map(|(sink, _)| sink.name.as_str()).collect()
}

/// Each sink's state, in the order of the configuration.
pub(super) fn sinks(metrics: &Metrics) -> Vec<Value> {
    metrics.lanes().map(|(sink, lane)| sink_state(sink, lane)).collect()
}

fn sink_state(sink: &SinkName, lane: &LaneMetrics) -> Value {
    let health = lane.health();
    let problem = match &health {
        Health::Down(text) => Some(text),
        Health::Up | Health::Unknown => None,
    };
    let gauges: Map<String, Value> =
        lane.gauges().iter().map(|gauge| (gauge.name.to_owned(), json!(gauge.value))).collect();
    json!({
        "name": sink.name,
        "kind": sink.kind,
        "health": health_name(&health),
        "problem": problem,
        "breaker": lane.breaker().name(),
        "breaker_openings": lane.breaker_openings(),
        "queue_batches": lane.queue_batches(),
        "in_flight_batches": lane.in_flight_batches(),
        "delivered_records": lane.delivered_records(),
        "delivered_batches": lane.delivered_batches(),
        "failed_records": by_fault(|kind| lane.failed_records(kind)),
        "retries": by_fault(|kind| lane.retries(kind)),
        "gauges": gauges,
    })
}

/// Kinds that never happened are left out.
fn by_fault(count: impl Fn(FaultKind) -> u64) -> Map<String, Value> {
    let counts = FaultKind::ALL.into_iter().map(|kind| (kind.name().to_owned(), count(kind)));
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name, json!(count))).collect()
}

/// Everything that the live page shows.
pub(super) fn live(state: &State) -> Value {
    let metrics = &state.metrics;
    let sum = |value: fn(&ShardMetrics) -> u64| metrics.shards().map(value).sum::<u64>();
    let answers: Vec<(Outcome, u64)> = Outcome::all()
        .map(|outcome| (outcome, metrics.answers(outcome)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let by_reason: Map<String, Value> = answers
        .iter()
        .map(|(outcome, count)| {
            (outcome.reason().to_owned(), json!({ "status": outcome.status(), "count": count }))
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "phase": state.phase.get().name(),
        "uptime_s": metrics.started().elapsed().unwrap_or_default().as_secs(),
        "event_url": state.event_url,
        "shards": metrics.shards().len(),
        "requests": answers.iter().map(|(_, count)| count).sum::<u64>(),
        "answers": by_reason,
        "stored_records": metrics.lanes().map(|(_, lane)| lane.delivered_records()).sum::<u64>(),
        "received_bytes": sum(ShardMetrics::received_bytes),
        "connections_open": sum(ShardMetrics::connections_open),
        "request_us": buckets(&metrics.request()),
        "acknowledgement_us": buckets(&metrics.acknowledgement()),
        "sinks": sinks(metrics),
    })
}

/// Non-empty buckets: upper edge in microseconds, count.
fn buckets(distribution: &Distribution) -> Vec<(u64, u64)> {
    distribution.buckets().collect()
}
