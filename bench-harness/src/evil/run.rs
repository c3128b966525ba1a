//! `bench-harness evil`: for each attack the well-behaved load before, during and after it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::attack::{ALL, Attack};
use super::files::{self, FilesError};
use super::report::{AttackResult, EvilResult, VERSION};
use super::resources::{Resources, Usage, watched};
use super::swarm::{Course, Swarm};
use super::table;
use super::verdict::{Figures, judge, ratio};
use crate::compare::tree::Tree;
use crate::host::Host;
use crate::load::{self, Driver, LoadError, LoadPlan, Pace, Unobserved, new_run};
use crate::options::positive;
use crate::report::quantity::latency;
use crate::result::LoadResult;
use crate::schedule::Schedule;
use crate::target::{Target, TargetError};
use crate::workload::WorkloadSpec;

/// How long the attackers may take to connect before the load begins.
const GATHERING: Duration = Duration::from_secs(1);

/// Above this share of a CPU the attackers' own thread limits the attack.
const BUSY_SHARE_MAX: f64 = 0.9;

/// Above this (in µs) the times until cut are partly the attackers' own.
const TURN_US_MAX: u64 = 10_000;

/// `bench-harness evil`
#[derive(Clone, Debug, clap::Args)]
pub struct EvilArgs {
    /// What is attacked
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// The target may be another machine than this one
    #[arg(long)]
    pub allow_remote: bool,
    /// Run this attack; may be repeated [default: all, one after another]
    #[arg(long = "attack", value_name = "NAME", value_parser = Attack::named)]
    pub attacks: Vec<Attack>,
    /// Misbehaving clients at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub attackers: u32,
    /// Length of the load before and during each attack; after it, half of that
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// Well-behaved requests per second (open loop)
    #[arg(long, value_name = "R", default_value_t = 500.0, value_parser = positive)]
    pub rate: f64,
    /// What the well-behaved send
    #[arg(long, default_value = "single")]
    pub workload: String,
    /// Connections of the well-behaved
    #[arg(long, short, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub connections: u32,
    /// A well-behaved client connects anew after this many requests, so that it is noticed when nobody can; 0 = never
    #[arg(long, default_value_t = 50, value_name = "REQUESTS")]
    pub churn: u64,
    /// Seconds after which a well-behaved request without an answer has failed
    #[arg(long, default_value_t = 5.0, value_parser = positive, value_name = "SECONDS")]
    pub timeout: f64,
    /// The generator's I/O driver
    #[arg(long, value_enum, default_value_t)]
    pub driver: Driver,
    /// CPU to pin the well-behaved load to
    #[arg(long)]
    pub cpu: Option<usize>,
    /// CPU to pin the attackers to
    #[arg(long)]
    pub attack_cpu: Option<usize>,
    /// The target's process, to report its memory and CPU time (with its children)
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Where the result goes as JSON; - for standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum EvilError {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Descriptors.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The target fails without any attack.
    #[error(
        "{url} answers only {succeeded} of {planned} well-behaved requests with 2xx before any attack: start it, check the path, or lower --rate"
    )]
    NotWell {
        /// The target.
        url: String,
        /// Answered 2xx.
        succeeded: u64,
        /// Due.
        planned: u64,
    },
    /// The target's process.
    #[error("process {pid} of the target: {error}; check --pid")]
    Process {
        /// Its number.
        pid: i32,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The attackers.
    #[error("attackers of {attack}: {error}")]
    Attackers {
        /// What they were to do.
        attack: &'static str,
        /// Why they can't.
        error: io::Error,
    },
    /// The result can't be written.
    #[error("write {}: {error}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Runs the command: the table on standard output, progress on standard error. Fails (exit status 1) when any attack
/// made well-behaved requests fail.
///
/// # Errors
/// When the attacks could not be run, or the JSON not be written.
pub fn run(args: &EvilArgs) -> Result<ExitCode, EvilError> {
    let result = attack(args, |line| eprintln!("{line}"))?;
    let to_stdout = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = &args.json {
        let failed = |error| EvilError::Write { path: path.clone(), error };
        let json = serde_json::to_string(&result).map_err(|error| failed(error.into()))?;
        if to_stdout {
            println!("{json}");
        } else {
            std::fs::write(path, json + "\n").map_err(failed)?;
        }
    }
    if !to_stdout {
        print!("{result}");
    }
    Ok(if result.is_failure() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs the attacks; `progress` hears a line of each.
///
/// # Errors
/// When they could not be run.
pub fn attack(args: &EvilArgs, mut progress: impl FnMut(&str)) -> Result<EvilResult, EvilError> {
    let target = Target::resolve(&args.target, args.allow_remote)?;
    // A closed connection of the load may linger beside its successor.
    files::allow(u64::from(args.attackers) + 2 * u64::from(args.connections))?;
    let started_at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let attacks = if args.attacks.is_empty() { ALL.to_vec() } else { args.attacks.clone() };
    let range = Range { args, target, tree: args.pid.map(Tree::new) };
    let mut results: Vec<AttackResult> = Vec::new();
    for attack in attacks {
        progress(&format!("{}: {}", attack.name, attack.description));
        let result = range.stage(attack, results.is_empty())?;
        progress(&table::line(&result));
        results.push(result);
    }
    Ok(EvilResult {
        version: VERSION,
        tool: concat!("bench-harness ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: std::env::args().collect(),
        started_at,
        host: Host::read(),
        target: args.target.clone(),
        attackers: args.attackers,
        attacks: results,
    })
}

/// Where attacks are run.
struct Range<'a> {
    args: &'a EvilArgs,
    target: Target,
    tree: Option<Tree>,
}

impl Range<'_> {
    /// One attack, with the load before and after it.
    fn stage(&self, attack: Attack, is_first: bool) -> Result<AttackResult, EvilError> {
        let (before, usage_before) = self.watched(|| self.load(self.args.seconds))?;
        let figures = Figures::of(&before);
        if is_first && figures.is_down() {
            let Figures { succeeded, planned, .. } = figures;
            return Err(EvilError::NotWell { url: self.target.url.clone(), succeeded, planned });
        }
        if let (true, Some(pid), Some(Err(error))) = (is_first, self.args.pid, &usage_before) {
            return Err(EvilError::Process { pid, error: io::Error::other(error.to_string()) });
        }
        let ((during, course), usage_during) = self.watched(|| self.load_beside(attack))?;
        let (after, usage_after) = self.watched(|| self.load(self.args.seconds / 2.0))?;
        let resources = usage_before.and_then(Result::ok).map(|before| Resources {
            before,
            during: usage_during.and_then(Result::ok),
            after: usage_after.and_then(Result::ok),
        });
        Ok(assessed(attack, [before, during, after], course, resources))
    }

    fn load_beside(&self, attack: Attack) -> Result<(LoadResult, Course), EvilError> {
        let failed = |error| EvilError::Attackers { attack: attack.name, error };
        let attackers = self.args.attackers as usize;
        let swarm =
            Swarm::begin(attack, self.target.clone(), attackers, self.args.attack_cpu).map_err(failed)?;
        swarm.gather(attackers, GATHERING);
        let during = self.load(self.args.seconds);
        let course = swarm.end().map_err(failed)?;
        Ok((during?, course))
    }

    fn load(&self, seconds: f64) -> Result<LoadResult, EvilError> {
        let plan = LoadPlan {
            target: self.target.clone(),
            workload: WorkloadSpec { name: self.args.workload.clone(), seed: 1 },
            pace: Pace::Open(Schedule::constant(self.args.rate, seconds)),
            connections: self.args.connections,
            threads: 1,
            cpus: self.args.cpu.into_iter().collect(),
            requests_per_connection: self.args.churn,
            pipelining: 1,
            timeout: Duration::from_secs_f64(self.args.timeout),
            driver: self.args.driver,
            run: new_run(),
        };
        Ok(load::run(&plan, &Arc::default(), |_| Unobserved)?.0)
    }

    fn watched<T>(
        &self,
        work: impl FnOnce() -> Result<T, EvilError>,
    ) -> Result<(T, Option<io::Result<Usage>>), EvilError> {
        let Some(tree) = self.tree else { return Ok((work()?, None)) };
        let (result, usage) = watched(tree, work);
        Ok((result?, Some(usage)))
    }
}

fn assessed(
    attack: Attack,
    [before, during, after]: [LoadResult; 3],
    course: Course,
    resources: Option<Resources>,
) -> AttackResult {
    let figures = [&before, &during, &after].map(Figures::of);
    let phases = [("before", &before), ("during", &during), ("after", &after)];
    let notes = notes(phases, &course, resources);
    AttackResult {
        attack: attack.name.to_owned(),
        description: attack.description.to_owned(),
        verdict: judge(figures[0], figures[1], figures[2]),
        p50_ratio: ratio(figures[0].p50_us, figures[1].p50_us),
        p99_ratio: ratio(figures[0].p99_us, figures[1].p99_us),
        failed_before: figures[0].failed(),
        failed_during: figures[1].failed(),
        failed_after: figures[2].failed(),
        conduct: course.conduct,
        attackers_busy_share: course.busy_share,
        attackers_turn_us_p99: course.turn_us_p99,
        resources,
        notes,
        before,
        during,
        after,
    }
}

/// What a reader must know to judge the numbers.
fn notes(phases: [(&str, &LoadResult); 3], course: &Course, resources: Option<Resources>) -> Vec<String> {
    let mut notes: Vec<String> = phases.iter().filter_map(|(when, load)| failures(when, load)).collect();
    let limited = |load: &LoadResult| load.generator.bottleneck.is_some();
    let when: Vec<&str> = phases.iter().filter(|(_, load)| limited(load)).map(|(when, _)| *when).collect();
    if let Some(why) = phases.iter().find_map(|(_, load)| load.generator.bottleneck.as_ref()) {
        notes.push(format!("{}: latencies are partly the generator's own: {why}", when.join(", ")));
    }
    if course.busy_share > BUSY_SHARE_MAX {
        notes.push(format!(
            "the attackers' thread was busy {:.0} % of the time: it is what limits the attack",
            course.busy_share * 100.0
        ));
    }
    if course.turn_us_p99 > TURN_US_MAX {
        let turn = latency(Duration::from_micros(course.turn_us_p99).as_secs_f64() * 1e6);
        notes.push(format!(
            "times until cut are known only to within {turn}: the attackers' thread took its turns"
        ));
    }
    if course.conduct.iter().all(|conduct| conduct.connects == 0) {
        notes.push("no attacker could connect".to_owned());
    }
    if resources.is_some_and(|used| used.during.is_none() || used.after.is_none()) {
        notes.push("the target's process has ended".to_owned());
    }
    notes
}

/// How the requests that failed ended.
fn failures(when: &str, load: &LoadResult) -> Option<String> {
    let is_failure = |outcome: &str| !(outcome.len() == 3 && outcome.starts_with('2'));
    let outcomes = load.totals.outcomes.iter().filter(|outcome| is_failure(&outcome.outcome));
    let texts: Vec<String> =
        outcomes.map(|outcome| format!("{} {}", outcome.count, outcome.outcome)).collect();
    (!texts.is_empty()).then(|| format!("failed {when}: {}", texts.join(", ")))
}
