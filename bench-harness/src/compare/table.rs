//! A comparison as text: one screen.

use std::fmt::{self, Write as _};

use super::comparison::{Comparison, Quantity, Row, Side};
use super::statistics::METHOD;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "A  {}", described(&self.a))?;
        writeln!(f, "B  {}", described(&self.b))?;
        let again = if self.kept_running { "both kept running" } else { "each started anew" };
        writeln!(
            f,
            "{} rounds in turn (A B, B A, …), {} s each after {} s of warm-up, {again}",
            self.rounds, self.seconds, self.warmup_seconds
        )?;
        if let Some(run) = self.runs.first() {
            let plan = &run.load.plan;
            let pace = if plan.schedule.is_some() { "open loop" } else { "closed loop" };
            writeln!(
                f,
                "load: {}, {pace}, {} connections, {} threads{}",
                plan.workload,
                plan.connections,
                plan.threads,
                on(&self.generator_cpus)
            )?;
        }
        writeln!(f, "host: {}, {}, {} cores\n", self.host.cpu, self.host.kernel, self.host.cores)?;
        writeln!(f, "{:<28}{:>12}{:>12}{:>9}  {:<18}", "", "A", "B", "A/B", "95 % interval")?;
        let mut notes = Vec::new();
        for row in &self.rows {
            line(f, row, &mut notes)?;
        }
        writeln!(f)?;
        for (number, note) in (1..).zip(&notes) {
            writeln!(f, "[{number}] {note}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        writeln!(f, "ratio: {METHOD}")
    }
}

fn described(side: &Side) -> String {
    let version = side.version.as_ref().map_or_else(String::new, |version| format!(" ({version})"));
    format!("{}{version}{}: {}", side.name, on(&side.cpus), side.command.join(" "))
}

fn on(cpus: &[usize]) -> String {
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    if list.is_empty() { String::new() } else { format!(" on CPU {}", list.join(", ")) }
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row, notes: &mut Vec<String>) -> fmt::Result {
    let (name, unit) = wording(row.quantity);
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| grouped(value / unit));
    let ratio = row.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.3}", ratio.ratio));
    let interval = row.ratio.and_then(|ratio| ratio.interval);
    let interval = interval
        .map_or_else(|| "–".to_owned(), |interval| format!("{:.3} to {:.3}", interval.low, interval.high));
    let verdict = match row.ratio {
        Some(ratio) if ratio.differs() && ratio.ratio > 1.0 => "A is higher",
        Some(ratio) if ratio.differs() => "A is lower",
        Some(_) => "no difference shown",
        None => "",
    };
    let mut mark = String::new();
    if let Some(note) = &row.note {
        let at = notes.iter().position(|known| known == note).unwrap_or_else(|| {
            notes.push(note.clone());
            notes.len() - 1
        });
        write!(mark, " [{}]", at + 1)?;
    }
    let text = format!(
        "{name:<28}{:>12}{:>12}{ratio:>9}  {interval:<18}{verdict}{mark}",
        value(row.a),
        value(row.b)
    );
    writeln!(f, "{}", text.trim_end())
}

/// What a row is called, and what its values are divided by.
fn wording(quantity: Quantity) -> (&'static str, f64) {
    match quantity {
        Quantity::ThroughputPerS => ("throughput, requests/s", 1.0),
        Quantity::LatencyP50Us => ("latency p50, ms", 1e3),
        Quantity::LatencyP99Us => ("latency p99, ms", 1e3),
        Quantity::CpuSPerMillion => ("CPU s per million requests", 1.0),
        Quantity::InstructionsPerRequest => ("instructions per request", 1.0),
        Quantity::PeakRssBytes => ("peak RSS, MiB", 1024.0 * 1024.0),
    }
}

/// Three digits at least, thousands apart: `12,345`, `123`, `12.3`, `1.23`, `0.0123`.
pub(crate) fn grouped(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 6")]
    let digits = if value > 0.0 { (2.0 - value.log10().floor()).clamp(0.0, 6.0) as usize } else { 0 };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
