use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use millrun_sinks::{Delivery, Fate, Fault, Gauge, Retry, Whose};

use super::*;
use crate::http::Refusal;
use crate::observe::lane::{BreakerState, LaneRecorder};
use crate::observe::registry::{MemoryShare, Shape};
use crate::observe::shard::ShardRecorder;

/// One parsed sample: labels in order of name, and the value as text.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// A strict reading of the parts of the format that we write. Panics on anything else.
#[derive(Default)]
struct Parsed {
    help: BTreeMap<String, String>,
    kind: BTreeMap<String, String>,
    samples: Samples,
}

impl Parsed {
    fn read(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next().unwrap(), words.next()) {
                ("#", Some("HELP")) => {
                    let name = words.next().unwrap().to_owned();
                    let old = parsed.help.insert(name, words.next().unwrap_or_default().to_owned());
                    assert_eq!(old, None, "a family appears once: {line}");
                }
                ("#", Some("TYPE")) => {
                    let name = words.next().unwrap().to_owned();
                    assert_eq!(parsed.kind.insert(name, words.next().unwrap().to_owned()), None, "{line}");
                }
                ("#", Some("UNIT" | "EOF")) => {}
                _ => parsed.sample(line),
            }
        }
        parsed
    }

    fn sample(&mut self, line: &str) {
        let (head, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match head.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (head, ""),
        };
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{line}"
        );
        let labels = labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (key, value) = label.split_once('=').unwrap();
                (key.to_owned(), value.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned())
            })
            .collect();
        let old = self.samples.insert((name.to_owned(), labels), value.parse().unwrap());
        assert_eq!(old, None, "a series appears once: {line}");
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let key = (name.to_owned(), labels);
        *self.samples.get(&key).unwrap_or_else(|| panic!("{key:?} is missing"))
    }

    fn assert_is(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let found = self.value(name, labels);
        assert!((found - expected).abs() < 1e-9, "{name} {labels:?}: {found}, expected {expected}");
    }
}

fn shape() -> Shape {
    let sink = |name: &str, kind| SinkName { name: name.into(), kind };
    Shape {
        shards: 2,
        routes: vec!["web".into(), "iot".into()],
        sinks: vec![sink("main", "kafka"), sink("spare", "file")],
    }
}

