//! One HTML page of one result or of several overlaid: pictures first, tables below.
//!
//! The page is a single file that asks the network for nothing (its content security policy forbids it), follows the
//! reader's light or dark scheme and the width of the screen, and can be read without a script; the script only shows
//! the values under the pointer.

use std::fmt::Write as _;

use crate::report::curve::{self, Chart, Size, escape};
use crate::report::picture::{self, Labelled};
use crate::report::{plan, quantity, table};
use crate::result::LoadResult;

const TEMPLATE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// Values that a tooltip can show on one chart: more than a hand can aim at.
const READINGS_MAX: usize = 400;

/// The page. Several results share every picture and stand side by side in every table; their labels tell them apart.
#[must_use]
pub fn page(title: &str, results: &[(&str, &LoadResult)]) -> String {
    let lead: Vec<String> =
        results.iter().map(|(label, result)| lead(label, result, results.len() > 1)).collect();
    let warnings: String =
        results.iter().map(|(label, result)| warning(label, result, results.len() > 1)).collect();
    fill(
        TEMPLATE,
        &[
            ("title", &escape(title)),
            ("style", curve::STYLE),
            ("lead", &lead.concat()),
            ("warnings", &warnings),
            ("tiles", &tiles(results)),
            ("figures", &figures(results)),
            ("tables", &table::tables(results)),
            ("script", SCRIPT),
        ],
    )
}

/// Puts values where `{{name}}` stands, in one pass: what a value contains is never looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page =
        String::with_capacity(template.len() + values.iter().map(|value| value.1.len()).sum::<usize>());
    let mut pieces = template.split("{{");
    page.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        page.push_str(values.iter().find(|value| value.0 == name).map_or("", |value| value.1));
        page.push_str(rest);
    }
    page
}

/// What was done to whom, in a line.
fn lead(label: &str, result: &LoadResult, several: bool) -> String {
    let label = if several { format!("<strong>{}</strong>: ", escape(label)) } else { String::new() };
    let of = &result.plan;
    format!(
        "<p class=\"lead\">{label}{} of <em>{}</em> to <code>{}</code> over {} connections, <span>started {}</span></p>",
        escape(&plan::pace(of)),
        escape(&of.workload),
        escape(&of.target),
        quantity::count(of.connections.into()),
        escape(&moment(&result.started_at))
    )
}

/// An RFC 3339 time in UTC, to the second, as people write it; anything else as it is.
fn moment(rfc3339: &str) -> String {
    let parts = rfc3339.strip_suffix('Z').and_then(|rest| rest.split_once('T'));
    parts.map_or_else(
        || rfc3339.to_owned(),
        |(day, time)| format!("{day} {} UTC", time.split('.').next().unwrap_or(time)),
    )
}

fn warning(label: &str, result: &LoadResult, several: bool) -> String {
    let Some(reason) = &result.generator.bottleneck else {
        return String::new();
    };
    let these = if several { format!("{}: these", escape(label)) } else { "These".into() };
    format!(
        "<div class=\"warning\" role=\"alert\"><strong>{these} numbers are the generator’s, not the target’s.</strong> {}</div>",
        escape(reason)
    )
}

