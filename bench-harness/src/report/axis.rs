//! Axes: where a value stands between two ends, and which values get a tick.

use crate::report::quantity;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; only values above 0 have a place.
    Log,
    /// Quantiles (0 to 1, 1 excluded) by the number of nines: 0, 90 %, 99 %, 99.9 % are equally far apart.
    Quantile,
}

/// A curve must not lie on the edge of its plot.
const HEADROOM: f64 = 1.04;

/// What the numbers on an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    Number,
    /// Latencies in µs.
    Latency,
    /// Time since the start, in seconds.
    Time,
    /// Shares from 0 to 1, shown in percent.
    Share,
}

/// One axis of a chart, before the data is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    pub(super) unit: Unit,
    lowest: Option<f64>,
    highest: Option<f64>,
}

impl Axis {
    /// An axis that fits its ends to the data.
    #[must_use]
    pub fn new(label: impl Into<String>, scale: Scale, unit: Unit) -> Self {
        Self { label: label.into(), scale, unit, lowest: None, highest: None }
    }

    /// Begins at `lowest`, whatever the data says.
    #[must_use]
    pub fn from(self, lowest: f64) -> Self {
        Self { lowest: Some(lowest), ..self }
    }

    /// Ends at `highest`, whatever the data says.
    #[must_use]
    pub fn to(self, highest: f64) -> Self {
        Self { highest: Some(highest), ..self }
    }

    /// The ends for this data: given ones as they are, others moved outwards to a round number.
    pub(super) fn span(&self, values: impl Iterator<Item = f64>) -> Span {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| self.scale.has(*value)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = if self.scale == Scale::Log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        let (low, high) = match self.scale {
            // From zero: a cut-off axis makes small differences look large.
            Scale::Linear => (low.min(0.0), if high > 0.0 { round_up(high * HEADROOM) } else { 1.0 }),
            Scale::Log => (round_down(low), round_up(high * HEADROOM)),
            Scale::Quantile => (0.0, high),
        };
        let from = self.lowest.unwrap_or(low);
        let to = self.highest.unwrap_or(high);
        let to = match self.scale {
            Scale::Log if to <= from => from * 10.0,
            Scale::Quantile if to <= from => 0.9,
            Scale::Linear if to <= from => from + 1.0,
            _ => to,
        };
        Span { scale: self.scale, from, to }
    }

    /// At most `wanted` labelled ticks and a few without a label between them.
    pub(super) fn ticks(&self, span: &Span, wanted: usize) -> Vec<Tick> {
        let values = match self.scale {
            Scale::Log => return log_ticks(span.from, span.to, wanted, self.unit),
            Scale::Quantile => quantile_ticks(span.to),
            Scale::Linear => {
                linear_ticks(span.from, span.to, linear_step(span.to - span.from, wanted, self.unit))
            }
        };
        let step = values.get(1).map_or(1.0, |second| second - values[0]);
        let ticks = values.into_iter().map(|at| Tick { at, label: Some(self.unit.label(at, step)) });
        ticks.collect()
    }
}

impl Scale {
    fn has(self, value: f64) -> bool {
        value.is_finite() && (self != Scale::Log || value > 0.0) && (self != Scale::Quantile || value < 1.0)
    }

    fn transform(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
            Scale::Quantile => -(1.0 - value).log10(),
        }
    }
}

impl Unit {
    /// A value as a reader sees it beside the curve.
    pub(super) fn reading(self, value: f64) -> String {
        match self {
            Unit::Number => quantity::number(value),
            Unit::Latency => quantity::latency(value),
            Unit::Time => quantity::duration(value),
            Unit::Share => percent(value),
        }
    }

    /// A value as a tick's label, with as many decimals as `step` between ticks asks for.
    fn label(self, value: f64, step: f64) -> String {
        match self {
            Unit::Number if value >= 1e6 && step >= 1e4 => format!("{} M", trimmed(value / 1e6, step / 1e6)),
            Unit::Number if value >= 100.0 => quantity::number(value),
            Unit::Number => trimmed(value, step),
            Unit::Time => quantity::duration(value),
            Unit::Latency => quantity::latency(value),
            Unit::Share => percent(value),
        }
    }
}

/// The two ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Span {
    /// 0 at the lower end, 1 at the upper; values outside are put at the nearer end, those that have no place are `None`.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if value.is_nan() || (self.scale == Scale::Log && value <= 0.0) {
            return None;
        }
        let at = |value| self.scale.transform(value);
        Some(((at(value) - at(self.from)) / (at(self.to) - at(self.from))).clamp(0.0, 1.0))
    }

    /// The quantile near `place` (0 to 1) that can be said in few digits.
    pub(super) fn round_quantile(&self, place: f64) -> f64 {
        let rest = 1.0 - self.value(place);
        let digits = power_of_ten(rest) / 10.0;
        1.0 - (rest / digits).round() * digits
    }

    /// The value that stands at `place` (0 to 1).
    pub(super) fn value(&self, place: f64) -> f64 {
        let (from, to) = (self.scale.transform(self.from), self.scale.transform(self.to));
        let at = from + (to - from) * place;
        match self.scale {
            Scale::Linear => at,
            Scale::Log => 10_f64.powf(at),
            Scale::Quantile => 1.0 - 10_f64.powf(-at),
        }
    }
}