fn metrics() -> (Arc<Metrics>, Vec<ShardRecorder>, Vec<LaneRecorder>) {
    let metrics = Metrics::new(shape(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    metrics.set_memory(vec![MemoryShare { owner: "batches".into(), bytes: 1 << 20 }]);
    let shards = (0..2).map(|shard| metrics.shard_recorder(shard).unwrap()).collect();
    let lanes = (0..2).map(|sink| metrics.lane_recorder(sink).unwrap()).collect();
    (metrics, shards, lanes)
}

#[test]
fn each_writer_exists_once() {
    let (metrics, _shards, _lanes) = metrics();
    assert!(metrics.shard_recorder(0).is_none(), "given out before");
    assert!(metrics.shard_recorder(2).is_none(), "there are two");
    assert!(metrics.lane_recorder(1).is_none());
}

#[test]
fn counts_are_rendered_where_they_belong() {
    let (metrics, shards, lanes) = metrics();
    shards[0].answered(Some(0), Outcome::Ok);
    shards[1].answered(Some(0), Outcome::Ok);
    shards[1].answered(None, Outcome::Refused(Refusal::NotFound));
    shards[1].answered(Some(1), Outcome::Refused(Refusal::Overloaded));
    shards[0].record_accepted(0, 900);
    shards[0].received(1_000);
    shards[1].sent(250);
    shards[0].connection_accepted();
    shards[0].connection_accepted();
    shards[0].connection_closed(CloseReason::Idle);
    shards[0].batch_sealed(1, SealReason::Count, 3);
    shards[0].pool(1, 7, 1);
    shards[0].delivered_late(1, 2);
    shards[1].delivery_unknown(0, 5);
    shards[0].ping_answered();
    lanes[0].submitted(10);
    let fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);
    lanes[0].decided(10, &Delivery::Some(vec![(4, fault)]));
    lanes[0].retried(FaultKind::Throttled);
    lanes[0].depth(4, 2);
    lanes[0].breaker(BreakerState::Open);
    lanes[0].publish(Health::Down("no broker".into()), |_| {});

    let page = Parsed::read(&open_metrics(&metrics));
    let answers = "millrun_answers_total";
    page.assert_is(answers, &[("route", "web"), ("status", "200"), ("reason", "ok")], 2.0);
    page.assert_is(answers, &[("route", ""), ("status", "404"), ("reason", "not_found")], 1.0);
    page.assert_is(answers, &[("route", "iot"), ("status", "503"), ("reason", "overloaded")], 1.0);
    page.assert_is(answers, &[("route", "iot"), ("status", "200"), ("reason", "ok")], 0.0);
    page.assert_is("millrun_shard_answers_total", &[("shard", "1"), ("status", "503")], 1.0);
    page.assert_is("millrun_probes_total", &[("kind", "ping")], 1.0);
    page.assert_is("millrun_accepted_records_total", &[("route", "web")], 1.0);
    page.assert_is("millrun_accepted_bytes_total", &[("route", "web")], 900.0);
    page.assert_is("millrun_received_bytes_total", &[("shard", "0")], 1_000.0);
    page.assert_is("millrun_sent_bytes_total", &[("shard", "1")], 250.0);
    page.assert_is("millrun_connections_open", &[("shard", "0")], 1.0);
    page.assert_is("millrun_connections_accepted_total", &[("shard", "0")], 2.0);
    page.assert_is("millrun_connections_closed_total", &[("reason", "idle")], 1.0);
    page.assert_is("millrun_batches_sealed_total", &[("sink", "spare"), ("reason", "count")], 1.0);
    page.assert_is("millrun_batches_free", &[("shard", "0"), ("sink", "spare")], 7.0);
    page.assert_is("millrun_batches_open", &[("shard", "0"), ("sink", "spare")], 1.0);
    page.assert_is("millrun_late_deliveries_total", &[("sink", "spare")], 2.0);
    page.assert_is("millrun_unknown_deliveries_total", &[("sink", "main")], 5.0);
    page.assert_is("millrun_sink_submitted_records_total", &[("sink", "main")], 10.0);
    page.assert_is("millrun_sink_delivered_records_total", &[("sink", "main")], 9.0);
    page.assert_is("millrun_sink_failed_records_total", &[("sink", "main"), ("kind", "timed_out")], 1.0);
    page.assert_is("millrun_sink_failed_batches_total", &[("sink", "main")], 1.0);
    page.assert_is("millrun_sink_retries_total", &[("sink", "main"), ("kind", "throttled")], 1.0);
    page.assert_is("millrun_sink_queue_batches", &[("sink", "main")], 4.0);
    page.assert_is("millrun_sink_in_flight_batches", &[("sink", "main")], 2.0);
    page.assert_is("millrun_sink_breaker_state", &[("sink", "main")], 2.0);
    page.assert_is("millrun_sink_breaker_openings_total", &[("sink", "main")], 1.0);
    page.assert_is("millrun_sink_health", &[("sink", "main"), ("state", "down")], 1.0);
    page.assert_is("millrun_sink_health", &[("sink", "main"), ("state", "up")], 0.0);
    page.assert_is("millrun_memory_budget_bytes", &[("owner", "batches")], 1_048_576.0);
    page.assert_is("millrun_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.assert_is("millrun_start_time_seconds", &[], 1_700_000_000.0);
    assert!(page.value("process_resident_memory_bytes", &[]) > 100_000.0);
}

#[test]
fn histograms_have_exact_bounds_and_cumulate() {
    let (metrics, shards, lanes) = metrics();
    shards[0].request_took(Duration::from_micros(64));
    shards[0].request_took(Duration::from_micros(65));
    shards[1].request_took(Duration::from_secs(40));
    shards[0].batch_sealed(0, SealReason::Age, 4);
    shards[1].batch_sealed(0, SealReason::Age, 5);
    lanes[1].attempt_took(Duration::from_micros(1_024));
    shards.iter().for_each(ShardRecorder::publish);
    lanes[1].publish(Health::Up, |_| {});

    let page = Parsed::read(&open_metrics(&metrics));
    let request = "millrun_request_duration_seconds_bucket";
    let le = |micros: u32| written_as(f64::from(micros) / 1e6, &page);
    page.assert_is(request, &[("le", &le(64))], 1.0);
    page.assert_is(request, &[("le", &le(128))], 2.0);
    page.assert_is(request, &[("le", &le(33_554_432))], 2.0);
    page.assert_is(request, &[("le", "+Inf")], 3.0);
    page.assert_is("millrun_request_duration_seconds_count", &[], 3.0);
    page.assert_is("millrun_request_duration_seconds_sum", &[], 40.000_129);
    let sizes = "millrun_batch_records_bucket";
    page.assert_is(sizes, &[("sink", "main"), ("le", "2.0")], 0.0);
    page.assert_is(sizes, &[("sink", "main"), ("le", "4.0")], 1.0);
    page.assert_is(sizes, &[("sink", "main"), ("le", "8.0")], 2.0);
    page.assert_is("millrun_batch_records_sum", &[("sink", "main")], 9.0);
    let sink_time = "millrun_sink_duration_seconds_bucket";
    page.assert_is(sink_time, &[("sink", "spare"), ("le", &le(512))], 0.0);
    page.assert_is(sink_time, &[("sink", "spare"), ("le", &le(1_024))], 1.0);
}

/// How the page writes this `le`.
fn written_as(bound: f64, page: &Parsed) -> String {
    let mut all = page.samples.keys().filter_map(|(_, labels)| labels.get("le"));
    all.find(|le| le.parse::<f64>().is_ok_and(|value| (value - bound).abs() < 1e-12)).unwrap().clone()
}

/// What a sample's name is without what its type adds to it.
fn family_of<'a>(name: &'a str, kinds: &BTreeMap<String, String>) -> Option<&'a str> {
    [
        ("_total", "counter"),
        ("_info", "info"),
        ("_bucket", "histogram"),
        ("_sum", "histogram"),
        ("_count", "histogram"),
    ]
    .into_iter()
    .filter_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, kind)))
    .find(|(family, kind)| kinds.get(*family).is_some_and(|found| found == kind))
    .map(|(family, _)| family)
    .or_else(|| kinds.get(name).is_some_and(|kind| kind == "gauge").then_some(name))
}

