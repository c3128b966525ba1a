//! Podman, with the image's own storage: nothing of the machine's other containers is seen or touched.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Name of the image under test, as `tests/setup/image.sh` gives it.
pub const IMAGE: &str = "localhost/millrun:test";

/// The repository's root.
pub fn repository() -> PathBuf {
    // tests/image
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A podman command, to which arguments are added.
pub fn podman(arguments: &[&str]) -> Command {
    let storage = env::var_os("MILLRUN_TEST_IMAGE_STORAGE").expect(
        "MILLRUN_TEST_IMAGE_STORAGE says where the image is: `make test-image` builds it and sets this",
    );
    let storage = PathBuf::from(storage);
    let mut command = Command::new("podman");
    // runc: crun fails on hosts with controllers of both versions of cgroups. cgroupfs: there may be no systemd.
    command.args(["--storage-driver", "vfs", "--runtime", &runc(), "--cgroup-manager", "cgroupfs"]);
    command.arg("--root").arg(storage.join("storage")).arg("--runroot").arg(storage.join("run"));
    command.args(arguments);
    command
}

/// Podman looks for runtimes by their path.
fn runc() -> String {
    let path = env::var_os("PATH").expect("PATH");
    let sbin = PathBuf::from("/usr/sbin");
    let found = env::split_paths(&path).chain([sbin]).map(|dir| dir.join("runc")).find(|file| file.exists());
    found.expect("runc is installed (Debian: runc)").into_os_string().into_string().expect("a path in UTF-8")
}

/// What it did, however it ended.
pub fn outcome(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is podman installed?"))
}

/// What it printed; it has to end well.
pub fn printed(command: &mut Command) -> String {
    let output = outcome(command);
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
