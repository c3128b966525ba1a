//! The metrics as text: `OpenMetrics` 1.0, written by the `prometheus-client` crate, or the older Prometheus format.
//!
//! A scrape reads each cell once, in no particular order with respect to the writers: two figures of one scrape may
//! be some microseconds apart.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use millrun_sinks::{FaultKind, Health};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::family::{self, Family};
use super::lane::LaneMetrics;
use super::latency::Distribution;
use super::outcome::{CloseReason, Outcome, SealReason};
use super::process::{ProcessUsage, shard_cpu_nanos};
use super::registry::{Metrics, SinkName};
use super::shard::ShardMetrics;
use page::Page;

/// `Content-Type` of [`open_metrics`].
pub const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `Content-Type` of [`prometheus`].
pub const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything in `OpenMetrics` 1.0.
#[must_use]
pub fn open_metrics(metrics: &Arc<Metrics>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        metrics: metrics.clone(),
        usage: ProcessUsage::read(),
        shard_cpu_nanos: shard_cpu_nanos(),
    }));
    let mut text = String::with_capacity(64 * 1024);
    let written = text::encode(&mut text, &registry);
    // A page that ends without its EOF is refused by the scraper: better than half the truth.
    debug_assert!(written.is_ok(), "writing into a String can't fail");
    text
}

/// Everything in the Prometheus text format 0.0.4, for scrapers that don't ask for `OpenMetrics`: the same samples,
/// but here a counter's HELP and TYPE carry its full name, and neither UNIT nor EOF exists.
#[must_use]
pub fn prometheus(metrics: &Arc<Metrics>) -> String {
    let mut text = String::with_capacity(64 * 1024);
    let mut help = None;
    for line in open_metrics(metrics).lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help.to_owned());
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let help = help.take().unwrap_or_default();
            // Writing into a String can't fail.
            let _ = writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// One scrape.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    usage: ProcessUsage,
    shard_cpu_nanos: BTreeMap<String, u64>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page::new(encoder);
        self.process(&mut page)?;
        self.answers(&mut page)?;
        self.traffic(&mut page)?;
        self.batches(&mut page)?;
        self.lanes(&mut page)?;
        self.sink_figures(&mut page)
    }
}

impl Scrape {
    fn process(&self, page: &mut Page) -> fmt::Result {
        page.family(&family::BUILD)?.info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let started = self.metrics.started().duration_since(UNIX_EPOCH).unwrap_or_default();
        page.family(&family::START_TIME)?.gauge(&[], &started.as_secs_f64())?;
        if let Some(bytes) = self.usage.resident_bytes {
            page.family(&family::RESIDENT_MEMORY)?.gauge(&[], &bytes)?;
        }
        if let Some(fds) = self.usage.open_fds {
            page.family(&family::OPEN_FDS)?.gauge(&[], &fds)?;
        }
        if let Some(seconds) = self.usage.cpu_seconds {
            page.family(&family::CPU)?.counter(&[], &seconds)?;
        }
        let mut samples = page.family(&family::SHARD_CPU)?;
        for (thread, nanos) in &self.shard_cpu_nanos {
            let shard = thread.trim_start_matches("shard-");
            samples.counter(&[("shard", shard)], &Duration::from_nanos(*nanos).as_secs_f64())?;
        }
        let mut budget = page.family(&family::MEMORY_BUDGET)?;
        self.metrics
            .memory()
            .iter()
            .try_for_each(|share| budget.gauge(&[("owner", &*share.owner)], &share.bytes))
    }

    fn answers(&self, page: &mut Page) -> fmt::Result {
        let mut samples = page.family(&family::ANSWERS)?;
        for (route, name) in self.routes_and_none() {
            for outcome in Outcome::all() {
                let status = outcome.status().to_string();
                let labels = [("route", name), ("status", &*status), ("reason", outcome.reason())];
                samples.counter(&labels, &self.sum(|shard| shard.route(route).answers(outcome)))?;
            }
        }
        let mut samples = page.family(&family::SHARD_ANSWERS)?;
        for (shard, name) in self.shards() {
            let mut by_status = BTreeMap::new();
            for outcome in Outcome::all() {
                *by_status.entry(outcome.status()).or_insert(0) += shard.answers(outcome);
            }
            for (status, count) in by_status {
                samples.counter(&[("shard", &name), ("status", &status.to_string())], &count)?;
            }
        }
        let mut samples = page.family(&family::PROBES)?;
        samples.counter(&[("kind", "ping")], &self.sum(ShardMetrics::pings))?;
        samples.counter(&[("kind", "health")], &self.sum(ShardMetrics::healths))?;
        page.family(&family::REQUEST_DURATION)?.durations(&[], &self.metrics.request())?;
        page.family(&family::ACK_DURATION)?.durations(&[], &self.metrics.acknowledgement())
    }

