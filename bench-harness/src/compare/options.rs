//! What of a run of load is chosen on the command line where the run itself is arranged by something else.

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
