//! Ratios of paired runs, with how far chance alone may have moved them. Pure arithmetic.
//!
//! Runs are made in pairs, one of each target right after the other, so that what changes slowly on the host (heat,
//! neighbours) meets both alike. Every pair gives one ratio. Ratios are averaged as logarithms, so that 2 and 1/2 come
//! to 1. The interval is Student's t on those logarithms: with the handful of pairs that people wait for, a bootstrap
//! resamples too few values and promises more than it holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the interval is made, for the reader of a result.
pub const METHOD: &str =
    "geometric mean of the per-pair ratios A/B; 95 % interval by Student's t on their logarithms";

/// A ratio A/B over pairs of runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// Geometric mean of the pairs' ratios.
    pub ratio: f64,
    /// The 95 % confidence interval; none for a single pair, of which nobody can say how much is chance.
    pub interval: Option<Interval>,
    /// Pairs that went into it.
    pub pairs: u32,
}

/// An interval that holds the true ratio in 95 of 100 such comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Ratio {
    /// The ratio over `pairs` of (A, B). `None` when there are none or when a value is not above 0: there is no ratio to
    /// nothing.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let usable = |value: f64| value > 0.0 && value.is_finite();
        if pairs.is_empty() || !pairs.iter().all(|&(a, b)| usable(a) && usable(b)) {
            return None;
        }
        let logs: Vec<f64> = pairs.iter().map(|(a, b)| (a / b).ln()).collect();
        let (mean, spread) = mean_and_margin(&logs);
        let interval =
            spread.map(|margin| Interval { low: (mean - margin).exp(), high: (mean + margin).exp() });
        Some(Self { ratio: mean.exp(), interval, pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX) })
    }

    /// Whether the interval leaves no doubt that the two differ.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.interval.is_some_and(|interval| interval.low > 1.0 || interval.high < 1.0)
    }
}

