//! Real processes, started, accounted and stopped. Nothing here depends on how fast they are.

use std::path::Path;

use super::super::actor::{self, SPIN};
use super::super::cpus::CpuSet;
use super::super::instructions::Event;
use super::*;

fn allowed() -> Vec<usize> {
    CpuSet::allowed().unwrap()
}

fn started(spec: &Spec) -> Process {
    let mut process = Process::start(spec, &allowed()).unwrap();
    process.wait_ready(&spec.ready).unwrap();
    process
}

fn pids(process: &Process) -> Vec<i32> {
    process.tree().members().unwrap().iter().map(|stat| stat.pid).collect()
}

fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

fn within(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

#[test]
fn a_target_starts_answers_and_stops_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec("serve", dir.path(), "");
    let mut process = started(&spec);
    process.check().unwrap();
    let pids = pids(&process);
    assert!(!pids.is_empty());
    let taken = Process::start(&spec, &allowed()).unwrap_err().to_string();
    assert!(taken.contains("listens at 127.0.0.1"), "{taken}");
    let stopped = process.stop().unwrap();
    assert!(!stopped.killed, "{stopped:?}");
    assert!(pids.iter().all(|&pid| is_gone(pid)));
}

#[test]
fn one_that_does_not_hear_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let process = started(&actor::spec("stubborn", dir.path(), "stop = { timeout_s = 0.05 }"));
    let pids = pids(&process);
    assert!(process.stop().unwrap().killed);
    assert!(pids.iter().all(|&pid| is_gone(pid)));
}

#[test]
fn a_dropped_target_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let process = started(&actor::spec("serve", dir.path(), ""));
    let pids = pids(&process);
    drop(process);
    assert!(pids.iter().all(|&pid| is_gone(pid)));
}

#[test]
fn a_child_that_left_the_session_is_cleared_away_too() {
    let dir = tempfile::tempdir().unwrap();
    let process = started(&actor::spec("parent_of_runaway", dir.path(), ""));
    let file = dir.path().join("runaway");
    let written = || std::fs::read_to_string(&file).ok().and_then(|text| text.parse::<i32>().ok());
    assert!(within(Duration::from_secs(20), || written().is_some()));
    let runaway = written().unwrap();
    assert!(pids(&process).contains(&runaway));
    assert!(process.stop().unwrap().killed);
    assert!(is_gone(runaway));
}

/// The tree's CPU time against what its members say of themselves (getrusage): one that has ended, one that lives, and the
/// root, whose work was done by a thread that has ended. What they use after their reports is in the tolerance, as are the
/// clock ticks of the one that has ended.
#[test]
fn the_cpu_time_of_a_family_is_what_its_members_report() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec("family", dir.path(), "ready = { timeout_s = 60 }");
    let mut process = Process::start_counting(&spec, &allowed(), Event::TaskClock).unwrap();
    process.wait_ready(&spec.ready).unwrap();
    let mut reports = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        reports.push(Duration::from_nanos(text.parse().unwrap()));
    }
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert!(reports.iter().all(|&report| report >= SPIN), "{reports:?}");
    let reported: Duration = reports.iter().sum();
    let tolerance = Duration::from_millis(60);
    let counted = process.tree().cpu().unwrap();
    assert!(counted + tolerance >= reported && counted <= reported + tolerance, "{counted:?} {reported:?}");
    // The same by the kernel's own counter, which is attached and inherited as the one of instructions is.
    match process.instructions() {
        Ok(clock_ns) => {
            let clock = Duration::from_secs_f64(clock_ns / 1e9);
            assert!(clock + tolerance >= reported && clock <= reported + tolerance, "{clock:?} {reported:?}");
        }
        Err(why) => assert!(why.to_string().contains("not allowed"), "{why}"),
    }
    let memory = process.tree().memory().unwrap();
    assert!(memory.rss_bytes > 0 && memory.peak_rss_bytes >= memory.rss_bytes / 2, "{memory:?}");
    process.stop().unwrap();
}

#[test]
fn instructions_are_counted_or_the_reason_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let process = started(&actor::spec("serve", dir.path(), ""));
    match process.instructions() {
        Ok(count) => assert!(count > 1000.0, "{count}"),
        Err(why) => assert!(why.to_string().len() > 20, "{why}"),
    }
}

#[test]
fn the_whole_tree_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let cpu = *allowed().last().unwrap();
    let process = started(&actor::spec("parent_of_runaway", dir.path(), &format!("cpus = [{cpu}]")));
    for pid in pids(&process) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        assert_eq!(list.trim(), cpu.to_string(), "{pid}");
    }
    let impossible = actor::spec("serve", dir.path(), "cpus = [1000]");
    let error = Process::start(&impossible, &allowed()).unwrap_err().to_string();
    assert!(error.contains("[1000]") && error.contains("choose among them"), "{error}");
}

#[test]
fn one_that_ends_by_itself_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec("quit", dir.path(), "");
    let mut process = Process::start(&spec, &allowed()).unwrap();
    let error = process.wait_ready(&spec.ready).unwrap_err().to_string();
    assert!(error.contains("no configuration") && error.contains("foreground"), "{error}");
}

#[test]
fn one_that_never_answers_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec("silent", dir.path(), "ready = { timeout_s = 0.05 }");
    let mut process = Process::start(&spec, &allowed()).unwrap();
    let error = process.wait_ready(&spec.ready).unwrap_err().to_string();
    assert!(error.contains("not ready after 0.05 s") && error.contains("refused"), "{error}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let text = "name = 'x'\ncommand = ['./nothing/here']\nurl = 'http://127.0.0.1:1/'\n";
    let spec = Spec::parse(&std::env::temp_dir().join("x.toml"), text).unwrap();
    let error = Process::start(&spec, &allowed()).unwrap_err().to_string();
    assert!(error.contains("nothing/here") && error.contains("No such file"), "{error}");
}

#[test]
fn commands_around_it_run_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec(
        "serve",
        dir.path(),
        "before = ['sh', '-c', 'echo ready to go']\nafter = ['sh', '-c', 'echo went wrong >&2; exit 3']",
    );
    assert_eq!(run_to_end(&spec, spec.before.as_ref().unwrap()).unwrap(), "ready to go");
    let error = run_to_end(&spec, spec.after.as_ref().unwrap()).unwrap_err().to_string();
    assert!(error.contains("went wrong") && error.contains("exit status: 3"), "{error}");
}

/// A harness that is gone leaves no target.
#[test]
fn a_target_ends_with_the_one_who_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let spec = actor::spec("die_with_a_target", dir.path(), "");
    run_to_end(&spec, &spec.command).unwrap();
    let pids = std::fs::read_to_string(dir.path().join("pids")).unwrap();
    assert!(!pids.is_empty());
    for pid in pids.split(' ').map(|pid| pid.parse::<i32>().unwrap()) {
        let ended = || {
            // It may have become this process's child, to be waited for.
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
            is_gone(pid)
                || std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        };
        assert!(within(Duration::from_secs(20), ended), "{pid} lives");
    }
}
