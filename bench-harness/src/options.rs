//! What every command that sends load takes from the command line, and the plan that it comes to.

use std::time::Duration;

use crate::load::{self, Driver, LoadPlan, Pace};
use crate::schedule::Schedule;
use crate::target::{Target, TargetError};
use crate::workload::WorkloadSpec;

/// Options of one run of load. They are the same for every command, so that a run can be repeated by any of them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Load")]
pub struct LoadOptions {
    /// Requests to make: single, sdk-mix, pixel, a workload file, or replay:FILE
    #[arg(long, value_name = "NAME|FILE", default_value = "single")]
    pub workload: String,
    /// The same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Connections over all threads
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Generator threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=255))]
    pub threads: u8,
    /// Processors to keep the generator's threads on, one each in turn: 1 or 2,3
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Make a connection anew after so many requests; 0 = never
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests_per_connection: u64,
    /// Requests that may be under way at once on a connection; 1 = no pipelining
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub pipelining: u32,
    /// An answer that takes longer counts as timed out
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub timeout_ms: u64,
    /// How the generator does its I/O
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    pub driver: Driver,
    /// Send to another host than this one
    #[arg(long)]
    pub allow_remote: bool,
}

impl LoadOptions {
    /// The plan of a run against `url`.
    ///
    /// # Errors
    /// When the URL is no target.
    pub fn plan(&self, url: &str, pace: Pace) -> Result<LoadPlan, TargetError> {
        Ok(LoadPlan {
            target: Target::resolve(url, self.allow_remote)?,
            workload: WorkloadSpec { name: self.workload.clone(), seed: self.seed },
            pace,
            connections: self.connections,
            threads: self.threads,
            cpus: self.cpus.clone(),
            requests_per_connection: self.requests_per_connection,
            pipelining: self.pipelining,
            timeout: Duration::from_millis(self.timeout_ms),
            driver: self.driver,
            run: load::new_run(),
        })
    }
}

/// When requests are sent: one of these, an open loop at a constant rate without any.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pace")]
pub struct PaceOptions {
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

impl PaceOptions {
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
        pace: PaceOptions,
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
            ("--connections 0", "1..=1000000"),
        ] {
            let error = line(arguments).err().unwrap_or_else(|| panic!("{arguments} was taken"));
            assert!(error.contains(way_out), "{arguments}: {error}");
        }
    }

    #[test]
    fn options_become_a_plan() {
        let options = line("--connections 7 --cpus 1,2 --timeout-ms 5 --driver io_uring")
            .unwrap_or_else(|error| panic!("{error}"))
            .load;
        let plan = options.plan("http://127.0.0.1:1/x", Pace::Closed(Duration::from_secs(1))).unwrap();
        assert_eq!(
            (plan.connections, plan.cpus, plan.timeout, plan.driver),
            (7, vec![1, 2], Duration::from_millis(5), Driver::IoUring)
        );
    }
}
