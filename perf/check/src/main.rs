//! Counts what the engine's release binary costs, and holds it against `perf/budgets.toml`.
//!
//! Only what can be counted: instructions, allocations, system calls, bytes, crates. No times: they say more about the
//! machine and its mood than about the program. See `perf/README.md` for how to read the figures.

mod budgets;
mod callgrind;
mod client;
mod figures;
mod process;
mod strace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use budgets::{Budgets, Verdict};
use figures::{Figure, MEASUREMENTS, Measurement};

/// Counts what a request costs the engine and fails where a budget is exceeded.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The engine's release binary, not stripped.
    #[arg(long, default_value = "target/release/millrun")]
    binary: PathBuf,
    /// The budgets.
    #[arg(long, default_value = "perf/budgets.toml")]
    budgets: PathBuf,
    /// Counts only what has this in its name.
    #[arg(long, default_value = "")]
    only: String,
}

/// How it ended: the exit codes are the engine's.
enum End {
    Good,
    Exceeded,
    Unusable(String),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        End::Good => ExitCode::SUCCESS,
        End::Exceeded => ExitCode::FAILURE,
        End::Unusable(why) => {
            eprintln!("perf-check: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> End {
    let budgets = match read_budgets(&arguments.budgets) {
        Ok(budgets) => budgets,
        Err(why) => return End::Unusable(why),
    };
    println!("{:<34} {:>14} {:>14} {:>12}", "figure", "counted", "budget", "tolerance");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    // The tests' word for a host that is known to forbid it.
    let forbidden = std::env::var_os("MILLRUN_TEST_NO_IO_URING").is_some_and(|value| value == "1");
    for measurement in &MEASUREMENTS {
        if !measurement.names.iter().any(|name| name.contains(&arguments.only)) {
            continue;
        }
        if measurement.needs_io_uring && forbidden {
            skipped += measurement.names.len();
            continue;
        }
        match count(measurement, &arguments.binary) {
            Ok(figures) => {
                for figure in &figures {
                    if report(figure, &budgets) { passed += 1 } else { failed += 1 }
                }
            }
            Err(error) => {
                println!("{}: can't be counted: {error}", measurement.names.join(", "));
                failed += measurement.names.len();
            }
        }
    }
    // The line that the tally of the tests reads.
    println!(
        "test result: {}. {passed} passed; {failed} failed; {skipped} ignored",
        if failed == 0 { "ok" } else { "FAILED" }
    );
    if failed == 0 { End::Good } else { End::Exceeded }
}

/// A server of the tests that does not start panics: it has said why then, and the other figures are counted still.
fn count(measurement: &Measurement, binary: &Path) -> Result<Vec<Figure>, String> {
    match std::panic::catch_unwind(|| (measurement.count)(binary)) {
        Ok(counted) => counted.map_err(|error| error.to_string()),
        Err(_) => Err("see the panic above".to_owned()),
    }
}

fn read_budgets(path: &Path) -> Result<Budgets, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let budgets = Budgets::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    check_names(&budgets).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(budgets)
}

/// Every figure has a budget, every budget a figure: a misspelt name must not switch a check off.
fn check_names(budgets: &Budgets) -> Result<(), String> {
    let figures = || MEASUREMENTS.iter().flat_map(|measurement| measurement.names);
    if let Some(unknown) = budgets.names().find(|name| !figures().any(|figure| figure == name)) {
        return Err(format!("no figure is named [{unknown}]"));
    }
    match figures().find(|figure| budgets.of(figure).is_none()) {
        Some(missing) => Err(format!("[{missing}] has no budget")),
        None => Ok(()),
    }
}

/// Prints a figure; false where it exceeds its budget.
fn report(figure: &Figure, budgets: &Budgets) -> bool {
    let Some(budget) = budgets.of(figure.name) else { return false };
    let verdict = budget.verdict(figure.value);
    let remark = match verdict {
        Verdict::Exceeded => "EXCEEDED",
        Verdict::Within => "ok",
        Verdict::CouldBeTightened => "ok; lower the budget to keep the gain",
    };
    println!(
        "{:<34} {:>14} {:>14} {:>12}  {remark}{}",
        figure.name,
        number(figure.value),
        number(budget.at_most),
        number(budget.slack()),
        if figure.detail.is_empty() { String::new() } else { format!(" ({})", figure.detail) },
    );
    verdict != Verdict::Exceeded
}

/// Small numbers with three places, others whole.
fn number(value: f64) -> String {
    // Half a thousandth is nothing, and nothing has no sign.
    let value = if value.abs() < 0.0005 { 0.0 } else { value };
    if value.abs() < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budgets_of_this_repository_fit_the_figures() {
        read_budgets(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../budgets.toml"))).unwrap();
    }

    #[test]
    fn a_misspelt_or_missing_budget_is_an_error() {
        let all = |spelt: &str| {
            let names = MEASUREMENTS.iter().flat_map(|measurement| measurement.names);
            let text = names.map(|name| format!("[{name}]\nat_most = 1\n")).collect::<Vec<_>>().concat();
            Budgets::parse(&text.replace("[crates]", spelt)).unwrap()
        };
        assert_eq!(check_names(&all("[crates]")), Ok(()));
        assert_eq!(check_names(&all("[crate]")), Err("no figure is named [crate]".to_owned()));
    }

    #[test]
    fn a_figure_above_its_budget_fails() {
        let budgets = Budgets::parse("[crates]\nat_most = 100\ntolerance = 1\n").unwrap();
        let figure = |value| Figure { name: "crates", value, detail: String::new() };
        assert!(report(&figure(101.0), &budgets) && report(&figure(3.0), &budgets));
        assert!(!report(&figure(102.0), &budgets));
    }
}
