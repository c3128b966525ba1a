//! A run from plan to result: threads out, sums in.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::runtime;
use super::tally::Tally;
use super::worker::Worker;
use super::{Live, LoadPlan, Observer, Pace};
use crate::host::Host;
use crate::result::{Generator, LoadResult, Plan, VERSION};
use crate::workload::WorkloadError;

/// From making the threads to the first request that is due.
const HEAD_START: Duration = Duration::from_millis(50);

/// Above this share of a CPU the busiest thread is taken to be what limits the run.
const BUSY_SHARE_MAX: f64 = 0.9;

/// Above this share of late sends the latencies are not the target's.
const LATE_SHARE_MAX: f64 = 0.01;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The workload.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// More threads than connections, or none of either.
    #[error(
        "{connections} connections over {threads} threads: each thread needs one; raise --connections or lower --threads"
    )]
    Shares {
        /// As planned.
        connections: u32,
        /// As planned.
        threads: u8,
    },
    /// The operating system, on the way to something.
    #[error("{doing}: {error}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

struct Part<O> {
    tally: Tally,
    observer: O,
    cpu: Duration,
}

/// Runs `plan` to its end on threads of its own. Every thread makes its observer with its worker number; they come
/// back in that order. Requests that fail are part of the result, not errors.
///
/// # Errors
/// When the run could not begin.
pub fn run<O: Observer + 'static>(
    plan: &LoadPlan,
    live: &Arc<Live>,
    observer: impl Fn(u8) -> O,
) -> Result<(LoadResult, Vec<O>), LoadError> {
    if plan.threads == 0 || plan.connections < u32::from(plan.threads) {
        return Err(LoadError::Shares { connections: plan.connections, threads: plan.threads });
    }
    let driver = runtime::choose(plan.driver)
        .map_err(|error| LoadError::System { doing: "make an io_uring", error })?;
    let kinds = plan.workload.open(&plan.target, 0)?.kinds().to_vec();
    let started_at = OffsetDateTime::now_utc() + HEAD_START;
    let start = Instant::now() + HEAD_START;
    let mut threads = Vec::new();
    for number in 0..plan.threads {
        let workload = plan.workload.open(&plan.target, number)?;
        let (plan, live, observer) = (plan.clone(), Arc::clone(live), observer(number));
        let body = move || {
            if !plan.cpus.is_empty() {
                runtime::pin(plan.cpus[usize::from(number) % plan.cpus.len()])?;
            }
            let connections = share(plan.connections, plan.threads, number);
            let worker = Worker::new(plan, number, connections, start, live, workload, observer);
            let (tally, observer) = runtime::block_on(driver, worker.run())?;
            Ok(Part { tally, observer, cpu: runtime::cpu_time() })
        };
        let thread = thread::Builder::new().name(format!("load-{number}")).spawn(body);
        threads.push(thread.map_err(|error| LoadError::System { doing: "start a generator thread", error })?);
    }
    let mut parts: Vec<Part<O>> = Vec::new();
    for thread in threads {
        let part = thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
        parts.push(part.map_err(|error| LoadError::System { doing: "run a generator thread", error })?);
    }
    let mut sum = Tally::new(kinds.len());
    for part in &parts {
        sum.add(&part.tally);
    }
    let cpu: Vec<Duration> = parts.iter().map(|part| part.cpu).collect();
    let result = LoadResult {
        version: VERSION,
        tool: concat!("bench-harness ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: std::env::args().collect(),
        started_at: started_at.format(&Rfc3339).unwrap_or_default(),
        host: Host::read(),
        plan: described(plan, runtime::name(driver)),
        totals: sum.totals(),
        latency: sum.corrected.distribution(),
        uncorrected: sum.uncorrected.distribution(),
        kinds: sum.kinds(&kinds),
        seconds: sum.seconds(),
        generator: generator(&sum, &cpu),
    };
    Ok((result, parts.into_iter().map(|part| part.observer).collect()))
}

/// How many of `connections` thread `number` has.
fn share(connections: u32, threads: u8, number: u8) -> usize {
    let (threads, number) = (u32::from(threads), u32::from(number));
    let extra = u32::from(number < connections % threads);
    (connections / threads + extra) as usize
}

fn described(plan: &LoadPlan, driver: &str) -> Plan {
    let (schedule, seconds) = match &plan.pace {
        Pace::Open(schedule) => (Some(schedule.clone()), schedule.duration().as_secs_f64()),
        Pace::Closed(length) => (None, length.as_secs_f64()),
    };
    Plan {
        target: plan.target.url.clone(),
        workload: plan.workload.name.clone(),
        seed: plan.workload.seed,
        run: plan.run,
        schedule,
        seconds,
        connections: plan.connections,
        threads: u32::from(plan.threads),
        requests_per_connection: plan.requests_per_connection,
        pipelining: plan.pipelining,
        timeout_ms: u64::try_from(plan.timeout.as_millis()).unwrap_or(u64::MAX),
        driver: driver.to_owned(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn generator(sum: &Tally, cpu: &[Duration]) -> Generator {
    let totals = sum.totals();
    let busiest = cpu.iter().max().copied().unwrap_or_default().as_secs_f64();
    let busiest_thread_share = if totals.elapsed_s > 0.0 { busiest / totals.elapsed_s } else { 0.0 };
    let late_share = if totals.sent > 0 { sum.late_sends as f64 / totals.sent as f64 } else { 0.0 };
    let bottleneck = if busiest_thread_share > BUSY_SHARE_MAX {
        Some(format!(
            "a generator thread was busy {:.0} % of the time: its own speed limits what is measured; add --threads (and cores), or lower the rate",
            busiest_thread_share * 100.0
        ))
    } else if late_share > LATE_SHARE_MAX {
        Some(format!(
            "{:.1} % of the requests left more than 1 ms late although a connection was free: the generator did not get its CPU in time; give it cores of its own (--cpus)",
            late_share * 100.0
        ))
    } else {
        None
    };
    Generator {
        busiest_thread_share,
        cpu_s: cpu.iter().sum::<Duration>().as_secs_f64(),
        late_sends: sum.late_sends,
        lateness: sum.lateness.distribution(),
        bottleneck,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_shared_out_without_rest() {
        for (connections, threads) in [(1, 1), (7, 3), (64, 5), (3, 3)] {
            let shares: Vec<usize> = (0..threads).map(|number| share(connections, threads, number)).collect();
            assert_eq!(shares.iter().sum::<usize>(), connections as usize);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