/// A line across the plot, perhaps with a label.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: Option<String>,
}

/// The smallest step (1, 2 or 5 times a power of ten; for time also parts of minutes and hours) with at most `wanted` ticks.
fn linear_step(length: f64, wanted: usize, unit: Unit) -> f64 {
    const TIMES: [f64; 11] = [10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];
    #[allow(clippy::cast_precision_loss, reason = "a handful of ticks")]
    let least = length / (wanted.max(2) - 1) as f64;
    let time =
        (unit == Unit::Time && least > 5.0).then(|| TIMES.into_iter().find(|&step| step >= least)).flatten();
    time.unwrap_or_else(|| {
        let power = power_of_ten(least);
        [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|digit| digit * power)
            .find(|step| *step >= least * (1.0 - 1e-9))
            .unwrap_or(least)
    })
}

fn linear_ticks(from: f64, to: f64, step: f64) -> Vec<f64> {
    let slack = step * 1e-6;
    let first = ((from - slack) / step).ceil();
    // Multiplied, not summed up: no error grows, and 0 is 0.
    let ticks = (0..1000).map(|n| (first + f64::from(n)) * step + 0.0);
    ticks.take_while(|tick| *tick <= to + slack).collect()
}

/// Powers of ten, with 2 and 5 between them: labelled too where there is room.
fn log_ticks(from: f64, to: f64, wanted: usize, unit: Unit) -> Vec<Tick> {
    const SLACK: f64 = 1.0 + 1e-9;
    let all: Vec<(f64, u8)> = powers(from, to)
        .flat_map(|power| [1_u8, 2, 5].map(|digit| (power * f64::from(digit), digit)))
        .filter(|(at, _)| *at * SLACK >= from && *at <= to * SLACK)
        .collect();
    let tens = all.iter().filter(|(_, digit)| *digit == 1).count();
    let label_all = all.len() <= wanted || tens < 2;
    let every = tens.div_ceil(wanted.max(1)).max(1);
    let mut ten = 0;
    all.into_iter()
        .map(|(at, digit)| {
            let labelled = label_all || (digit == 1 && ten % every == 0);
            ten += usize::from(digit == 1);
            Tick { at, label: labelled.then(|| unit.label(at, at)) }
        })
        .collect()
}

/// 0, 50 %, 90 %, 99 %, 99.9 % … below `to`.
fn quantile_ticks(to: f64) -> Vec<f64> {
    let nines = (1..=9).map(|nines| 1.0 - 10_f64.powi(-nines));
    [0.0, 0.5].into_iter().chain(nines).filter(|tick| *tick <= to).collect()
}

fn powers(from: f64, to: f64) -> impl Iterator<Item = f64> {
    let (low, high) = (from.log10().floor(), to.log10().ceil());
    #[allow(clippy::cast_possible_truncation, reason = "exponents of an f64")]
    (low as i32..=high as i32).map(|exponent| 10_f64.powi(exponent))
}

fn power_of_ten(value: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, reason = "exponents of an f64")]
    10_f64.powi((value * (1.0 + 1e-9)).log10().floor() as i32)
}

/// The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = power_of_ten(value);
    let digits = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    digits
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round * (1.0 + 1e-9) >= value)
        .unwrap_or(value)
}

/// The last of 1, 2, 5 times a power of ten.
fn round_down(value: f64) -> f64 {
    let power = power_of_ten(value);
    let digits = [5.0, 2.0, 1.0];
    digits
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round <= value * (1.0 + 1e-9))
        .unwrap_or(value)
}

/// A quantile in percent with two digits of what is missing to all: `99 %`, `99.9 %`, `99.88 %`.
fn percent(quantile: f64) -> String {
    let nines = -(1.0 - quantile.min(1.0 - 1e-9)).log10();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most nine")]
    let places = (nines + 1e-6).floor().max(0.0) as usize;
    let text = format!("{:.places$}", quantile * 100.0);
    let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

fn trimmed(value: f64, step: f64) -> String {
    let mut places = 0;
    let mut scaled = step;
    while places < 9 && (scaled - scaled.round()).abs() > 1e-6 {
        scaled *= 10.0;
        places += 1;
    }
    format!("{value:.places$}")
}

#[cfg(test)]
#[path = "axis_tests.rs"]
mod tests;
