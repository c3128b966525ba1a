use super::*;

const SMALL: &str = "name = 'x'\ncommand = ['x']\nurl = 'http://127.0.0.1:8088/collect'\n";

fn parse(text: &str) -> Result<Spec, SpecError> {
    Spec::parse(Path::new("/specs/A.toml"), text)
}

#[test]
fn a_full_file_is_understood() {
    let spec = parse(
        r#"
        name = "millrun"
        command = ["target/release/millrun", "--config", "x.toml"]
        url = "http://127.0.0.1:8088/collect"
        cpus = [1, 0]
        env = { RUST_LOG = "warn" }
        dir = "run"
        ready = { url = "http://127.0.0.1:8088/ready", timeout_s = 2.5 }
        stop = { signal = "QUIT", timeout_s = 3 }
        before = ["rm", "-rf", "data"]
        after = ["./clean.sh"]
        version = ["millrun", "--version"]
        "#,
    )
    .unwrap();
    assert_eq!(spec.name, "millrun");
    assert_eq!(spec.command.program, Path::new("/specs/target/release/millrun"));
    assert_eq!(spec.command.arguments, ["--config", "x.toml"]);
    assert_eq!(spec.command.env, [("RUST_LOG".to_owned(), "warn".to_owned())]);
    assert_eq!(spec.command.dir, Path::new("/specs/run"));
    assert_eq!(spec.cpus, [0, 1]);
    assert_eq!(spec.ready.probe, Probe::Url("http://127.0.0.1:8088/ready".into()));
    assert_eq!(spec.ready.timeout, Duration::from_millis(2500));
    assert_eq!(spec.stop, Stop { signal: libc::SIGQUIT, timeout: Duration::from_secs(3) });
    assert_eq!(spec.before.unwrap().words(), ["rm", "-rf", "data"]);
    assert_eq!(spec.after.unwrap().program, Path::new("/specs/./clean.sh"));
    assert_eq!(spec.version.unwrap().program, Path::new("millrun"));
}

#[test]
fn a_small_file_has_sensible_defaults() {
    let spec = parse(SMALL).unwrap();
    assert_eq!(spec.command.program, Path::new("x"));
    assert_eq!(spec.command.dir, Path::new("/specs/"));
    assert_eq!(spec.ready.probe, Probe::Tcp("127.0.0.1:8088".into()));
    assert_eq!(spec.stop.signal, libc::SIGTERM);
    assert!(spec.cpus.is_empty() && spec.before.is_none() && spec.after.is_none());
}

#[test]
fn the_default_probe_has_a_port() {
    assert_eq!(authority("http://localhost"), "localhost:80");
    assert_eq!(authority("http://[::1]/x:1"), "[::1]:80");
    assert_eq!(authority("http://[::1]:81/x"), "[::1]:81");
}

#[test]
fn a_relative_file_becomes_an_absolute_directory() {
    let spec = Spec::parse(Path::new("A.toml"), SMALL).unwrap();
    assert!(spec.command.dir.is_absolute(), "{:?}", spec.command.dir);
}

/// Every complaint names the file, the key, the value and what to write.
#[test]
fn complaints_name_file_key_value_and_way_out() {
    for (line, words) in [
        ("cpu = 0", &["cpu = 0", "no such key", "cpus"][..]),
        ("ready = { tpc = 'x' }", &["ready.tpc = \"x\"", "tcp, timeout_s, url"]),
        ("stop = { after = 1 }", &["stop.after = 1", "signal, timeout_s"]),
        ("cpus = [-1]", &["cpus = [-1]", "[0, 1]"]),
        ("cpus = []", &["cpus = []", "leave it out"]),
        ("cpus = 0", &["cpus = 0", "list of CPU numbers"]),
        ("env = { A = 1 }", &["env = { A = 1 }", "numbers in quotes"]),
        ("dir = ''", &["dir = \"\"", "in quotes"]),
        ("before = 'rm'", &["before = \"rm\"", "list of texts"]),
        ("after = []", &["after = []", "list of texts"]),
        ("stop = { signal = 'WINCH' }", &["stop.signal = \"WINCH\"", "TERM, INT"]),
        ("stop = 'TERM'", &["stop = \"TERM\"", "table"]),
        ("ready = { timeout_s = 0 }", &["ready.timeout_s = 0", "above 0"]),
        ("ready = { url = 'http://a', tcp = 'a:1' }", &["ready.tcp = \"a:1\"", "beside url"]),
    ] {
        let error = parse(&format!("{SMALL}{line}\n")).unwrap_err().to_string();
        for word in words.iter().chain(&["/specs/A.toml"]) {
            assert!(error.contains(word), "{line}: {word}: {error}");
        }
    }
}

#[test]
fn what_must_be_there_is_asked_for() {
    for key in ["name", "command", "url"] {
        let lines: Vec<_> = SMALL.lines().filter(|line| !line.starts_with(key)).collect();
        let error = parse(&lines.join("\n")).unwrap_err().to_string();
        assert!(error.contains(&format!("{key} is missing")), "{error}");
    }
    let error = parse("name = 'x'\ncommand = ['x']\nurl = 'ftp://x'\n").unwrap_err().to_string();
    assert!(error.contains("url = \"ftp://x\"") && error.contains("http://HOST"), "{error}");
    assert!(parse("name = \n").unwrap_err().to_string().contains("not TOML"));
    let error = Spec::read(Path::new("/nowhere/A.toml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/A.toml"), "{error}");
}