    fn traffic(&self, page: &mut Page) -> fmt::Result {
        self.by_shard(page, &family::RECEIVED, ShardMetrics::received_bytes)?;
        self.by_shard(page, &family::SENT, ShardMetrics::sent_bytes)?;
        self.by_shard(page, &family::CONNECTIONS_OPEN, ShardMetrics::connections_open)?;
        self.by_shard(page, &family::CONNECTIONS_ACCEPTED, ShardMetrics::connections_accepted)?;
        let mut samples = page.family(&family::CONNECTIONS_CLOSED)?;
        for reason in CloseReason::ALL {
            let count = self.sum(|shard| shard.connections_closed(reason));
            samples.counter(&[("reason", reason.name())], &count)?;
        }
        Ok(())
    }

    fn batches(&self, page: &mut Page) -> fmt::Result {
        let mut samples = page.family(&family::ACCEPTED_RECORDS)?;
        for (route, name) in self.routes() {
            samples.counter(&[("route", name)], &self.sum(|shard| shard.route(Some(route)).records()))?;
        }
        let mut samples = page.family(&family::ACCEPTED_BYTES)?;
        for (route, name) in self.routes() {
            samples
                .counter(&[("route", name)], &self.sum(|shard| shard.route(Some(route)).record_bytes()))?;
        }
        let mut samples = page.family(&family::BATCHES_SEALED)?;
        for (sink, name) in self.sinks() {
            for reason in SealReason::ALL {
                let labels = [("sink", name), ("reason", reason.name())];
                samples.counter(&labels, &self.sum(|shard| shard.pool(sink).sealed(reason)))?;
            }
        }
        let mut samples = page.family(&family::BATCH_RECORDS)?;
        for (sink, name) in self.sinks() {
            let mut sizes = Distribution::sizes();
            self.metrics.shards().for_each(|shard| shard.pool(sink).batch_records().merge_into(&mut sizes));
            samples.sizes(&[("sink", name)], &sizes)?;
        }
        self.by_pool(page, &family::BATCHES_FREE, |shard, sink| shard.pool(sink).free())?;
        self.by_pool(page, &family::BATCHES_OPEN, |shard, sink| shard.pool(sink).open())?;
        let mut samples = page.family(&family::LATE_DELIVERIES)?;
        for (sink, name) in self.sinks() {
            samples.counter(&[("sink", name)], &self.sum(|shard| shard.pool(sink).late_deliveries()))?;
        }
        let mut samples = page.family(&family::LOST_AFTER_ANSWER)?;
        for (sink, name) in self.sinks() {
            samples.counter(&[("sink", name)], &self.sum(|shard| shard.pool(sink).lost_after_answer()))?;
        }
        let mut samples = page.family(&family::UNKNOWN_DELIVERIES)?;
        for (sink, name) in self.sinks() {
            samples.counter(&[("sink", name)], &self.sum(|shard| shard.pool(sink).unknown_deliveries()))?;
        }
        Ok(())
    }

    fn lanes(&self, page: &mut Page) -> fmt::Result {
        self.by_lane(page, &family::SUBMITTED_BATCHES, LaneMetrics::submitted_batches)?;
        self.by_lane(page, &family::SUBMITTED_RECORDS, LaneMetrics::submitted_records)?;
        self.by_lane(page, &family::DELIVERED_BATCHES, LaneMetrics::delivered_batches)?;
        self.by_lane(page, &family::DELIVERED_RECORDS, LaneMetrics::delivered_records)?;
        self.by_lane(page, &family::FAILED_BATCHES, LaneMetrics::failed_batches)?;
        self.by_fault(page, &family::FAILED_RECORDS, LaneMetrics::failed_records)?;
        self.by_fault(page, &family::RETRIES, LaneMetrics::retries)?;
        self.by_lane(page, &family::QUEUE, LaneMetrics::queue_batches)?;
        self.by_lane(page, &family::IN_FLIGHT, LaneMetrics::in_flight_batches)?;
        let mut samples = page.family(&family::SINK_DURATION)?;
        for (sink, lane) in self.metrics.lanes() {
            let mut durations = Distribution::durations();
            lane.sink_time().merge_into(&mut durations);
            samples.durations(&[("sink", &sink.name)], &durations)?;
        }
        self.by_lane(page, &family::BREAKER, |lane| lane.breaker() as u64)?;
        self.by_lane(page, &family::BREAKER_OPENINGS, LaneMetrics::breaker_openings)?;
        let mut samples = page.family(&family::SINK_HEALTH)?;
        for (sink, lane) in self.metrics.lanes() {
            let health = health_name(&lane.health());
            for state in ["up", "down", "unknown"] {
                samples.gauge(&[("sink", &sink.name), ("state", state)], &u64::from(state == health))?;
            }
        }
        Ok(())
    }

