//! The tables of a page: every number that a picture shows and those that none does.

#![allow(clippy::cast_precision_loss, reason = "latencies and counts are below 2^52")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::latency::Distribution;
use crate::report::curve::escape;
use crate::report::picture::{Labelled, is_open};
use crate::report::{plan, quantity};
use crate::result::LoadResult;

/// A row's name, and what a result says in it.
type Row = (&'static str, fn(&LoadResult) -> String);
/// The same of a distribution, in µs.
type LatencyRow = (&'static str, fn(&Distribution) -> f64);

/// Rows of text under a heading; the first cell of a row names it.
struct Table {
    caption: &'static str,
    note: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Words instead of numbers: aligned to the left, broken where needed.
    prose: bool,
}

impl Table {
    fn new(caption: &'static str, head: Vec<String>) -> Self {
        Self { caption, note: "", head, rows: Vec::new(), prose: false }
    }

    fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let mut row = vec![name.to_owned()];
        row.extend(cells);
        self.rows.push(row);
    }

    fn html(&self) -> String {
        let class = if self.prose { "prose" } else { "numbers" };
        let wide = if self.prose || self.head.len() > 3 { " class=\"broad\"" } else { "" };
        let mut html = format!("<section{wide}><h2>{}</h2>", escape(self.caption));
        if !self.note.is_empty() {
            put(&mut html, format_args!("<p class=\"note\">{}</p>", escape(self.note)));
        }
        put(&mut html, format_args!("<div class=\"scroll\"><table class=\"{class}\">"));
        if !self.head.is_empty() {
            html.push_str("<thead><tr>");
            for cell in &self.head {
                put(&mut html, format_args!("<th scope=\"col\">{}</th>", escape(cell)));
            }
            html.push_str("</tr></thead>");
        }
        html.push_str("<tbody>");
        for row in &self.rows {
            put(&mut html, format_args!("<tr><th scope=\"row\">{}</th>", escape(&row[0])));
            for cell in &row[1..] {
                put(&mut html, format_args!("<td>{}</td>", escape(cell)));
            }
            html.push_str("</tr>");
        }
        html + "</tbody></table></div></section>"
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String can't fail.
    let _infallible = out.write_fmt(text);
}

/// All of them, in the order of what readers ask first.
pub(super) fn tables(results: &[Labelled<'_>]) -> String {
    let mut tables = vec![latency(results), totals(results), outcomes(results), generator(results)];
    tables.extend(kinds(results));
    tables.extend([plans(results), hosts(results)]);
    tables.iter().map(Table::html).collect()
}

/// One column per result, and no names of columns where there is only one.
fn head(results: &[Labelled<'_>]) -> Vec<String> {
    if results.len() == 1 {
        return Vec::new();
    }
    std::iter::once(String::new()).chain(results.iter().map(|(label, _)| (*label).to_owned())).collect()
}

fn latency(results: &[Labelled<'_>]) -> Table {
    let mut columns: Vec<(String, &Distribution)> = Vec::new();
    for (label, result) in results {
        let prefix = if results.len() == 1 { String::new() } else { format!("{label}: ") };
        columns.push((
            format!("{prefix}{}", if is_open(result) { "corrected" } else { "latency" }),
            &result.latency,
        ));
        if is_open(result) {
            columns.push((format!("{prefix}uncorrected"), &result.uncorrected));
        }
    }
    let head = std::iter::once(String::new()).chain(columns.iter().map(|column| column.0.clone())).collect();
    let mut table = Table::new("Latency", head);
    table.note = "Corrected: from the moment the plan had a request due. Uncorrected: from the moment it was sent, which \
                  hides the waiting that a stall causes.";
    let rows: [LatencyRow; 8] = [
        ("minimum", |of| of.min_us as f64),
        ("mean", |of| of.mean_us),
        ("50 %", |of| of.p50_us as f64),
        ("90 %", |of| of.p90_us as f64),
        ("99 %", |of| of.p99_us as f64),
        ("99.9 %", |of| of.p999_us as f64),
        ("99.99 %", |of| of.p9999_us as f64),
        ("maximum", |of| of.max_us as f64),
    ];
    for (name, of) in rows {
        table.row(name, columns.iter().map(|(_, distribution)| latency_cell(distribution, of(distribution))));
    }
    table
}

/// A latency of a distribution, or that it has none.
fn latency_cell(of: &Distribution, us: f64) -> String {
    if of.count == 0 { "–".into() } else { quantity::latency(us) }
}

fn totals(results: &[Labelled<'_>]) -> Table {
    let mut table = Table::new("Requests", head(results));
    let rows: [Row; 13] = [
        ("planned", |of| if is_open(of) { quantity::count(of.totals.planned) } else { "–".into() }),
        ("sent", |of| quantity::count(of.totals.sent)),
        ("succeeded", |of| quantity::count(of.totals.succeeded)),
        ("failed", |of| quantity::count(of.totals.failed)),
        ("due but never sent", |of| quantity::count(of.totals.unsent)),
        ("planned per second", |of| plan::rate(of).map_or_else(|| "–".into(), quantity::number)),
        ("succeeded per second", |of| quantity::number(of.totals.succeeded_per_s)),
        ("events accepted", |of| quantity::count(of.totals.events)),
        ("connections made", |of| quantity::count(of.totals.connects)),
        ("connections that failed", |of| quantity::count(of.totals.connect_failures)),
        ("sent bytes", |of| quantity::bytes(of.totals.bytes_sent)),
        ("received bytes", |of| quantity::bytes(of.totals.bytes_received)),
        ("elapsed", |of| quantity::duration(of.totals.elapsed_s)),
    ];
    for (name, of) in rows {
        table.row(name, results.iter().map(|(_, result)| of(result)));
    }
    table
}

fn outcomes(results: &[Labelled<'_>]) -> Table {
    let mut table = Table::new("Outcomes", head(results));
    let names: BTreeSet<&str> = results
        .iter()
        .flat_map(|(_, result)| result.totals.outcomes.iter().map(|of| of.outcome.as_str()))
        .collect();
    for name in names {
        let cells = results.iter().map(|(_, result)| {
            let outcomes = &result.totals.outcomes;
            let count = outcomes.iter().find(|of| of.outcome == name).map_or(0, |of| of.count);
            let all = outcomes.iter().map(|of| of.count).sum();
            format!("{} ({})", quantity::count(count), quantity::share(count, all))
        });
        table.row(name, cells);
    }
    table
}

/// A single kind says nothing that the totals don't.
fn kinds(results: &[Labelled<'_>]) -> Option<Table> {
    if results.iter().all(|(_, result)| result.kinds.len() < 2) {
        return None;
    }
    let columns = ["", "sent", "succeeded", "p50", "p99", "p99.9", "maximum"].map(str::to_owned);
    let mut table = Table::new("Kinds of request", columns.into());
    for (label, result) in results {
        for kind in &result.kinds {
            let name = if results.len() == 1 { kind.kind.clone() } else { format!("{label}: {}", kind.kind) };
            let of = &kind.latency;
            let latencies =
                [of.p50_us, of.p99_us, of.p999_us, of.max_us].map(|us| latency_cell(of, us as f64));
            let counts = [quantity::count(kind.sent), quantity::count(kind.succeeded)];
            table.row(&name, counts.into_iter().chain(latencies));
        }
    }
    Some(table)
}

fn generator(results: &[Labelled<'_>]) -> Table {
    let mut table = Table::new("Generator", head(results));
    table.note = "Whether the numbers are the target's: a generator that is busy or late measures itself.";
    let rows: [Row; 6] = [
        ("busiest thread", |of| format!("{:.0} % of a core", of.generator.busiest_thread_share * 100.0)),
        ("CPU time", |of| quantity::duration(of.generator.cpu_s)),
        ("sends late by its own fault", |of| quantity::count(of.generator.late_sends)),
        ("lateness p99", |of| latency_cell(&of.generator.lateness, of.generator.lateness.p99_us as f64)),
        ("lateness maximum", |of| latency_cell(&of.generator.lateness, of.generator.lateness.max_us as f64)),
        ("bottleneck", |of| if of.generator.bottleneck.is_some() { "yes".into() } else { "no".into() }),
    ];
    for (name, of) in rows {
        table.row(name, results.iter().map(|(_, result)| of(result)));
    }
    table
}

fn plans(results: &[Labelled<'_>]) -> Table {
    let mut table = Table::new("Plan", head(results));
    table.prose = true;
    let rows: [Row; 12] = [
        ("target", |of| of.plan.target.clone()),
        ("workload", |of| format!("{}, seed {}", of.plan.workload, of.plan.seed)),
        ("pace", |of| plan::pace(&of.plan)),
        ("connections", |of| quantity::count(of.plan.connections.into())),
        ("requests per connection", |of| match of.plan.requests_per_connection {
            0 => "no limit".into(),
            limit => quantity::count(limit),
        }),
        ("pipelining", |of| quantity::count(of.plan.pipelining.into())),
        ("timeout", |of| quantity::latency(of.plan.timeout_ms as f64 * 1e3)),
        ("threads", |of| format!("{}, {}", of.plan.threads, of.plan.driver)),
        ("run", |of| format!("{:08x}", of.plan.run)),
        ("started", |of| of.started_at.clone()),
        ("tool", |of| of.tool.clone()),
        ("command", |of| quantity::command(&of.command)),
    ];
    for (name, of) in rows {
        table.row(name, results.iter().map(|(_, result)| of(result)));
    }
    table
}

fn hosts(results: &[Labelled<'_>]) -> Table {
    let mut table = Table::new("Host", head(results));
    table.prose = true;
    let rows: [Row; 5] = [
        ("kernel", |of| of.host.kernel.clone()),
        ("processor", |of| of.host.cpu.clone()),
        ("cores", |of| quantity::count(of.host.cores.into())),
        ("memory", |of| quantity::bytes(of.host.memory_bytes)),
        ("frequency governor", |of| match of.host.governor.as_str() {
            "" => "none seen".into(),
            governor => governor.into(),
        }),
    ];
    for (name, of) in rows {
        table.row(name, results.iter().map(|(_, result)| of(result)));
    }
    table
}
