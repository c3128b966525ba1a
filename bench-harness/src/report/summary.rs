//! A run on one screen of a terminal: at most 24 lines of at most 100 columns, plain text.

use crate::latency::Distribution;
use crate::report::picture::is_open;
use crate::report::{plan, quantity};
use crate::result::LoadResult;

/// Columns that no line exceeds.
pub const COLUMNS_MAX: usize = 100;
/// Lines that no summary exceeds.
pub const LINES_MAX: usize = 24;
/// Columns of the picture of the distribution.
const BARS: usize = 56;

/// The summary, with a newline at its end. A generator that was the bottleneck is said loudly, first and last.
#[must_use]
pub fn summary(result: &LoadResult) -> String {
    let mut lines = Vec::new();
    lines.extend(warning(result));
    lines.push(format!("  target      {}", result.plan.target));
    lines.push(format!(
        "  plan        {} of {}, {} connections, {} {}, {}",
        plan::pace(&result.plan),
        result.plan.workload,
        quantity::count(result.plan.connections.into()),
        result.plan.threads,
        if result.plan.threads == 1 { "thread" } else { "threads" },
        result.plan.driver
    ));
    lines.push(String::new());
    lines.push(format!("  rate        {}", rate(result)));
    lines.push(format!("  requests    {}", requests(result)));
    lines.push(format!("  outcomes    {}", outcomes(result, COLUMNS_MAX - 14)));
    lines.push(String::new());
    lines.extend(latencies(result));
    lines.push(String::new());
    lines.push(format!("  generator   {}", health(result)));
    if result.generator.bottleneck.is_some() {
        lines.push(
            "  !!          the generator was the bottleneck: these are not the target's numbers".into(),
        );
    }
    debug_assert!(lines.len() <= LINES_MAX);
    lines.iter().map(|line| clipped(line, COLUMNS_MAX) + "\n").collect()
}

/// A box of five to seven lines that can't be overlooked.
fn warning(result: &LoadResult) -> Vec<String> {
    const INNER: usize = COLUMNS_MAX - 4;
    let Some(reason) = &result.generator.bottleneck else {
        return Vec::new();
    };
    let bar = "!".repeat(COLUMNS_MAX);
    let boxed = |text: &str| format!("! {text:<INNER$} !");
    let mut lines = vec![bar.clone(), boxed("THESE NUMBERS ARE THE GENERATOR'S, NOT THE TARGET'S.")];
    lines.extend(wrapped(reason, INNER, 3).iter().map(|line| boxed(line)));
    lines.extend([bar, String::new()]);
    lines
}

fn rate(result: &LoadResult) -> String {
    let achieved = quantity::number(result.totals.succeeded_per_s);
    match plan::rate(result) {
        Some(planned) => format!(
            "{achieved}/s succeeded, {}/s planned: {} of the plan",
            quantity::number(planned),
            quantity::share(result.totals.succeeded, result.totals.planned)
        ),
        None => format!("{achieved}/s succeeded, as fast as the target answered (closed loop)"),
    }
}

fn requests(result: &LoadResult) -> String {
    let totals = &result.totals;
    let mut parts = vec![
        format!("{} sent", quantity::count(totals.sent)),
        format!("{} succeeded", quantity::count(totals.succeeded)),
        format!("{} failed", quantity::count(totals.failed)),
    ];
    if totals.unsent > 0 {
        parts.push(format!("{} due but NEVER SENT", quantity::count(totals.unsent)));
    }
    if totals.connect_failures > 0 {
        parts.push(format!("{} connections failed", quantity::count(totals.connect_failures)));
    }
    parts.join(", ")
}

/// The most frequent first, as many as there is room for.
fn outcomes(result: &LoadResult, room: usize) -> String {
    let mut outcomes: Vec<_> = result.totals.outcomes.iter().collect();
    outcomes.sort_by_key(|of| std::cmp::Reverse(of.count));
    let mut text = String::new();
    for (shown, of) in outcomes.iter().enumerate() {
        let next = format!("{}: {}", of.outcome, quantity::count(of.count));
        if shown > 0 && text.chars().count() + next.chars().count() + 16 > room {
            return format!("{text}   and {} more", outcomes.len() - shown);
        }
        if shown > 0 {
            text += "   ";
        }
        text += &next;
    }
    if text.is_empty() { "none".into() } else { text }
}

fn latencies(result: &LoadResult) -> Vec<String> {
    let row = |name: &str, cells: [String; 5], note: &str| {
        let [p50, p90, p99, p999, max] = cells;
        format!("  {name:<12}{p50:>10}{p90:>10}{p99:>10}{p999:>10}{max:>12}   {note}").trim_end().to_owned()
    };
    let cells = |of: &Distribution| {
        [of.p50_us, of.p90_us, of.p99_us, of.p999_us, of.max_us]
            .map(|us| if of.count == 0 { "–".into() } else { latency(us) })
    };
    let mut lines = vec![row("latency", ["p50", "p90", "p99", "p99.9", "max"].map(str::to_owned), "")];
    if is_open(result) {
        lines.push(row("corrected", cells(&result.latency), "from the planned send"));
        lines.push(row("uncorrected", cells(&result.uncorrected), "from the actual send"));
    } else {
        lines.push(row("closed loop", cells(&result.uncorrected), "stalls are hidden"));
    }
    if result.latency.count > 0 {
        let (low, high) = (latency(result.latency.min_us), latency(result.latency.max_us));
        lines.push(format!("  {:<12}{low} ▕{}▏ {high}", "", bars(&result.latency, BARS)));
    }
    lines
}

