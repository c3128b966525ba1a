//! The curve as text.

use std::fmt;

use super::objective::time;
use super::{Maximum, Point, Verdict};

/// Columns of the longest bar.
const BAR_COLUMNS: f64 = 40.0;

/// A step as one line, while the search goes on.
pub(super) fn step(point: &Point) -> String {
    let said = if point.held { "holds".to_owned() } else { point.missed.join(", ") };
    format!("{:>10.0} requests/s  p99 {:>10}  {said}", point.rate, time(point.load.latency.p99_us))
}

impl fmt::Display for Maximum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}\n", self.target, self.objective)?;
        writeln!(f, "{:>10} {:>10} {:>10} {:>10}   p99 (logarithmic)", "rate/s", "p50", "p99", "p99.9")?;
        let mut points: Vec<&Point> = self.points.iter().collect();
        points.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let longest = points.iter().map(|point| height(point)).fold(1.0, f64::max);
        for point in points {
            let latency = &point.load.latency;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 40")]
            let bar = "█".repeat((height(point) / longest * BAR_COLUMNS).round() as usize);
            let (mark, why) =
                if point.held { ('✓', String::new()) } else { ('✗', point.missed.join(", ")) };
            let (p50, p99, p999) = (time(latency.p50_us), time(latency.p99_us), time(latency.p999_us));
            let generator = if point.load.generator.bottleneck.is_some() { " (generator)" } else { "" };
            let text =
                format!("{:>10.0} {p50:>10} {p99:>10} {p999:>10} {mark} {bar} {why}{generator}", point.rate);
            writeln!(f, "{}", text.trim_end())?;
        }
        match &self.verdict {
            Verdict::Max { rate, missed } => {
                writeln!(f, "\nmax {rate:.0} requests/s ({missed:.0} misses)")
            }
            Verdict::AtLeast { rate, because } => {
                writeln!(f, "\nat least {rate:.0} requests/s, more could not be tried: {because}")
            }
            Verdict::Nothing { because } => writeln!(f, "\nno rate holds; {because}"),
        }
    }
}

/// Of a bar: latencies span decades, so their logarithm.
#[allow(clippy::cast_precision_loss, reason = "below an hour")]
fn height(point: &Point) -> f64 {
    (point.load.latency.p99_us.max(1) as f64).log2()
}
