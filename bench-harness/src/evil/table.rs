//! The result as text: what everyone else noticed, what the target did to the attackers, what it used.

use std::fmt;

use super::conduct::Conduct;
use super::report::{AttackResult, EvilResult};
use super::resources::Usage;
use crate::report::quantity::{bytes, count, latency};

/// One attack as a line, while the others go on.
pub(super) fn line(result: &AttackResult) -> String {
    format!(
        "  {}: p99 {} (x{:.2}), {} failed",
        result.verdict,
        time(result.during.latency.p99_us),
        result.p99_ratio,
        count(result.failed_during + result.failed_after)
    )
}

impl fmt::Display for EvilResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}  {} attackers\n\nwell-behaved load: before > during > after",
            self.target, self.attackers
        )?;
        let rows = self.attacks.iter().map(well_behaved);
        rows_of(f, &["attack", "verdict", "p50", "", "p99", "", "max", "failed"], rows)?;
        writeln!(f, "\nattackers")?;
        let rows = self
            .attacks
            .iter()
            .flat_map(|attack| attack.conduct.iter().map(|conduct| attackers(&attack.attack, conduct)));
        let names = [
            "attack",
            "variant",
            "connected",
            "answers",
            "closed",
            "reset",
            "left",
            "held",
            "cut p50",
            "cut max",
            "taken",
        ];
        rows_of(f, &names, rows)?;
        if self.attacks.iter().any(|attack| attack.resources.is_some()) {
            writeln!(f, "\ntarget: before > during > after")?;
            rows_of(
                f,
                &["attack", "memory (peak)", "CPU seconds per second"],
                self.attacks.iter().filter_map(used),
            )?;
        }
        for attack in &self.attacks {
            for note in &attack.notes {
                writeln!(f, "note: {}: {note}", attack.attack)?;
            }
        }
        Ok(())
    }
}

fn well_behaved(result: &AttackResult) -> Vec<String> {
    let phases = [&result.before, &result.during, &result.after].map(|load| &load.latency);
    vec![
        result.attack.clone(),
        result.verdict.to_string(),
        course(&phases.map(|latency| time(latency.p50_us))),
        format!("x{:.2}", result.p50_ratio),
        course(&phases.map(|latency| time(latency.p99_us))),
        format!("x{:.2}", result.p99_ratio),
        course(&phases.map(|latency| time(latency.max_us))),
        course(&[result.failed_before, result.failed_during, result.failed_after].map(count)),
    ]
}

fn attackers(name: &str, conduct: &Conduct) -> Vec<String> {
    let answers: Vec<String> =
        conduct.answers.iter().map(|answer| format!("{}: {}", answer.outcome, count(answer.count))).collect();
    let cut = |us| if conduct.cut_after.count == 0 { "-".to_owned() } else { time(us) };
    vec![
        name.to_owned(),
        conduct.variant.clone(),
        count(conduct.connects),
        if answers.is_empty() { "-".to_owned() } else { answers.join(", ") },
        count(conduct.closed),
        count(conduct.reset),
        count(conduct.left),
        count(conduct.held),
        cut(conduct.cut_after.p50_us),
        cut(conduct.cut_after.max_us),
        bytes(conduct.bytes_taken),
    ]
}

fn used(result: &AttackResult) -> Option<Vec<String>> {
    let resources = result.resources?;
    let phases = [Some(resources.before), resources.during, resources.after];
    let each = |tell: fn(Usage) -> String| phases.map(|usage| usage.map_or("gone".to_owned(), tell));
    Some(vec![
        result.attack.clone(),
        course(&each(|usage| bytes(usage.rss_peak_bytes))),
        course(&each(|usage| format!("{:.2}", usage.cpu_share))),
    ])
}

fn course(phases: &[String; 3]) -> String {
    phases.join(" > ")
}

#[allow(clippy::cast_precision_loss, reason = "below an hour")]
fn time(us: u64) -> String {
    latency(us as f64)
}

/// Columns as wide as their widest cell.
fn rows_of(
    f: &mut fmt::Formatter<'_>,
    names: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    let mut all = vec![names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>()];
    all.extend(rows);
    let widths: Vec<usize> = (0..names.len())
        .map(|column| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in all {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        writeln!(f, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
