//! A plan in words.

use crate::report::quantity;
use crate::result::{LoadResult, Plan};
use crate::schedule::Stage;

/// The pace: `1,000/s for 30 s`, `ramp from 10/s to 1,000/s over 1 min`, `closed loop for 30 s`.
pub(super) fn pace(plan: &Plan) -> String {
    let length = quantity::duration(plan.seconds);
    let Some(schedule) = &plan.schedule else {
        return format!("closed loop for {length}");
    };
    let flat = schedule.stages.iter().all(Stage::is_flat);
    match schedule.stages.as_slice() {
        [] => format!("nothing for {length}"),
        [stage] if flat => format!("{}/s for {length}", quantity::number(stage.from)),
        [stage] => format!(
            "ramp from {}/s to {}/s over {length}",
            quantity::number(stage.from),
            quantity::number(stage.to)
        ),
        [first, .., last] => format!(
            "{} {} from {}/s to {}/s over {length}",
            schedule.stages.len(),
            if flat { "steps" } else { "stages" },
            quantity::number(first.from),
            quantity::number(last.to)
        ),
    }
}

/// The planned rate on average, in requests per second; `None` in a closed loop.
#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
pub(super) fn rate(result: &LoadResult) -> Option<f64> {
    let planned = result.plan.schedule.as_ref().map(|_| result.totals.planned as f64)?;
    (result.plan.seconds > 0.0).then(|| planned / result.plan.seconds)
}

impl Stage {
    fn is_flat(&self) -> bool {
        (self.from - self.to).abs() < f64::EPSILON
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::schedule::Schedule;

    #[test]
    fn every_kind_of_pace_has_words() {
        let mut plan = sample::result().plan;
        let mut words = |schedule: Option<Schedule>, seconds| {
            plan.schedule = schedule;
            plan.seconds = seconds;
            pace(&plan)
        };
        assert_eq!(words(Some(Schedule::constant(1000.0, 30.0)), 30.0), "1,000/s for 30 s");
        assert_eq!(
            words(Some(Schedule::ramp(10.0, 1000.0, 120.0)), 120.0),
            "ramp from 10/s to 1,000/s over 2 min"
        );
        assert_eq!(
            words(Some(Schedule::steps(&[10.0, 20.0, 40.0], 5.0)), 15.0),
            "3 steps from 10/s to 40/s over 15 s"
        );
        assert_eq!(words(None, 15.0), "closed loop for 15 s");
    }
}
