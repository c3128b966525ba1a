//! When requests are due: a rate over time, as plain arithmetic.
//!
//! An open loop sends request `n` at `due(n)`, however the earlier ones fare. Latency counts from there, so that a
//! target that stalls pays for every request that had to wait (no coordinated omission).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A stretch of time in which the rate goes linearly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stage {
    /// How long, in seconds; above 0.
    pub seconds: f64,
    /// Requests per second at its start.
    pub from: f64,
    /// Requests per second at its end; the same as `from` for a constant rate.
    pub to: f64,
}

/// Stages one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Schedule {
    /// At least one.
    pub stages: Vec<Stage>,
}

impl Schedule {
    /// One rate throughout.
    #[must_use]
    pub fn constant(rate: f64, seconds: f64) -> Self {
        Self { stages: vec![Stage { seconds, from: rate, to: rate }] }
    }

    /// A straight line from one rate to another.
    #[must_use]
    pub fn ramp(from: f64, to: f64, seconds: f64) -> Self {
        Self { stages: vec![Stage { seconds, from, to }] }
    }

    /// A staircase: each rate for `seconds`.
    #[must_use]
    pub fn steps(rates: &[f64], seconds: f64) -> Self {
        Self { stages: rates.iter().map(|&rate| Stage { seconds, from: rate, to: rate }).collect() }
    }

    /// The same shape at a fraction of the rate: what one of several workers does.
    #[must_use]
    pub fn share(&self, of: usize) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a handful of workers")]
        let of = of as f64;
        let stages =
            self.stages.iter().map(|s| Stage { seconds: s.seconds, from: s.from / of, to: s.to / of });
        Self { stages: stages.collect() }
    }

    /// How long all of it takes.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.stages.iter().map(|stage| stage.seconds).sum())
    }

    /// How many requests it plans.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and durations are positive"
    )]
    pub fn requests(&self) -> u64 {
        self.stages.iter().map(Stage::requests).sum::<f64>().round() as u64
    }

    /// Requests planned per second at `at`; 0 after the end.
    #[must_use]
    pub fn rate(&self, at: Duration) -> f64 {
        let mut left = at.as_secs_f64();
        for stage in &self.stages {
            if left < stage.seconds {
                return stage.from + (stage.to - stage.from) * left / stage.seconds;
            }
            left -= stage.seconds;
        }
        0.0
    }

    /// When request `number` (from 0) is due, counted from the start; `None` when the plan has no such request.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "below 2^52 requests")]
    pub fn due(&self, number: u64) -> Option<Duration> {
        if number >= self.requests() {
            return None;
        }
        let (mut left, mut start) = (number as f64, 0.0);
        for stage in &self.stages {
            let requests = stage.requests();
            if left < requests {
                return Some(Duration::from_secs_f64(start + stage.reaches(left)));
            }
            left -= requests;
            start += stage.seconds;
        }
        // Rounding put the last request a hair behind the end.
        Some(self.duration())
    }
}

impl Stage {
    /// The area under the line.
    fn requests(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.seconds
    }

    /// After how many seconds of this stage `count` requests are planned: the area under the line, solved for time.
    fn reaches(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        // from*t + slope*t²/2 = count, in the form that has no cancellation and no division by a zero slope.
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        let divisor = self.from + root;
        if divisor > 0.0 { 2.0 * count / divisor } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let schedule = Schedule::constant(1000.0, 2.0);
        assert_eq!(schedule.requests(), 2000);
        assert_eq!(schedule.due(0), Some(Duration::ZERO));
        assert_eq!(schedule.due(1500), Some(Duration::from_millis(1500)));
        assert_eq!(schedule.due(2000), None);
    }

    #[test]
    fn steps_follow_one_another() {
        let schedule = Schedule::steps(&[100.0, 200.0], 1.0);
        assert_eq!(schedule.requests(), 300);
        assert_eq!(schedule.due(100), Some(Duration::from_secs(1)));
        assert_eq!(schedule.due(200), Some(Duration::from_millis(1500)));
        assert!((schedule.rate(Duration::from_millis(1500)) - 200.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn requests_are_due_in_order_and_within_the_plan(
            stages in prop::collection::vec((0.1_f64..5.0, 0.0_f64..2000.0, 1.0_f64..2000.0), 1..5)
        ) {
            let stages = stages.into_iter().map(|(seconds, from, to)| Stage { seconds, from, to }).collect();
            let schedule = Schedule { stages };
            let mut last = Duration::ZERO;
            for number in (0..schedule.requests()).step_by(7) {
                let due = schedule.due(number).unwrap();
                prop_assert!(due >= last && due <= schedule.duration() + Duration::from_millis(1));
                last = due;
            }
        }

        #[test]
        fn a_ramp_plans_the_area_under_its_line(from in 0.0_f64..1000.0, to in 1.0_f64..1000.0, at in 0.05_f64..0.95) {
            let schedule = Schedule::ramp(from, to, 10.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let number = (f64::midpoint(from, from + (to - from) * at) * 10.0 * at) as u64;
            prop_assume!(number < schedule.requests());
            let due = schedule.due(number).unwrap().as_secs_f64();
            // One request more or less, at the rate of that moment.
            let slack = 1.0 / schedule.rate(Duration::from_secs_f64(due)).max(1.0) + 1.0 / (from + 1.0).sqrt();
            prop_assert!((due - 10.0 * at).abs() <= slack, "{due} {at}");
        }
    }
}
