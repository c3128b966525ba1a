//! The budgets, and the verdict on a figure. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `budgets.toml`: a table per figure.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Budgets {
    by_name: BTreeMap<String, Budget>,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What was measured when the budget was written.
    pub at_most: f64,
    /// How far above `at_most` a figure may be, and how far below before the budget could be tightened: percent of it.
    #[serde(default)]
    pub tolerance_percent: f64,
    /// The same in the figure's own unit; the larger of the two counts.
    #[serde(default)]
    pub tolerance: f64,
}

/// How a figure compares with its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More than the tolerance above: a failure.
    Exceeded,
    /// As the budget says.
    Within,
    /// More than the tolerance below: the budget should be lowered, so that it keeps what was gained.
    CouldBeTightened,
}

impl Budgets {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The budget of a figure.
    pub fn of(&self, figure: &str) -> Option<Budget> {
        self.by_name.get(figure).copied()
    }

    /// The names that have a budget.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

impl Budget {
    /// The tolerance in the figure's unit.
    pub fn slack(self) -> f64 {
        (self.at_most * self.tolerance_percent / 100.0).max(self.tolerance)
    }

    /// Holds a figure against the budget. What is not a number exceeds every budget.
    pub fn verdict(self, measured: f64) -> Verdict {
        if measured < self.at_most - self.slack() {
            Verdict::CouldBeTightened
        } else if measured <= self.at_most + self.slack() {
            Verdict::Within
        } else {
            Verdict::Exceeded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_tolerance_counts_both_ways() {
        let budgets = Budgets::parse("[a]\nat_most = 200\ntolerance_percent = 5\ntolerance = 1\n").unwrap();
        let budget = budgets.of("a").unwrap();
        for (measured, verdict) in [
            (210.0, Verdict::Within),
            (210.1, Verdict::Exceeded),
            (190.0, Verdict::Within),
            (189.9, Verdict::CouldBeTightened),
            (f64::NAN, Verdict::Exceeded),
        ] {
            assert_eq!(budget.verdict(measured), verdict, "{measured}");
        }
    }

    #[test]
    fn without_a_tolerance_a_budget_is_exact() {
        let budget = Budgets::parse("[a]\nat_most = 0\n").unwrap().of("a").unwrap();
        assert_eq!(budget.verdict(0.0), Verdict::Within);
        assert_eq!(budget.verdict(0.001), Verdict::Exceeded);
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        assert!(Budgets::parse("[a]\nat_most = 1\ntolerence = 2\n").is_err());
        assert!(Budgets::parse("[a]\ntolerance = 2\n").is_err());
    }
}