/// The numbers that everybody looks for, large. Of several results each has a row.
fn tiles(results: &[Labelled<'_>]) -> String {
    let mut tiles = String::new();
    for (at, (label, result)) in results.iter().enumerate() {
        let totals = &result.totals;
        let latency = |us: u64| {
            #[allow(clippy::cast_precision_loss, reason = "at most an hour")]
            let us = us as f64;
            if result.latency.count == 0 { "–".into() } else { quantity::latency(us) }
        };
        let due = if picture::is_open(result) { totals.planned } else { totals.sent };
        let failed = totals.failed + totals.unsent;
        let planned = plan::rate(result)
            .map_or_else(|| "closed loop".into(), |rate| format!("of {}/s planned", quantity::number(rate)));
        if results.len() > 1 {
            put(
                &mut tiles,
                format_args!(
                    "<h2 class=\"of\"><span class=\"curve c{0}\"><i class=\"key\" style=\"background:var(--c{0})\"></i></span>{1}</h2>",
                    at % usize::from(curve::COLOURS),
                    escape(label)
                ),
            );
        }
        tiles.push_str("<dl class=\"tiles\">");
        let failures = format!("{} of {}", quantity::share(failed, due), quantity::count(due));
        for (name, value, note, bad) in [
            ("achieved rate", format!("{}/s", quantity::number(totals.succeeded_per_s)), planned, false),
            ("failed or never sent", quantity::count(failed), failures, failed > 0),
            ("median latency", latency(result.latency.p50_us), String::new(), false),
            ("99th percentile", latency(result.latency.p99_us), String::new(), false),
            ("99.9th percentile", latency(result.latency.p999_us), String::new(), false),
            ("slowest", latency(result.latency.max_us), String::new(), false),
        ] {
            let class = if bad { " class=\"bad\"" } else { "" };
            let note = if note.is_empty() { note } else { format!("<span>{}</span>", escape(&note)) };
            put(
                &mut tiles,
                format_args!("<div{class}><dt>{name}</dt><dd>{}{note}</dd></div>", escape(&value)),
            );
        }
        tiles.push_str("</dl>");
    }
    tiles
}

fn figures(results: &[Labelled<'_>]) -> String {
    let open = results.iter().any(|(_, result)| picture::is_open(result));
    let percentiles = if open {
        "Every further nine takes the same width, so the tail is as visible as the body. Corrected latency counts from \
         the planned send time; where it leaves the uncorrected curve, requests had to wait to be sent."
    } else {
        "Every further nine takes the same width, so the tail is as visible as the body. A closed loop waits for each \
         answer before it sends on, so stalls of the target are hidden here."
    };
    let mut figures = figure("percentiles", &picture::percentiles(results), percentiles);
    figures += &figure("throughput", &picture::throughput(results), "");
    figures += &picture::failures(results).map_or_else(
        || "<p class=\"none\">No request failed in any second of the run.</p>".into(),
        |chart| figure("failures", &chart, ""),
    );
    figures += &figure(
        "latency",
        &picture::latency_over_time(results),
        "Of the answers that arrived in each second; a gap is a second without any.",
    );
    figures
}

/// A chart in both sizes, with a heading and the readings for the tooltip.
fn figure(id: &str, chart: &Chart, note: &str) -> String {
    let note =
        if note.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>", escape(note)) };
    format!(
        "<figure id=\"{id}\"><figcaption><h2>{}</h2>{note}</figcaption><div class=\"plot\" tabindex=\"0\">\
         <div class=\"wide\">{}</div><div class=\"narrow\">{}</div>\
         <i class=\"cursor\" hidden></i><div class=\"tip curve\" role=\"status\" hidden></div>\
         <script type=\"application/json\">{}</script></div></figure>",
        escape(&chart.title),
        chart.inline(Size::Wide, &format!("{id}-wide")),
        chart.inline(Size::Narrow, &format!("{id}-narrow")),
        readings(chart)
    )
}

/// `{"series":[[label, colour], …], "readings":[[place, x, y, …], …]}`, in a form that can't end its script element.
fn readings(chart: &Chart) -> String {
    let series: Vec<_> = chart.series.iter().map(|series| (&series.label, series.colour)).collect();
    let readings: Vec<serde_json::Value> = chart
        .readings(READINGS_MAX)
        .into_iter()
        .map(|reading| {
            let mut row = vec![((reading.place * 1e4).round() / 1e4).into(), reading.at.into()];
            row.extend(
                reading.values.into_iter().map(|value| value.map_or(serde_json::Value::Null, Into::into)),
            );
            serde_json::Value::Array(row)
        })
        .collect();
    let json = serde_json::json!({ "series": series, "readings": readings }).to_string();
    json.replace('<', "\\u003c")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String can't fail.
    let _infallible = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_page_has_the_pictures_and_the_tables() {
        let page = page("A run", &[("run", &sample::result())]);
        for part in [
            "<title>A run</title>",
            "id=\"percentiles\"",
            "id=\"throughput\"",
            "id=\"failures\"",
            "id=\"latency\"",
            "data-label=\"corrected\"",
            "data-label=\"uncorrected\"",
            "data-label=\"planned\"",
            "data-label=\"p99\"",
            "<h2>Outcomes</h2>",
            "Example CPU",
            "preflight",
            "bench-harness load --target http://127.0.0.1:8088/collect --rate 1000",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("{{") && !page.contains("class=\"warning\""));
    }

    #[test]
    fn a_page_asks_the_network_for_nothing() {
        let page = page("A run", &[("run", &sample::result())]);
        let without =
            page.replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1:8088/collect", "");
        for asks in ["http:", "https:", "url(", "@import", " src=", "href=", "fetch("] {
            assert!(!without.contains(asks), "{asks}");
        }
    }

    #[test]
    fn data_can_not_become_markup() {
        let mut result = sample::result();
        let evil = "</script><script>alert('{{tables}}')</script><img src=x onerror=\"alert(1)\">";
        result.plan.target = evil.into();
        result.plan.workload = evil.into();
        result.command = vec![evil.into()];
        result.kinds[0].kind = evil.into();
        result.totals.outcomes[0].outcome = evil.into();
        result.host.cpu = evil.into();
        result.generator.bottleneck = Some(evil.into());
        let page = page(evil, &[(evil, &result), ("b", &result)]);
        assert!(!page.contains("<img") && !page.contains("<script>alert") && !page.contains("onerror=\""));
        assert_eq!(page.matches("<h2>Outcomes</h2>").count(), 1);
    }

    #[test]
    fn a_generator_that_was_the_bottleneck_is_said_first() {
        let mut result = sample::result();
        result.generator.bottleneck = Some("its thread was busy 99 % of the time".into());
        let page = page("A run", &[("run", &result)]);
        let warning = page.find("role=\"alert\"").unwrap();
        assert!(warning < page.find("class=\"tiles\"").unwrap() && page.contains("busy 99 %"));
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        assert_eq!(moment("2026-11-23T08:01:02.293915475Z"), "2026-11-23 08:01:02 UTC");
        assert_eq!(moment("2026-11-23T08:01:02Z"), "2026-11-23 08:01:02 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
    }

    #[test]
    fn ids_are_unique() {
        let result = sample::result();
        let page = page("Two", &[("a", &result), ("b", &result)]);
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