#[test]
fn every_family_has_help_and_type_and_every_sample_a_family() {
    let (metrics, _shards, lanes) = metrics();
    lanes[0].publish(Health::Up, |publish| {
        publish(Gauge { name: "kafka_tx_requests_total", help: "Sent.", value: 3.0, counter: true });
        publish(Gauge { name: "kafka_queue_records", help: "Waiting.", value: 1.5, counter: false });
    });
    let text = open_metrics(&metrics);
    assert!(text.ends_with("# EOF\n"));
    let page = Parsed::read(&text);
    assert_eq!(page.help.keys().collect::<Vec<_>>(), page.kind.keys().collect::<Vec<_>>());
    for (name, help) in &page.help {
        assert!(help.len() >= 5 && help.ends_with('.'), "{name} has no help: {help:?}");
    }
    for (name, _) in page.samples.keys() {
        assert!(family_of(name, &page.kind).is_some(), "{name} has no TYPE that allows it");
    }
    page.assert_is("millrun_kafka_tx_requests_total", &[("sink", "main")], 3.0);
    page.assert_is("millrun_kafka_queue_records", &[("sink", "main")], 1.5);
}

#[test]
fn the_same_samples_in_the_older_format() {
    let (metrics, shards, _lanes) = metrics();
    shards[0].answered(Some(0), Outcome::Ok);
    let old = prometheus(&metrics);
    assert!(!old.contains("# EOF") && !old.contains("# UNIT"));
    let (old, new) = (Parsed::read(&old), Parsed::read(&open_metrics(&metrics)));
    let names = |page: &Parsed| page.samples.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&old), names(&new));
    assert_eq!(old.kind["millrun_answers_total"], "counter");
    assert_eq!(old.kind["millrun_build_info"], "gauge");
    for (name, _) in old.samples.keys() {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let known = |name: &str| old.kind.contains_key(name) && !old.help[name].is_empty();
        assert!(known(name) || base.is_some_and(known), "{name}");
    }
}

