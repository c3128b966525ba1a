//! The command: two target files in, a comparison out.
//!
//! ```text
//!   round 1        round 2        round 3
//!   ┌───┐┌───┐     ┌───┐┌───┐     ┌───┐┌───┐      one box: before ▸ start ▸ ready ▸ warm-up ▸ [ load ] ▸ stop ▸ after
//!   │ A ││ B │     │ B ││ A │     │ A ││ B │                                                  └┬────┘
//!   └───┘└───┘     └───┘└───┘     └───┘└───┘              CPU time and instructions are read here and here
//! ```
//!
//! The order changes from round to round, so that neither always runs on the machine that the other has warmed. The
//! warm-up is a run of load of its own; the window that is accounted begins right before the measured load makes its
//! connections and ends right after its last answer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::comparison::{self, Comparison, Run, Side, VERSION, Which};
use super::cpus::CpuSet;
use super::memory::watched;
use super::process::{Process, ProcessError, run_to_end};
use super::spec::{Spec, SpecError};
use super::statistics::METHOD;
use crate::host::Host;
use crate::load::{self, LoadError, LoadPlan, Unobserved};
use crate::options::{LoadOptions, PaceOptions, not_negative, positive};
use crate::target::{Target, TargetError};

/// `bench-harness compare A.toml B.toml`
#[derive(Clone, Debug, clap::Args)]
pub struct CompareArgs {
    /// The first target's file
    pub a: PathBuf,
    /// The second target's file
    pub b: PathBuf,
    /// Pairs of runs; below 5 the interval is wide
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Seconds of every measured run
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// Seconds of load before it that are not measured
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub warmup: f64,
    /// Start both once and let the other idle, instead of starting each anew for every run
    #[arg(long)]
    pub keep_running: bool,
    /// Where the result goes as JSON; - for standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Open or closed loop
    #[command(flatten)]
    pub pace: PaceOptions,
    /// The load
    #[command(flatten)]
    pub load: LoadOptions,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A target's file.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A target.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A target's URL.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is nothing to compare.
    #[error(
        "{name}: none of {planned} requests was answered 2xx ({outcomes}); check url and what the target accepts"
    )]
    NothingSucceeded {
        /// The target.
        name: String,
        /// Requests that were due.
        planned: u64,
        /// How they ended.
        outcomes: String,
    },
    /// The operating system, on the way to something.
    #[error("{doing}: {error}")]
    System {
        /// What was tried.
        doing: String,
        /// Its answer.
        error: std::io::Error,
    },
}

