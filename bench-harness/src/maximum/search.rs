//! Where to look next for the highest rate that holds. Pure: no clock, no socket.
//!
//! ```text
//!   rate │                    ×          doubling until a rate misses (or halving until one holds),
//!        │               ·          then halving the bracket until it is narrow enough:
//!        │          ×                    highest that held ≤ capacity < lowest that missed
//!        │             ○ ○
//!        │       ○
//!        └──────────────────▶ step
//! ```

/// The lowest rate worth asking for, in requests per second.
pub const RATE_MIN: f64 = 1.0;

/// A search in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    start: f64,
    ceiling: f64,
    precision: f64,
    tries: u32,
    /// The highest rate that held.
    held: Option<f64>,
    /// The lowest rate that missed on every try.
    missed: Option<f64>,
    /// How often the rate under test has missed.
    misses: u32,
}

impl Search {
    /// Begins at `start`, never goes above `ceiling` (requests per second, both at least [`RATE_MIN`]), and ends when the
    /// bracket is narrower than `precision` (0.03 = 3 %). A rate must miss `tries` times (at least 1) to count as missed:
    /// one hiccup of the host is not the target's limit.
    #[must_use]
    pub fn new(start: f64, ceiling: f64, precision: f64, tries: u32) -> Self {
        let ceiling = ceiling.max(RATE_MIN);
        Self {
            start: start.clamp(RATE_MIN, ceiling),
            ceiling,
            precision: precision.max(1e-6),
            tries: tries.max(1),
            held: None,
            missed: None,
            misses: 0,
        }
    }

    /// The rate to try next; `None` when the answer is known. Asked twice it says the same.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        match (self.held, self.missed) {
            (None, None) => Some(self.start),
            (Some(held), None) => (held < self.ceiling).then_some((held * 2.0).min(self.ceiling)),
            (None, Some(missed)) => (missed > RATE_MIN).then_some((missed / 2.0).max(RATE_MIN)),
            (Some(held), Some(missed)) => {
                let narrow = missed <= held * (1.0 + self.precision);
                (!narrow).then_some(f64::midpoint(held, missed))
            }
        }
    }

    /// Tells how [`Search::next`]'s rate fared.
    pub fn saw(&mut self, rate: f64, held: bool) {
        if held {
            self.held = Some(self.held.map_or(rate, |best| best.max(rate)));
            self.misses = 0;
            return;
        }
        self.misses += 1;
        if self.misses >= self.tries {
            self.missed = Some(self.missed.map_or(rate, |least| least.min(rate)));
            self.misses = 0;
        }
    }

    /// The highest rate that held.
    #[must_use]
    pub fn held(&self) -> Option<f64> {
        self.held
    }

    /// The lowest rate that missed.
    #[must_use]
    pub fn missed(&self) -> Option<f64> {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches a target that holds up to `capacity`; the rates that were tried.
    fn search(mut search: Search, holds: impl Fn(f64, usize) -> bool) -> (Search, Vec<f64>) {
        let mut tried = Vec::new();
        while let Some(rate) = search.next() {
            assert_eq!(search.next(), Some(rate));
            search.saw(rate, holds(rate, tried.len()));
            tried.push(rate);
            assert!(tried.len() < 1000, "{search:?}");
        }
        (search, tried)
    }

    #[test]
    fn it_doubles_and_then_halves_the_bracket() {
        let (search, tried) = search(Search::new(1000.0, 1e6, 0.1, 1), |rate, _| rate <= 5000.0);
        assert_eq!(tried, [1000.0, 2000.0, 4000.0, 8000.0, 6000.0, 5000.0, 5500.0]);
        assert_eq!((search.held(), search.missed()), (Some(5000.0), Some(5500.0)));
    }

    #[test]
    fn one_hiccup_is_no_limit() {
        let hiccup_at = |step: usize| move |rate: f64, at: usize| rate <= 5000.0 && at != step;
        for step in 0..5 {
            let (search, _) = search(Search::new(1000.0, 1e6, 0.03, 2), hiccup_at(step));
            let held = search.held().unwrap();
            assert!(held <= 5000.0 && held * 1.03 >= 5000.0 * 0.999, "{step}: {held}");
        }
    }

    #[test]
    fn what_holds_nothing_ends_the_search() {
        let (search, tried) = search(Search::new(1000.0, 1e6, 0.03, 2), |_, _| false);
        assert_eq!((search.held(), search.missed()), (None, Some(RATE_MIN)));
        assert!(tried.len() <= 24, "{tried:?}");
    }

    proptest! {
        #[test]
        fn the_capacity_is_bracketed(
            capacity in 1.0_f64..1e7, start in 0.0_f64..1e7, precision in 0.005_f64..0.2, tries in 1_u32..4,
        ) {
            let (search, tried) = search(Search::new(start, 1e7, precision, tries), |rate, _| rate <= capacity);
            let held = search.held().unwrap();
            prop_assert!(held <= capacity);
            match search.missed() {
                Some(missed) => prop_assert!(missed > capacity && missed <= held * (1.0 + precision)),
                None => prop_assert!((held - 1e7).abs() < 1e-3),
            }
            // 24 doublings span 1 to 10 million; the bracket then halves.
            let steps = (26.0 + (1.0 / precision).log2().ceil()) * f64::from(tries);
            prop_assert!(f64::from(u32::try_from(tried.len()).unwrap()) <= steps, "{} > {steps}", tried.len());
        }

        #[test]
        fn it_never_leaves_its_bounds(ceiling in 1.0_f64..1e6, start in 0.0_f64..1e7, answers in prop::collection::vec(any::<bool>(), 200)) {
            let mut search = Search::new(start, ceiling, 0.03, 1);
            for held in answers {
                let Some(rate) = search.next() else { break };
                prop_assert!((RATE_MIN..=ceiling).contains(&rate));
                search.saw(rate, held);
                if let (Some(held), Some(missed)) = (search.held(), search.missed()) {
                    prop_assert!(held < missed);
                }
            }
            prop_assert_eq!(search.next(), None);
        }
    }
}
