//! The binary under test, and commands of it that end by themselves.

use std::env;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::poll::PATIENCE;

/// Where the engine is: `MILLRUN_BIN`, else `millrun` of the profile that the test itself was built with.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("MILLRUN_BIN") {
        // Tests run in their package's directory, people in the repository's root.
        return Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    }
    let test = env::current_exe().expect("the path of this test");
    // target/<profile>/deps/contract-0123456789abcdef
    let profile = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let path = profile.join("millrun");
    assert!(
        path.exists(),
        "the engine is not built: {} is missing. `make test-e2e` builds it; by hand: `cargo build -p millrun`, or set MILLRUN_BIN",
        path.display()
    );
    path
}

/// The engine with these arguments, nothing of this process's configuration, and the same life as this thread: it
/// is killed when the test ends, however that happens.
pub(crate) fn engine_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MILLRUN_") || text.starts_with("AWS_") || text.starts_with("S3_") {
            command.env_remove(&name);
        }
    }
    // SAFETY: prctl is async-signal-safe, allocates nothing and takes no pointer here.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Exit code; panics where a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// Runs a command of the engine that ends by itself, such as `check`.
pub fn run(arguments: &[&str], environment: &[(&str, &str)], dir: &Path) -> Output {
    let mut command = engine_command(arguments);
    let mut child = command
        .envs(environment.iter().copied())
        .current_dir(dir)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let status = end_of(&mut child);
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("reading does not panic");
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Output { status, stdout, stderr },
        None => panic!("{arguments:?} did not end.\nstdout: {stdout}\nstderr: {stderr}"),
    }
}

/// `None` where it had to be killed.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            return None;
        }
        thread::sleep(Duration::from_millis(3));
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