/// Runs the command: the table on standard output, progress on standard error.
///
/// # Errors
/// When the comparison could not be made, or its JSON not be written.
pub fn run(args: &CompareArgs) -> Result<ExitCode, CompareError> {
    let comparison = compare(args, |step| eprintln!("{step}"))?;
    let to_stdout = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = &args.json {
        let failed = |error| CompareError::System { doing: format!("write {}", path.display()), error };
        let json = serde_json::to_string(&comparison).map_err(|error| failed(error.into()))?;
        if to_stdout {
            println!("{json}");
        } else {
            std::fs::write(path, json + "\n").map_err(failed)?;
        }
    }
    if !to_stdout {
        print!("{comparison}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the comparison; `progress` hears what is being done.
///
/// The calling thread is confined to the generator's CPUs meanwhile, and must live until this returns: targets end with
/// it.
///
/// # Errors
/// See [`CompareError`]. Whatever was started is stopped then, too.
pub fn compare(args: &CompareArgs, progress: impl FnMut(&str)) -> Result<Comparison, CompareError> {
    let (a, b) = (Spec::read(&args.a)?, Spec::read(&args.b)?);
    let started_at = OffsetDateTime::now_utc();
    let place = Place::choose(&args.load.cpus, &a, &b)?;
    let (mut session, sides) =
        (Session { args, place: &place, progress, runs: Vec::new() }, [side(&a)?, side(&b)?]);
    let confined = Confined::to(&place)?;
    let killed_at_end = if args.keep_running { session.kept(&a, &b)? } else { session.fresh(&a, &b)? };
    drop(confined);
    let runs = session.runs;
    let mut warnings = comparison::warnings(&runs);
    warnings.extend(killed_at_end);
    warnings.extend(place.warning());
    let [a, b] = sides;
    Ok(Comparison {
        version: VERSION,
        tool: concat!("bench-harness ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: std::env::args().collect(),
        started_at: started_at.format(&Rfc3339).unwrap_or_default(),
        host: Host { cores: u32::try_from(place.allowed.len()).unwrap_or(u32::MAX), ..Host::read() },
        method: METHOD.to_owned(),
        a,
        b,
        rounds: args.rounds,
        seconds: args.seconds,
        warmup_seconds: args.warmup,
        kept_running: args.keep_running,
        generator_cpus: place.generator.clone(),
        warnings,
        rows: comparison::rows(&runs),
        runs,
    })
}

/// Who runs where.
struct Place {
    /// All that this program may use.
    allowed: Vec<usize>,
    /// The generator's; empty = not pinned, beside the targets.
    generator: Vec<usize>,
    /// Whether the generator has CPUs that no target uses.
    apart: bool,
}

impl Place {
    fn choose(wanted: &[usize], a: &Spec, b: &Spec) -> Result<Self, CompareError> {
        let allowed = CpuSet::allowed()
            .map_err(|error| CompareError::System { doing: "ask for the CPUs".into(), error })?;
        let used = |cpu: &usize| [a, b].iter().any(|spec| spec.cpus.is_empty() || spec.cpus.contains(cpu));
        let free: Vec<usize> = allowed.iter().copied().filter(|cpu| !used(cpu)).collect();
        let generator = if wanted.is_empty() { free } else { wanted.to_vec() };
        let apart = !generator.is_empty() && !generator.iter().any(used);
        Ok(Self { allowed, generator, apart })
    }

    fn warning(&self) -> Option<String> {
        let text = "the generator shares CPUs with a target, so they take time from each other: compare CPU per request, or pin the targets (cpus) and leave a CPU free";
        (!self.apart).then(|| text.to_owned())
    }
}

/// Keeps the calling thread on the generator's CPUs until it is dropped.
struct Confined(Option<CpuSet>);

impl Confined {
    fn to(place: &Place) -> Result<Self, CompareError> {
        if place.generator.is_empty() {
            return Ok(Self(None));
        }
        let failed = |error| CompareError::System {
            doing: format!(
                "pin the generator to CPUs {:?}; choose --cpus among {:?}",
                place.generator, place.allowed
            ),
            error,
        };
        let back = CpuSet::of(&place.allowed).map_err(failed)?;
        CpuSet::of(&place.generator).and_then(|set| set.confine()).map_err(failed)?;
        Ok(Self(Some(back)))
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        if let Some(back) = &self.0 {
            // It was in force before.
            let _was_allowed = back.confine();
        }
    }
}

fn side(spec: &Spec) -> Result<Side, CompareError> {
    let version = match &spec.version {
        Some(command) => Some(run_to_end(spec, command)?.lines().next().unwrap_or_default().to_owned()),
        None => None,
    };
    Ok(Side {
        name: spec.name.clone(),
        file: spec.file.display().to_string(),
        command: spec.command.words(),
        version,
        url: spec.url.clone(),
        cpus: spec.cpus.clone(),
    })
}

/// The runs of one comparison.
struct Session<'a, P> {
    args: &'a CompareArgs,
    place: &'a Place,
    progress: P,
    runs: Vec<Run>,
}

impl<P: FnMut(&str)> Session<'_, P> {
    /// Each is started for every run of its own.
    fn fresh(&mut self, a: &Spec, b: &Spec) -> Result<Vec<String>, CompareError> {
        for round in 1..=self.args.rounds {
            for which in self.order(round) {
                let spec = if which == Which::A { a } else { b };
                let (mut run, killed) =
                    self.with(spec, |session, process| session.measure(round, which, spec, process))?;
                run.killed = killed;
                self.runs.push(run);
            }
        }
        Ok(Vec::new())
    }

    /// Both run all the time.
    fn kept(&mut self, a: &Spec, b: &Spec) -> Result<Vec<String>, CompareError> {
        let (((), b_killed), a_killed) = self.with(a, |session, process_a| {
            session.with(b, |session, process_b| {
                for round in 1..=session.args.rounds {
                    for which in session.order(round) {
                        let (spec, process) =
                            if which == Which::A { (a, &mut *process_a) } else { (b, &mut *process_b) };
                        let run = session.measure(round, which, spec, process)?;
                        session.runs.push(run);
                    }
                }
                Ok(())
            })
        })?;
        let killed = [(a, a_killed), (b, b_killed)].into_iter().filter(|(_, killed)| *killed);
        Ok(killed
            .map(|(spec, _)| format!("{}: had to be killed, or left processes behind", spec.name))
            .collect())
    }

    /// A B, then B A, and so on.
    fn order(&mut self, round: u32) -> [Which; 2] {
        let order = if round % 2 == 1 { [Which::A, Which::B] } else { [Which::B, Which::A] };
        (self.progress)(&format!(
            "round {round} of {}: {:?}, then {:?}",
            self.args.rounds, order[0], order[1]
        ));
        order
    }

    /// Starts a target, lets `work` use it, stops it; whether it had to be killed.
    fn with<T>(
        &mut self,
        spec: &Spec,
        work: impl FnOnce(&mut Self, &mut Process) -> Result<T, CompareError>,
    ) -> Result<(T, bool), CompareError> {
        if let Some(before) = &spec.before {
            run_to_end(spec, before)?;
        }
        let done = self.while_running(spec, work);
        let cleaned = spec.after.as_ref().map_or(Ok(String::new()), |after| run_to_end(spec, after));
        let done = done?;
        cleaned?;
        Ok(done)
    }

    fn while_running<T>(
        &mut self,
        spec: &Spec,
        work: impl FnOnce(&mut Self, &mut Process) -> Result<T, CompareError>,
    ) -> Result<(T, bool), CompareError> {
        let mut process = Process::start(spec, &self.place.allowed)?;
        process.wait_ready(&spec.ready)?;
        let result = work(self, &mut process)?;
        Ok((result, process.stop()?.killed))
    }

    fn measure(
        &mut self,
        round: u32,
        of: Which,
        spec: &Spec,
        process: &mut Process,
    ) -> Result<Run, CompareError> {
        let target = Target::resolve(&spec.url, false)?;
        let plan = |seconds| {
            let pace = self.args.pace.lasting(seconds);
            self.args.load.plan(target.clone(), pace, &self.place.generator)
        };
        if self.args.warmup > 0.0 {
            load::run(&plan(self.args.warmup), &Arc::default(), |_| Unobserved)?;
        }
        process.check()?;
        let run = window(round, of, spec, process, &plan(self.args.seconds), self.place.allowed.len())?;
        process.check()?;
        if run.load.totals.succeeded == 0 {
            let outcomes = run.load.totals.outcomes.iter();
            let outcomes: Vec<_> = outcomes.map(|o| format!("{}: {}", o.outcome, o.count)).collect();
            return Err(CompareError::NothingSucceeded {
                name: spec.name.clone(),
                planned: run.load.totals.planned,
                outcomes: outcomes.join(", "),
            });
        }
        Ok(run)
    }
}

/// The measured load, and what the target used for it.
fn window(
    round: u32,
    of: Which,
    spec: &Spec,
    process: &Process,
    plan: &LoadPlan,
    allowed: usize,
) -> Result<Run, CompareError> {
    let cpu = || {
        let used = process.tree().cpu();
        used.map_err(|error| CompareError::System {
            doing: format!("{}: read its CPU time", spec.name),
            error,
        })
    };
    let begun = Instant::now();
    let (cpu_before, instructions_before) = (cpu()?, process.instructions());
    let (loaded, memory) = watched(process.tree(), || load::run(plan, &Arc::default(), |_| Unobserved));
    let (cpu_after, instructions_after) = (cpu()?, process.instructions());
    let window = begun.elapsed();
    let cpu_s = cpu_after.saturating_sub(cpu_before).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a handful of CPUs")]
    let processors = if spec.cpus.is_empty() { allowed } else { spec.cpus.len() } as f64;
    let instructions = instructions_before.and_then(|before| Ok(instructions_after? - before));
    Ok(Run {
        round,
        of,
        window_s: window.as_secs_f64(),
        cpu_s,
        busy_share: cpu_s / (window.as_secs_f64() * processors),
        instructions_unavailable: instructions.as_ref().err().map(ToString::to_string),
        instructions: instructions.ok(),
        peak_rss_bytes: memory.peak_rss_bytes,
        sampled_rss_bytes: memory.rss_bytes,
        sampled_pss_bytes: memory.pss_bytes,
        killed: false,
        load: loaded?.0,
    })
}