/// The geometric mean; `None` when there are no values or one is not above 0.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a handful of runs")]
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|&value| value > 0.0 && value.is_finite()) {
        return None;
    }
    Some((values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// The mean, and half the width of its 95 % interval: t * s / sqrt(n).
#[allow(clippy::cast_precision_loss, reason = "a handful of runs")]
fn mean_and_margin(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, None);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    (mean, Some(t975(values.len() - 1) * deviation / n.sqrt()))
}

/// The 0.975 quantile of Student's t with this many degrees of freedom (at least 1): tabulated to 30, from there by the
/// expansion in 1/freedom around the normal quantile, which is right to four digits.
#[allow(clippy::cast_precision_loss, reason = "a handful of runs")]
fn t975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788,
        2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
        2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
    ];
    const Z: f64 = 1.959_964;
    if let Some(&t) = freedom.checked_sub(1).and_then(|at| TABLE.get(at)) {
        return t;
    }
    let freedom = freedom as f64;
    let (z3, z5) = (Z.powi(3), Z.powi(5));
    Z + (z3 + Z) / (4.0 * freedom) + (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / (96.0 * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: f64, b: f64, tolerance: f64) -> bool {
        (a - b).abs() <= tolerance * b.abs()
    }

    /// Worked by hand: logs ln 2, ln 4, ln 8 have mean ln 4 and standard deviation ln 2, so the interval is
    /// exp(ln 4 ± 4.3027 ln 2 / sqrt 3).
    #[test]
    fn a_known_sample_gives_the_known_interval() {
        let ratio = Ratio::of(&[(2.0, 1.0), (8.0, 2.0), (24.0, 3.0)]).unwrap();
        let interval = ratio.interval.unwrap();
        let margin = 4.3027 * 2_f64.ln() / 3_f64.sqrt();
        assert!(near(ratio.ratio, 4.0, 1e-9) && ratio.pairs == 3, "{ratio:?}");
        assert!(near(interval.low, 4.0 * (-margin).exp(), 1e-9), "{interval:?}");
        assert!(near(interval.high, 4.0 * margin.exp(), 1e-9), "{interval:?}");
        assert!(!ratio.differs(), "three pairs that far apart prove nothing: {ratio:?}");
    }

    #[test]
    fn the_expansion_meets_the_table_and_the_published_values() {
        for (freedom, t) in
            [(1, 12.7062), (4, 2.7764), (30, 2.0423), (31, 2.0395), (60, 2.0003), (120, 1.9799)]
        {
            assert!(near(t975(freedom), t, 1e-4), "{freedom}: {}", t975(freedom));
        }
        assert!((1..500).all(|freedom| t975(freedom) > t975(freedom + 1)));
    }

    #[test]
    fn one_pair_has_no_interval_and_nothing_has_no_ratio() {
        let ratio = Ratio::of(&[(3.0, 2.0)]).unwrap();
        assert_eq!((ratio.interval, ratio.pairs, ratio.differs()), (None, 1, false));
        assert_eq!(Ratio::of(&[]), None);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Ratio::of(&[(1.0, 1.0), (bad, 1.0)]), None);
            assert_eq!(Ratio::of(&[(1.0, bad)]), None);
            assert_eq!(geometric_mean(&[1.0, bad]), None);
        }
    }

    #[test]
    fn a_clear_difference_is_seen() {
        let ratio = Ratio::of(&[(1.10, 1.0), (1.12, 1.0), (1.11, 1.0), (1.09, 1.0), (1.10, 1.0)]).unwrap();
        assert!(ratio.differs(), "{ratio:?}");
    }

    /// The interval's promise: over many comparisons of equals it misses 1 in about 5 of 100.
    #[test]
    fn the_interval_holds_what_it_promises() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut noise = || {
            let twelve: f64 = (0..12).map(|_| random.f64()).sum();
            ((twelve - 6.0) * 0.05).exp()
        };
        let wrong = (0..4000)
            .filter(|_| {
                let pairs: Vec<_> = (0..5).map(|_| (noise(), noise())).collect();
                Ratio::of(&pairs).unwrap().differs()
            })
            .count();
        assert!((140..=260).contains(&wrong), "{wrong} of 4000, expected about 200");
    }

    proptest! {
        #[test]
        fn equals_have_ratio_one_within_the_interval(values in prop::collection::vec(1e-6_f64..1e9, 1..20)) {
            let pairs: Vec<_> = values.iter().map(|&value| (value, value)).collect();
            let ratio = Ratio::of(&pairs).unwrap();
            prop_assert!(near(ratio.ratio, 1.0, 1e-12));
            prop_assert!(!ratio.differs());
            if let Some(interval) = ratio.interval {
                prop_assert!(interval.low <= 1.0 && 1.0 <= interval.high);
            }
        }

        #[test]
        fn scaling_one_side_scales_the_ratio_and_its_interval(
            pairs in prop::collection::vec((1e-3_f64..1e6, 1e-3_f64..1e6), 2..20),
            k in 1e-3_f64..1e3,
        ) {
            let scaled: Vec<_> = pairs.iter().map(|&(a, b)| (a * k, b)).collect();
            let (before, after) = (Ratio::of(&pairs).unwrap(), Ratio::of(&scaled).unwrap());
            let (low, high) = (before.interval.unwrap(), after.interval.unwrap());
            prop_assert!(near(after.ratio, before.ratio * k, 1e-9));
            prop_assert!(near(high.low, low.low * k, 1e-9) && near(high.high, low.high * k, 1e-9));
        }

        #[test]
        fn swapping_the_sides_inverts_everything(pairs in prop::collection::vec((1e-3_f64..1e6, 1e-3_f64..1e6), 2..20)) {
            let swapped: Vec<_> = pairs.iter().map(|&(a, b)| (b, a)).collect();
            let (one, other) = (Ratio::of(&pairs).unwrap(), Ratio::of(&swapped).unwrap());
            prop_assert!(near(one.ratio * other.ratio, 1.0, 1e-9));
            prop_assert!(near(one.interval.unwrap().low * other.interval.unwrap().high, 1.0, 1e-9));
        }

        #[test]
        fn the_ratio_is_that_of_the_geometric_means(pairs in prop::collection::vec((1e-3_f64..1e6, 1e-3_f64..1e6), 1..20)) {
            let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let means = geometric_mean(&a).unwrap() / geometric_mean(&b).unwrap();
            prop_assert!(near(Ratio::of(&pairs).unwrap().ratio, means, 1e-9));
        }
    }
}
