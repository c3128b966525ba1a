//! What commands that send load take from the command line, and the plan that it comes to.

use std::time::Duration;

use crate::load::{Driver, LoadPlan, Pace, new_run};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::workload::WorkloadSpec;

/// The load's options but for its target, its pace and its length.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadOptions {
    /// What is sent: single, sdk-mix, pixel, or a file
    #[arg(long, default_value = "single")]
    pub workload: String,
    /// Same seed, same requests
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connections over all generator threads
    #[arg(long, short, default_value_t = 64)]
    pub connections: u32,
    /// Generator threads
    #[arg(long, default_value_t = 1)]
    pub threads: u8,
    /// CPUs to pin the generator's threads to (0,1,…) [default: those that no target is pinned to]
    #[arg(long, value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Make a connection anew after this many requests; 0 = never
    #[arg(long, default_value_t = 0, value_name = "REQUESTS")]
    pub churn: u64,
    /// Requests under way at once on one connection
    #[arg(long, default_value_t = 1)]
    pub pipelining: u32,
    /// Seconds after which a request without an answer has failed
    #[arg(long, default_value_t = 10.0, value_parser = positive, value_name = "SECONDS")]
    pub timeout: f64,
    /// The generator's I/O driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: Driver,
}

/// Who decides when the next request goes out. One of the two must be chosen.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct PaceOptions {
    /// Open loop: this many requests per second, whatever the target does
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Closed loop: every connection sends as soon as its last answer is there (hides stalls)
    #[arg(long)]
    pub closed: bool,
}

impl PaceOptions {
    /// The pace over this long.
    #[must_use]
    pub fn lasting(self, seconds: f64) -> Pace {
        match self.rate {
            Some(rate) => Pace::Open(Schedule::constant(rate, seconds)),
            None => Pace::Closed(Duration::from_secs_f64(seconds)),
        }
    }
}

impl LoadOptions {
    /// A plan of these options, pinned to `cpus` (each thread to one; none = not pinned), with a run number of its own.
    #[must_use]
    pub fn plan(&self, target: Target, pace: Pace, cpus: &[usize]) -> LoadPlan {
        LoadPlan {
            target,
            workload: WorkloadSpec { name: self.workload.clone(), seed: self.seed },
            pace,
            connections: self.connections,
            threads: self.threads,
            cpus: cpus.to_vec(),
            requests_per_connection: self.churn,
            pipelining: self.pipelining,
            timeout: Duration::from_secs_f64(self.timeout),
            driver: self.driver,
            run: new_run(),
        }
    }
}

/// A number above 0 and below a billion.
///
/// # Errors
/// What else it is.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1e9 => Ok(number),
        _ => Err("write a number above 0 and below 1000000000".to_owned()),
    }
}

/// A number from 0 to below a billion.
///
/// # Errors
/// What else it is.
pub fn not_negative(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) { Ok(0.0) } else { positive(text) }
}

/// When requests are sent: one of these, an open loop at a constant rate without any.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pace")]
pub struct ScheduleOptions {
    /// Requests per second, sent when they are due, whatever became of the earlier ones
    #[arg(long, value_name = "R", default_value_t = 1000.0, value_parser = rate)]
    pub rate: f64,
    /// A straight line from one rate to another
    #[arg(long, value_name = "FROM:TO", value_parser = ramp, conflicts_with = "rate")]
    pub ramp: Option<(f64, f64)>,
    /// A staircase: each of these rates for an equal share of the time
    #[arg(long, value_name = "R,R,…", value_delimiter = ',', value_parser = rate, conflicts_with_all = ["rate", "ramp"])]
    pub steps: Vec<f64>,
    /// A closed loop: each connection sends when its last answer is there. It hides stalls; for capacity only
    #[arg(long, conflicts_with_all = ["rate", "ramp", "steps"])]
    pub closed: bool,
    /// Length of the run
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
}

impl ScheduleOptions {
    /// The pace that was asked for.
    #[must_use]
    pub fn pace(&self) -> Pace {
        if self.closed {
            return Pace::Closed(Duration::from_secs_f64(self.seconds));
        }
        Pace::Open(match (self.ramp, &self.steps[..]) {
            (Some((from, to)), _) => Schedule::ramp(from, to, self.seconds),
            (None, []) => Schedule::constant(self.rate, self.seconds),
            #[allow(clippy::cast_precision_loss, reason = "a handful of steps")]
            (None, steps) => Schedule::steps(steps, self.seconds / steps.len() as f64),
        })
    }
}

/// Above 0, and not more than one generator could ever send.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10_000_000.0 => Ok(rate),
        _ => Err("a rate is a number of requests per second, above 0 and up to 10000000".into()),
    }
}

fn ramp(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once(':').ok_or("a ramp is two rates, as in 100:5000")?;
    let from = if from.trim() == "0" { 0.0 } else { rate(from)? };
    Ok((from, rate(to)?))
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=604_800.0).contains(&seconds) => Ok(seconds),
        _ => Err("a length is a number of seconds, from 0.01 to 604800 (a week)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadOptions,
        #[command(flatten)]
        pace: ScheduleOptions,
    }

    fn line(arguments: &str) -> Result<Line, String> {
        Line::try_parse_from(std::iter::once("x").chain(arguments.split_whitespace()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_paces() {
        let pace = |arguments| line(arguments).unwrap_or_else(|error| panic!("{error}")).pace.pace();
        assert_eq!(pace("--rate 500 --seconds 2"), Pace::Open(Schedule::constant(500.0, 2.0)));
        assert_eq!(pace("--ramp 0:500 --seconds 2"), Pace::Open(Schedule::ramp(0.0, 500.0, 2.0)));
        assert_eq!(pace("--steps 10,20 --seconds 2"), Pace::Open(Schedule::steps(&[10.0, 20.0], 1.0)));
        assert_eq!(pace("--closed --seconds 2"), Pace::Closed(Duration::from_secs(2)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        for (arguments, way_out) in [
            ("--rate 0", "above 0"),
            ("--rate fast", "requests per second"),
            ("--ramp 5", "as in 100:5000"),
            ("--seconds 0", "0.01"),
            ("--closed --rate 5", "cannot be used with"),
        ] {
            let error = line(arguments).err().unwrap_or_else(|| panic!("{arguments} was taken"));
            assert!(error.contains(way_out), "{arguments}: {error}");
        }
    }

    #[test]
    fn options_become_a_plan() {
        let options = line("--connections 7 --cpus 1,2 --timeout 0.005 --driver io_uring")
            .unwrap_or_else(|error| panic!("{error}"))
            .load;
        let plan = options.plan(
            Target::resolve("http://127.0.0.1:1/x", false).unwrap(),
            Pace::Closed(Duration::from_secs(1)),
            &options.cpus,
        );
        assert_eq!(
            (plan.connections, plan.cpus, plan.timeout, plan.driver),
            (7, vec![1, 2], Duration::from_millis(5), Driver::IoUring)
        );
    }
}