#[test]
fn labels_are_those_declared_and_their_values_come_from_a_fixed_set() {
    let (metrics, shards, _lanes) = metrics();
    let series = |metrics| Parsed::read(&open_metrics(metrics)).samples.into_keys().collect::<BTreeSet<_>>();
    let before = series(&metrics);
    let numbers = ["0", "1"].map(str::to_owned);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let statuses = Outcome::all().map(|outcome| outcome.status().to_string()).collect();
    let reasons = Outcome::all()
        .map(Outcome::reason)
        .chain(SealReason::ALL.map(SealReason::name))
        .chain(CloseReason::ALL.map(CloseReason::name));
    let kinds = FaultKind::ALL.iter().map(|kind| kind.name()).chain(["ping", "health"]);
    let bounded: BTreeMap<&str, BTreeSet<String>> = [
        ("shard", numbers.into()),
        ("route", names(&["web", "iot", ""])),
        ("sink", names(&["main", "spare"])),
        ("status", statuses),
        ("reason", reasons.map(str::to_owned).collect()),
        ("kind", kinds.map(str::to_owned).collect()),
        ("state", names(&["up", "down", "unknown"])),
        ("owner", names(&["batches"])),
        ("version", names(&[env!("CARGO_PKG_VERSION")])),
    ]
    .into();
    let declared: BTreeMap<String, &Family> =
        family::ALL.iter().map(|family| (family.full_name(), *family)).collect();
    for (name, labels) in &before {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let family = declared.get(name).or_else(|| declared.get(base?)).unwrap_or_else(|| panic!("{name}"));
        let keys: BTreeSet<_> = labels.keys().map(String::as_str).filter(|key| *key != "le").collect();
        assert_eq!(keys, family.labels.iter().copied().collect(), "{name}");
        for (key, value) in labels.iter().filter(|(key, _)| *key != "le") {
            assert!(bounded[key.as_str()].contains(value), "{name}: {key} = {value:?}");
        }
    }
    for outcome in Outcome::all() {
        shards[1].answered(Some(1), outcome);
        shards[0].request_took(Duration::from_millis(3));
    }
    shards[0].publish();
    assert_eq!(series(&metrics), before, "traffic makes no new series");
}

#[test]
fn the_document_lists_exactly_what_is_rendered() {
    let (metrics, _shards, _lanes) = metrics();
    let page = Parsed::read(&open_metrics(&metrics));
    let rendered: BTreeSet<String> = page.kind.keys().cloned().collect();
    let declared: BTreeSet<String> = family::ALL
        .iter()
        .map(|family| match &family.unit {
            Some(unit) => format!("{}_{}", family.name, unit.as_str()),
            None => family.name.to_owned(),
        })
        .collect();
    assert_eq!(rendered, declared, "every declared family is rendered");

    let document = include_str!("../../../../docs/metrics.md");
    let rows: Vec<Vec<String>> = document
        .lines()
        .skip_while(|line| *line != "## Metrics of the engine")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    let expected: Vec<[String; 3]> = family::ALL
        .iter()
        .map(|family| [family.full_name(), family.kind.as_str().to_owned(), family.labels.join(", ")])
        .collect();
    let documented: Vec<[String; 3]> =
        rows.iter().map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect();
    assert_eq!(documented, expected, "docs/metrics.md: name, type and labels of each metric, in this order");
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        assert!(!row[3].is_empty() && !row[4].is_empty(), "meaning and alarm are said: {row:?}");
    }
}

#[test]
fn scrapes_while_shards_write_never_see_a_count_go_back() {
    let (metrics, shards, _lanes) = metrics();
    std::thread::scope(|threads| {
        for shard in shards {
            threads.spawn(move || {
                for step in 0..20_000 {
                    shard.answered(Some(0), Outcome::Ok);
                    shard.request_took(Duration::from_micros(step));
                    if step % 100 == 0 {
                        shard.publish();
                    }
                }
            });
        }
        let (mut answers, mut requests) = (0.0, 0.0);
        for _ in 0..20 {
            let page = Parsed::read(&open_metrics(&metrics));
            let now =
                page.value("millrun_answers_total", &[("route", "web"), ("status", "200"), ("reason", "ok")]);
            let count = page.value("millrun_request_duration_seconds_count", &[]);
            let inf = page.value("millrun_request_duration_seconds_bucket", &[("le", "+Inf")]);
            assert!(now >= answers && count >= requests);
            assert!((inf - count).abs() < 0.5, "the last bucket holds everything");
            (answers, requests) = (now, count);
        }
    });
    assert_eq!(metrics.answers(Outcome::Ok), 40_000);
    assert_eq!(metrics.request().count(), 40_000);
}