    /// What the sinks publish themselves, sinks with the same figure in one family.
    fn sink_figures(&self, page: &mut Page) -> fmt::Result {
        let mut families: BTreeMap<String, Vec<(&SinkName, millrun_sinks::Gauge)>> = BTreeMap::new();
        for (sink, lane) in self.metrics.lanes() {
            for figure in lane.gauges() {
                families.entry(figure_name(&figure)).or_default().push((sink, figure));
            }
        }
        for (name, figures) in families {
            let first = figures[0].1;
            if family::ALL.iter().any(|ours| ours.name == name || ours.full_name() == name) {
                debug_assert!(false, "a sink's figure has the name of a metric of the engine: {name}");
                continue; // A family that appears twice would make the whole scrape invalid.
            }
            let kind = if first.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut samples = page.descriptor(&name, first.help, kind)?;
            for (sink, figure) in figures.iter().filter(|(_, figure)| figure.counter == first.counter) {
                let labels = [("sink", sink.name.as_str())];
                if figure.counter {
                    samples.counter(&labels, &figure.value)?;
                } else {
                    samples.gauge(&labels, &figure.value)?;
                }
            }
        }
        Ok(())
    }

    fn by_shard(
        &self,
        page: &mut Page,
        family: &'static Family,
        value: impl Fn(&ShardMetrics) -> u64,
    ) -> fmt::Result {
        let mut samples = page.family(family)?;
        self.shards().try_for_each(|(shard, name)| samples.number(family, &[("shard", &name)], value(shard)))
    }

    fn by_pool(
        &self,
        page: &mut Page,
        family: &'static Family,
        value: impl Fn(&ShardMetrics, usize) -> u64,
    ) -> fmt::Result {
        let mut samples = page.family(family)?;
        for (shard, shard_name) in self.shards() {
            for (sink, sink_name) in self.sinks() {
                let labels = [("shard", &*shard_name), ("sink", sink_name)];
                samples.number(family, &labels, value(shard, sink))?;
            }
        }
        Ok(())
    }

    fn by_lane(
        &self,
        page: &mut Page,
        family: &'static Family,
        value: impl Fn(&LaneMetrics) -> u64,
    ) -> fmt::Result {
        let mut samples = page.family(family)?;
        let mut lanes = self.metrics.lanes();
        lanes.try_for_each(|(sink, lane)| samples.number(family, &[("sink", &sink.name)], value(lane)))
    }

    fn by_fault(
        &self,
        page: &mut Page,
        family: &'static Family,
        value: impl Fn(&LaneMetrics, FaultKind) -> u64,
    ) -> fmt::Result {
        let mut samples = page.family(family)?;
        for (sink, lane) in self.metrics.lanes() {
            for kind in FaultKind::ALL {
                samples.number(family, &[("sink", &sink.name), ("kind", kind.name())], value(lane, kind))?;
            }
        }
        Ok(())
    }

    fn sum(&self, value: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.metrics.shards().map(value).sum()
    }

    fn shards(&self) -> impl Iterator<Item = (&ShardMetrics, String)> {
        self.metrics.shards().enumerate().map(|(number, shard)| (shard, number.to_string()))
    }

    fn routes(&self) -> impl Iterator<Item = (usize, &str)> {
        self.metrics.shape().routes.iter().map(String::as_str).enumerate()
    }

    /// The empty name is that of no route: no route of the configuration can have it.
    fn routes_and_none(&self) -> impl Iterator<Item = (Option<usize>, &str)> {
        self.routes().map(|(route, name)| (Some(route), name)).chain([(None, "")])
    }

    fn sinks(&self) -> impl Iterator<Item = (usize, &str)> {
        self.metrics.shape().sinks.iter().map(|sink| sink.name.as_str()).enumerate()
    }
}

/// Stable name of a health, without its text.
#[must_use]
pub fn health_name(health: &Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down(_) => "down",
    }
}

/// Family name of a sink's figure. The encoder adds a counter's `_total` itself.
fn figure_name(figure: &millrun_sinks::Gauge) -> String {
    let name =
        if figure.counter { figure.name.strip_suffix("_total").unwrap_or(figure.name) } else { figure.name };
    format!("millrun_{name}")
}

mod page;
#[cfg(test)]
mod tests;
