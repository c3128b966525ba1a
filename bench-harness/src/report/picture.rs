//! Which curves show a run: latency by percentile, throughput, failures, latency over time.

use crate::latency::Distribution;
use crate::report::axis::{Axis, Scale, Unit};
use crate::report::curve::{Chart, Form, NEUTRAL, Series, Stroke};
use crate::report::quantity;
use crate::result::{LoadResult, Second};

const BLUE: u8 = 0;
const VERMILION: u8 = 1;
const GREEN: u8 = 2;

/// A result and what it is called where several are shown together.
pub type Labelled<'a> = (&'a str, &'a LoadResult);

/// Latency against the share of requests that were not slower; every nine takes the same room, so that the tail is
/// as wide as the body. In full from the planned send time, dashed from the actual one.
#[must_use]
pub fn percentiles(results: &[Labelled<'_>]) -> Chart {
    let most = results.iter().map(|(_, result)| result.latency.count.max(10)).max().unwrap_or(10);
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    let end = 1.0 - 0.5 / most as f64;
    let mut chart = Chart::new(
        "Latency by percentile",
        describe(results, |result| {
            let (median, p99, max) = (result.latency.p50_us, result.latency.p99_us, result.latency.max_us);
            format!("median {}, 99th percentile {}, maximum {}", us(median), us(p99), us(max))
        }),
        Axis::new("share of requests at or below this latency", Scale::Quantile, Unit::Share)
            .from(0.0)
            .to(end),
        Axis::new("latency", Scale::Log, Unit::Latency),
    );
    for (&(label, result), colour) in results.iter().zip(0_u8..) {
        let corrected = Series::new(
            name(results, label, if is_open(result) { "corrected" } else { "latency" }),
            quantiles(&result.latency),
        );
        chart = chart.with(corrected.colour(colour).form(Form::Steps(0.0)));
        if is_open(result) {
            let uncorrected =
                Series::new(name(results, label, "uncorrected"), quantiles(&result.uncorrected));
            let colour = if results.len() == 1 { VERMILION } else { colour };
            chart = chart.with(uncorrected.colour(colour).stroke(Stroke::Dashed).form(Form::Steps(0.0)));
        }
    }
    chart.height(380.0)
}

/// Requests planned and answered with success, second by second.
#[must_use]
pub fn throughput(results: &[Labelled<'_>]) -> Chart {
    let mut chart = Chart::new(
        "Throughput over time",
        describe(results, |result| {
            format!("{} successes per second on average", quantity::number(result.totals.succeeded_per_s))
        }),
        time(results),
        Axis::new("requests per second", Scale::Linear, Unit::Number),
    );
    let one_plan = results.windows(2).all(|pair| pair[0].1.plan.schedule == pair[1].1.plan.schedule);
    for (&(label, result), colour) in results.iter().zip(0_u8..) {
        if is_open(result) && !(one_plan && colour > 0) {
            let name = if one_plan { "planned".into() } else { name(results, label, "planned") };
            let planned = Series::new(name, seconds(result, |second| second.planned));
            let colour = if one_plan { NEUTRAL } else { colour };
            chart = chart.with(planned.colour(colour).stroke(Stroke::Dashed).form(Form::Steps(1.0)));
        }
        let succeeded =
            Series::new(name(results, label, "succeeded"), seconds(result, |second| second.succeeded));
        chart = chart.with(succeeded.colour(colour).form(Form::Steps(1.0)));
    }
    chart.height(300.0)
}

/// Failures, second by second, on an axis of their own: few among many must not vanish. `None` when there are none.
#[must_use]
pub fn failures(results: &[Labelled<'_>]) -> Option<Chart> {
    if results.iter().all(|(_, result)| result.seconds.iter().all(|second| second.failed == 0)) {
        return None;
    }
    let mut chart = Chart::new(
        "Failures over time",
        describe(results, |result| format!("{} failures", quantity::count(result.totals.failed))),
        time(results),
        Axis::new("failures per second", Scale::Linear, Unit::Number),
    );
    for (&(label, result), colour) in results.iter().zip(0_u8..) {
        let (colour, stroke) =
            if results.len() == 1 { (VERMILION, Stroke::Solid) } else { (colour, stroke(colour)) };
        let failed = Series::new(name(results, label, "failed"), seconds(result, |second| second.failed));
        chart = chart.with(failed.colour(colour).stroke(stroke).form(Form::Area(1.0)));
    }
    Some(chart.height(190.0))
}

/// A name, a value of every second, and the looks where there is one result.
type Curve = (&'static str, fn(&Second) -> u64, u8, Stroke);

/// Median, 99th percentile and maximum of each second.
#[must_use]
pub fn latency_over_time(results: &[Labelled<'_>]) -> Chart {
    let mut chart = Chart::new(
        "Latency over time",
        describe(results, |result| {
            let worst = result.seconds.iter().max_by_key(|second| second.max_us);
            worst.map_or_else(String::new, |second| {
                format!("the slowest answer, {}, came in second {}", us(second.max_us), second.second)
            })
        }),
        time(results),
        Axis::new("latency of the answers of each second", Scale::Log, Unit::Latency),
    );
    for (&(label, result), colour) in results.iter().zip(0_u8..) {
        let curves: [Curve; 3] = [
            ("maximum", |second| second.max_us, VERMILION, Stroke::Dotted),
            ("p99", |second| second.p99_us, BLUE, Stroke::Solid),
            ("p50", |second| second.p50_us, GREEN, Stroke::Dashed),
        ];
        for (of, value, own, stroke) in curves {
            let colour = if results.len() == 1 { own } else { colour };
            let stroke = if results.len() == 1 { Stroke::Solid } else { stroke };
            // A second without answers has no latency: a gap.
            let points = seconds(result, value).into_iter();
            let points = points.map(|(x, y)| (x + 0.5, if y > 0.0 { y } else { f64::NAN })).collect();
            chart = chart.with(Series::new(name(results, label, of), points).colour(colour).stroke(stroke));
        }
    }
    chart
}

/// Whether there was a plan to be late for.
pub(super) fn is_open(result: &LoadResult) -> bool {
    result.plan.schedule.is_some()
}

/// The distribution as a staircase: from the share of requests below a latency on, that latency.
#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn quantiles(of: &Distribution) -> Vec<(f64, f64)> {
    let mut below = 0;
    let mut points = Vec::with_capacity(of.buckets.len());
    for bucket in &of.buckets {
        points.push((below as f64 / of.count.max(1) as f64, bucket.us as f64));
        below += bucket.count;
    }
    points
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn seconds(result: &LoadResult, value: impl Fn(&Second) -> u64) -> Vec<(f64, f64)> {
    result.seconds.iter().map(|second| (f64::from(second.second), value(second) as f64)).collect()
}

/// All charts over time have the same axis, so that a moment stands at the same place in each. It ends with the run,
/// not with the last second that was begun: that one would look like a drop.
fn time(results: &[Labelled<'_>]) -> Axis {
    let ends = results.iter().filter_map(|(_, result)| {
        let last = result.seconds.last()?;
        Some(result.totals.elapsed_s.max(result.plan.seconds).min(f64::from(last.second + 1)))
    });
    let end = ends.fold(0.0, f64::max);
    Axis::new("time since the start", Scale::Linear, Unit::Time).from(0.0).to(if end > 0.0 {
        end
    } else {
        1.0
    })
}

fn name(results: &[Labelled<'_>], label: &str, of: &str) -> String {
    if results.len() == 1 { of.to_owned() } else { format!("{label}: {of}") }
}

fn stroke(colour: u8) -> Stroke {
    [Stroke::Solid, Stroke::Dashed, Stroke::Dotted][usize::from(colour % 3)]
}

fn describe(results: &[Labelled<'_>], of: impl Fn(&LoadResult) -> String) -> String {
    let each =
        results.iter().map(
            |(label, result)| {
                if results.len() == 1 { of(result) } else { format!("{label}: {}", of(result)) }
            },
        );
    each.collect::<Vec<_>>().join("; ")
}

#[allow(clippy::cast_precision_loss, reason = "at most an hour")]
fn us(value: u64) -> String {
    quantity::latency(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::curve::Size;
    use crate::report::sample;

    #[test]
    fn the_stairs_say_what_the_percentiles_say() {
        let latency = sample::result().latency;
        let stairs = quantiles(&latency);
        for (quantile, us) in [(0.5, latency.p50_us), (0.99, latency.p99_us), (0.999, latency.p999_us)] {
            // A hair below, as a bucket's share ends where the next one's begins.
            let step = stairs.iter().rfind(|point| point.0 < quantile - 1e-9).unwrap();
            assert!((step.1 - f64::from(u32::try_from(us).unwrap())).abs() < 0.5, "{quantile}");
        }
    }

    #[test]
    fn the_values_under_the_pointer_are_the_distributions() {
        let result = sample::result();
        let readings = percentiles(&[("a", &result)]).readings(300);
        let mut seen = 0;
        for (at, us) in [
            ("50 %", result.latency.p50_us),
            ("99 %", result.latency.p99_us),
            ("99.9 %", result.latency.p999_us),
        ] {
            for reading in readings.iter().filter(|reading| reading.at == at) {
                assert_eq!(reading.values[0].as_deref(), Some(super::us(us).as_str()), "{at}");
                seen += 1;
            }
        }
        assert!(seen >= 2, "{readings:?}");
    }

    #[test]
    fn results_with_one_plan_show_it_once() {
        let (one, mut other) = (sample::result(), sample::result());
        assert_eq!(throughput(&[("a", &one), ("b", &other)]).series.len(), 3);
        other.plan.schedule = Some(crate::schedule::Schedule::constant(500.0, 30.0));
        assert_eq!(throughput(&[("a", &one), ("b", &other)]).series.len(), 4);
    }

    #[test]
    fn a_closed_loop_has_no_plan_and_no_second_curve() {
        let mut result = sample::result();
        result.plan.schedule = None;
        let results = [("only", &result)];
        assert_eq!(percentiles(&results).series.len(), 1);
        assert_eq!(throughput(&results).series.len(), 1);
    }

    #[test]
    fn failures_are_drawn_only_where_there_are_some() {
        let mut result = sample::result();
        assert!(failures(&[("a", &result)]).is_some());
        result.seconds.iter_mut().for_each(|second| second.failed = 0);
        assert!(failures(&[("a", &result)]).is_none());
    }

    #[test]
    fn time_ends_with_the_run() {
        let mut result = sample::result();
        let end = |result: &LoadResult| {
            let readings = throughput(&[("a", result)]).readings(100);
            readings.last().unwrap().place
        };
        let before = end(&result);
        // Answers that came 4 ms after the planned end are in a second of their own: a sliver, not a second more.
        result.seconds.push(Second { second: 30, succeeded: 1, ..Second::default() });
        assert!(before < 1.0 && (end(&result) - 1.0).abs() < 1e-9);
        let svg = throughput(&[("a", &result)]).inline(Size::Wide, "x");
        assert!(svg.contains(">30 s<"), "{svg}");
    }

    #[test]
    fn curves_of_several_results_are_told_apart() {
        let result = sample::result();
        let results = [("a", &result), ("b", &result)];
        for chart in [percentiles(&results), throughput(&results), latency_over_time(&results)] {
            let mut looks: Vec<_> =
                chart.series.iter().map(|series| (series.colour, series.stroke as u8)).collect();
            looks.sort_unstable();
            looks.dedup();
            assert_eq!(looks.len(), chart.series.len(), "{}", chart.title);
        }
    }

    #[test]
    fn a_result_without_seconds_is_drawn_too() {
        let mut result = sample::result();
        result.seconds.clear();
        result.latency = Distribution::default();
        let results = [("a", &result)];
        for chart in [percentiles(&results), throughput(&results), latency_over_time(&results)] {
            let svg = chart.inline(Size::Narrow, "x");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
