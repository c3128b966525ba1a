//! What a rate must hold: `p99=20ms,errors=0.1%`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::LoadResult;

/// Errors that are allowed when the objective does not say.
const ERRORS_BY_DEFAULT: f64 = 0.001;

/// Below this share of what was planned the target, or the generator, did not keep up.
const ACHIEVED_MIN: f64 = 0.99;

/// What a rate must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Objective {
    /// At least one.
    pub latencies: Vec<LatencyLimit>,
    /// Share of requests, 0 to 1, that may fail.
    pub errors_max: f64,
}

/// A quantile and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyLimit {
    /// 0 to 1.
    pub quantile: f64,
    /// In µs, from the planned send time.
    pub us_max: u64,
}

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("objective {0:?}: {1}; write for instance p99=20ms or p50=2ms,p999=100ms,errors=0.1%")]
pub struct ObjectiveError(String, &'static str);

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let (mut latencies, mut errors) = (Vec::<LatencyLimit>::new(), None);
        for part in text.split(',') {
            let wrong = |why| ObjectiveError(part.to_owned(), why);
            let (name, value) = part.trim().split_once('=').ok_or_else(|| wrong("not NAME=VALUE"))?;
            if name == "errors" {
                let share = share(value).ok_or_else(|| wrong("not a percentage from 0% to below 100%"))?;
                if errors.replace(share).is_some() {
                    return Err(wrong("given twice"));
                }
                continue;
            }
            let quantile = quantile(name).ok_or_else(|| wrong("not p50, p90, p99, p999, p9999 or errors"))?;
            let us_max = micros(value).ok_or_else(|| wrong("not a time above 0 in us, ms or s"))?;
            if latencies.iter().any(|limit| limit.quantile.total_cmp(&quantile).is_eq()) {
                return Err(wrong("given twice"));
            }
            latencies.push(LatencyLimit { quantile, us_max });
        }
        if latencies.is_empty() {
            let why = "without a latency: a target that queues everything has no errors";
            return Err(ObjectiveError(text.to_owned(), why));
        }
        Ok(Self { latencies, errors_max: errors.unwrap_or(ERRORS_BY_DEFAULT) })
    }
}

const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];

fn quantile(name: &str) -> Option<f64> {
    QUANTILES.iter().find(|(known, _)| *known == name).map(|&(_, quantile)| quantile)
}

/// The name of a quantile that was read by [`quantile`].
fn named(quantile: f64) -> &'static str {
    QUANTILES
        .iter()
        .find(|(_, known)| known.total_cmp(&quantile).is_eq())
        .map_or("latency", |&(name, _)| name)
}

/// A percentage as a share below 1.
fn share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..100.0).contains(&percent).then_some(percent / 100.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below")]
fn micros(text: &str) -> Option<u64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?.parse::<f64>().ok()?, unit)))?;
    let us = (number * unit).round();
    (1.0..=3.6e9).contains(&us).then_some(us as u64)
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for limit in &self.latencies {
            write!(f, "{} ≤ {}, ", named(limit.quantile), time(limit.us_max))?;
        }
        write!(f, "errors ≤ {} %", percent(self.errors_max))
    }
}

/// Without the noise of binary fractions.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// µs as people write them.
pub(super) fn time(us: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "below an hour")]
    let us_exact = us as f64;
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{} ms", us_exact / 1e3),
        _ => format!("{} s", us_exact / 1e6),
    }
}

impl Objective {
    /// What of the objective `result` misses, each in words; empty: all of it is held. That it kept up with the plan is
    /// part of every objective.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    pub fn missed(&self, result: &LoadResult) -> Vec<String> {
        let (totals, mut missed) = (&result.totals, Vec::new());
        for limit in &self.latencies {
            let us = result.latency.at(limit.quantile);
            if us > limit.us_max || result.latency.count == 0 {
                missed.push(format!("{} {}", named(limit.quantile), time(us)));
            }
        }
        let planned = totals.planned as f64;
        let errors = totals.failed as f64 / planned.max(1.0);
        if errors > self.errors_max {
            missed.push(format!("errors {} %", percent((errors * 1e4).ceil() / 1e4)));
        }
        // Answers of any status: which of them may be errors is the objective's own business.
        let answered: u64 = totals
            .outcomes
            .iter()
            .filter(|outcome| outcome.outcome.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|outcome| outcome.count)
            .sum();
        if (answered as f64) < planned * ACHIEVED_MIN || totals.planned == 0 {
            missed.push(format!("answered {answered} of {}", totals.planned));
        }
        if totals.unsent > 0 {
            missed.push(format!("{} could not be sent in time", totals.unsent));
        }
        missed
    }
}