/// The distribution as `width` bars from its smallest to its largest latency, both axes logarithmic: a single slow
/// answer is a bar of its own.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts below 2^52, indices below the width"
)]
fn bars(of: &Distribution, width: usize) -> String {
    let (low, high) = ((of.min_us.max(1) as f64).ln(), (of.max_us.max(2) as f64).ln());
    let mut counts = vec![0_u64; width];
    for bucket in &of.buckets {
        let place = ((bucket.us.max(1) as f64).ln() - low) / (high - low).max(1e-9);
        let at = (place.clamp(0.0, 1.0) * width as f64) as usize;
        counts[at.min(width - 1)] += bucket.count;
    }
    let most = (counts.iter().max().copied().unwrap_or(0) as f64).ln_1p();
    let bar = |count: u64| match count {
        0 => ' ',
        _ => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
            [(((count as f64).ln_1p() / most * 8.0) as usize).clamp(1, 8) - 1],
    };
    counts.into_iter().map(bar).collect()
}

fn health(result: &LoadResult) -> String {
    let of = &result.generator;
    let lateness = if of.lateness.count == 0 {
        String::new()
    } else {
        format!(", lateness p99 {}", latency(of.lateness.p99_us))
    };
    format!(
        "busiest thread {:.0} % of a core, {} late by its own fault{lateness}",
        of.busiest_thread_share * 100.0,
        quantity::count(of.late_sends)
    )
}

#[allow(clippy::cast_precision_loss, reason = "at most an hour")]
fn latency(us: u64) -> String {
    quantity::latency(us as f64)
}

/// At most `most` lines of at most `columns` characters; what does not fit ends in `…`.
fn wrapped(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = &lines[lines.len() - 1];
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            if lines.len() == most {
                let last = lines.len() - 1;
                lines[last] = clipped(&format!("{} {word}", lines[last]), columns);
                return lines;
            }
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
        lines[last] = clipped(&lines[last], columns);
    }
    lines
}

/// The line without control characters (a terminal would obey them), cut at `columns`.
fn clipped(line: &str, columns: usize) -> String {
    let clean = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    if line.chars().count() <= columns {
        return line.chars().map(clean).collect();
    }
    line.chars().take(columns - 1).map(clean).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::result::OutcomeCount;

    #[track_caller]
    fn fits(summary: &str) {
        assert!(summary.lines().count() <= LINES_MAX, "{summary}");
        for line in summary.lines() {
            assert!(line.chars().count() <= COLUMNS_MAX && !line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn the_sample_reads_like_this() {
        assert_eq!(summary(&sample::result()), include_str!("summary_sample.txt"));
    }

    #[test]
    fn whatever_is_in_it_it_fits_a_screen() {
        let mut result = sample::result();
        fits(&summary(&result));
        result.plan.target = format!("http://127.0.0.1/{}", "x".repeat(200));
        result.plan.workload = "\u{1b}[31mred".repeat(30);
        result.totals.unsent = 12_345;
        result.totals.connect_failures = 1_234_567;
        let outcome = |status: u64| OutcomeCount { outcome: status.to_string(), count: 1_000_000 * status };
        result.totals.outcomes = (400..440).map(outcome).collect();
        result.generator.bottleneck = Some("reason ".repeat(100));
        fits(&summary(&result));
        result.generator.bottleneck = Some("r".repeat(1000));
        fits(&summary(&result));
        result.latency = Distribution::default();
        result.totals.outcomes.clear();
        fits(&summary(&result));
    }

    #[test]
    fn a_bottleneck_is_said_first_and_last() {
        let mut result = sample::result();
        result.generator.bottleneck =
            Some("its thread was busy 99 % of the time: give it --threads 2".into());
        let summary = summary(&result);
        assert!(summary.starts_with("!!!!") && summary.contains("give it --threads 2"), "{summary}");
        assert!(summary.lines().last().unwrap().contains("not the target's"), "{summary}");
    }

    #[test]
    fn every_latency_has_its_bar() {
        let mut latencies = crate::latency::Latencies::default();
        (0..1000).for_each(|_| latencies.record(std::time::Duration::from_micros(100)));
        latencies.record(std::time::Duration::from_secs(1));
        let bars = bars(&latencies.distribution(), 20);
        assert_eq!(bars.chars().count(), 20);
        assert!(
            bars.starts_with('█') && bars.ends_with('▁') && bars[3..].trim_matches(['▁']).trim().is_empty(),
            "{bars:?}"
        );
    }

    #[test]
    fn a_closed_loop_is_called_one() {
        let mut result = sample::result();
        result.plan.schedule = None;
        let summary = summary(&result);
        assert!(summary.contains("closed loop") && !summary.contains("corrected"), "{summary}");
    }
}
