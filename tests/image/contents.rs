//! What the image consists of, and whom and as what it runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::container::{Container, Options, STATE, Seccomp, USER};
use super::podman::{IMAGE, podman, printed};

/// Regular files of a container's root, by their path in it, and their modes.
fn files(container_root: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut left = vec![container_root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let entry = entry.unwrap();
            let (kind, mode) = (entry.file_type().unwrap(), entry.metadata().unwrap().permissions().mode());
            assert!(!kind.is_block_device() && !kind.is_char_device(), "{entry:?}");
            if kind.is_dir() {
                left.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(container_root).unwrap().to_owned(), mode);
            }
        }
    }
    found
}

#[test]
fn it_holds_the_engine_its_libraries_and_authorities_and_nothing_to_run_beside() {
    let name = format!("millrun-contents-{}", std::process::id());
    printed(&mut podman(&["create", "--name", &name, "--pull=never", IMAGE]));
    let root = PathBuf::from(printed(&mut podman(&["mount", &name])));
    let found = files(&root);
    let holds_certificates = fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt"))
        .is_ok_and(|text| text.matches("BEGIN CERTIFICATE").count() > 50);
    printed(&mut podman(&["rm", "--force", "--volumes", &name]));

    assert!(holds_certificates, "certificate authorities");
    assert!(found.contains_key(Path::new("usr/local/bin/millrun")));
    let is_library = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains(".so")
    };
    for (path, mode) in &found {
        assert_eq!(
            mode & 0o7002,
            0,
            "{} is set-id, sticky, or everyone's to write: {mode:o}",
            path.display()
        );
        let runs = mode & 0o111 != 0;
        assert!(
            !runs || path == Path::new("usr/local/bin/millrun") || is_library(path),
            "{} can be run",
            path.display()
        );
    }
    // Scanners of images find the libraries' versions here.
    for package in ["ca-certificates", "libc6", "libssl3"] {
        let status = PathBuf::from("var/lib/dpkg/status.d").join(package);
        assert!(found.contains_key(&status), "{} among {found:?}", status.display());
    }
    for library in found.keys().filter(|path| is_library(path)) {
        println!("{}", library.display());
    }
}

#[test]
fn its_configuration_is_what_orchestrators_ask_for() {
    let of = |template: &str| printed(&mut podman(&["image", "inspect", "--format", template, IMAGE]));
    assert_eq!(of("{{.Config.User}}"), format!("{USER}:{USER}"), "a number");
    assert_eq!(of("{{json .Config.Entrypoint}}"), r#"["/usr/local/bin/millrun"]"#, "no shell in between");
    assert_eq!(of("{{json .Config.Cmd}}"), r#"["run"]"#);
    assert_eq!(of("{{.Config.WorkingDir}}"), STATE);
    assert_eq!(of("{{json .Config.Volumes}}"), format!(r#"{{"{STATE}":{{}}}}"#));
    assert!(of("{{json .HealthCheck}}").contains(r#""Test":["CMD","/usr/local/bin/millrun","health"]"#));
}

#[test]
fn the_engine_is_process_1_of_nobody_with_no_rights() {
    let container = Container::start(&Options::new(Seccomp::Ours));
    assert_eq!(container.proc("cmdline"), "/usr/local/bin/millrun\0run\0");
    let status = container.proc("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(field("NSpid").last(), Some(&"1"));
    for ids in ["Uid", "Gid"] {
        assert!(field(ids).iter().all(|id| *id == USER.to_string()), "{status}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), (vec!["1"], vec!["2"]));
}
