//! The command line and the configuration: what an operator reads when something is wrong, and the environment
//! variables that make the engine a drop-in.

use std::fs;
use std::path::{Path, PathBuf};

use support::command::{Output, run};
use support::files::completed_records;
use support::poll::PATIENCE;
use support::port::ReservedPort;
use support::record::record_of;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(
    the_seeds_variables_configure_the_route,
    without_any_configuration_events_go_into_local_files,
);

/// A configuration that is right, in a directory of its own.
fn valid(dir: &Path) -> String {
    let (data, admin) = (ReservedPort::take(), ReservedPort::take());
    let toml = format!(
        "[server]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n\
         [route.collect]\npath = \"/collect\"\nprotocol = \"clickstream\"\nsink = \"files\"\n\
         [sink.files]\nkind = \"file\"\ndir = \"{}\"\n",
        data.address,
        admin.address,
        dir.join("data").display(),
    );
    write(dir, &toml)
}

fn write(dir: &Path, toml: &str) -> String {
    let path = dir.join("engine.toml");
    fs::write(&path, toml).unwrap();
    path.to_str().unwrap().to_owned()
}

fn assert_mentions(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not in: {}", output.stderr);
    }
}

/// `engine.toml:3`, `line 3`, …
fn assert_names_line(output: &Output, line: u32) {
    let forms = [format!(":{line}"), format!("line {line}")];
    let has = |form: &String| {
        output.stderr.match_indices(form.as_str()).any(|(place, _)| {
            !output.stderr[place + form.len()..].starts_with(|next: char| next.is_ascii_digit())
        })
    };
    assert!(forms.iter().any(has), "line {line} is not named: {}", output.stderr);
}

#[test]
fn every_error_of_a_broken_file_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "[server]\nlisten = \"nowhere\"\nshrads = 2\n\
                [limits]\nhead_bytes_max = \"many\"\n\
                [route.collect]\npath = \"collect\"\nprotocol = \"clickstream\"\nsink = \"flies\"\n\
                [sink.files]\nkind = \"file\"\ndir = \"data\"\n";
    let file = write(dir.path(), toml);
    for command in ["run", "check", "config"] {
        let output = run(&[command, "--config", &file], &[], dir.path());
        assert_eq!(output.code(), 2, "{command}: {output:?}");
        assert_mentions(
            &output,
            &["engine.toml", "nowhere", "shrads", "shards", "head_bytes_max", "many", "flies"],
        );
        for line in [2, 3, 5, 9] {
            assert_names_line(&output, line);
        }
    }
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "[server]\nlisten = \n");
    let output = run(&["check", "--config", &file], &[], dir.path());
    assert_eq!(output.code(), 2);
    assert_mentions(&output, &["engine.toml"]);
    assert_names_line(&output, 2);
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["run", "--config", "absent.toml"], &[], dir.path());
    assert_eq!(output.code(), 2);
    assert_mentions(&output, &["absent.toml"]);
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(&["serve"], &[], dir.path()).code(), 2);
    assert_eq!(run(&["run", "--unknown"], &[], dir.path()).code(), 2);
    let help = run(&["--help"], &[], dir.path());
    assert_eq!(help.code(), 0);
    for command in ["run", "check", "config"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
}

#[test]
fn check_takes_a_valid_file_and_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = valid(dir.path());
    let output = run(&["check", "--config", &file], &[], dir.path());
    assert_eq!(output.code(), 0, "{output:?}");
}

#[test]
fn check_connect_says_what_each_sink_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = valid(dir.path());
    let output = run(&["check", "--connect", "--config", &file], &[], dir.path());
    assert_eq!(output.code(), 0, "{output:?}");
    assert!(format!("{}{}", output.stdout, output.stderr).contains("files"), "{output:?}");
    // A file where the directory should be.
    fs::write(dir.path().join("data.blocked"), "").unwrap();
    let text = fs::read_to_string(&file).unwrap().replace("/data\"", "/data.blocked\"");
    let output = run(&["check", "--connect", "--config", &write(dir.path(), &text)], &[], dir.path());
    assert_ne!(output.code(), 0, "a sink that can't be used: {output:?}");
    assert!(format!("{}{}", output.stdout, output.stderr).contains("data.blocked"), "{output:?}");
}

#[test]
fn config_prints_what_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let file = valid(dir.path());
    let environment = [("MILLRUN_LIMITS__HEADERS_MAX", "77")];
    let output = run(&["config", "--config", &file], &environment, dir.path());
    assert_eq!(output.code(), 0, "{output:?}");
    for text in ["headers_max = 77", "/collect", "files"] {
        assert!(output.stdout.contains(text), "`{text}` is not in: {}", output.stdout);
    }
    let by_variable = run(&["config"], &[environment[0], ("MILLRUN_CONFIG", &file)], dir.path());
    assert_eq!(by_variable.stdout, output.stdout);
}

#[test]
fn an_unknown_variable_is_an_error_that_names_the_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = valid(dir.path());
    let output = run(&["check", "--config", &file], &[("MILLRUN_LIMITS__HEADRES_MAX", "7")], dir.path());
    assert_eq!(output.code(), 2, "{output:?}");
    assert_mentions(&output, &["MILLRUN_LIMITS__HEADRES_MAX", "headers_max"]);
}

#[test]
fn more_than_one_sink_variable_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_MSK_BROKERS", "127.0.0.1:9092"),
        ("AWS_MSK_TOPIC", "events"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("AWS_S3_BUCKET", "bucket"),
        ("AWS_S3_PREFIX", "prefix/"),
    ];
    let output = run(&["check"], &environment, dir.path());
    assert_eq!(output.code(), 2, "{output:?}");
    assert_mentions(&output, &["AWS_MSK_BROKERS", "AWS_S3_BUCKET"]);
    assert!(!output.stderr.contains("AWS_KINESIS_STREAM_NAME"), "absent: {}", output.stderr);
}

#[test]
fn the_seeds_kafka_variables_make_a_kafka_sink() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_MSK_BROKERS", "10.1.2.3:9092,10.1.2.4:9092"),
        ("AWS_MSK_TOPIC", "clicks"),
        ("AWS_KINESIS_STREAM_NAME", "__NOT_SET__"),
        ("AWS_S3_BUCKET", "__NOT_SET__"),
        ("STREAM_ACK_ENABLE", "true"),
    ];
    let output = run(&["config"], &environment, dir.path());
    assert_eq!(output.code(), 0, "{output:?}");
    for text in ["kafka", "10.1.2.3:9092", "10.1.2.4:9092", "clicks"] {
        assert!(output.stdout.contains(text), "`{text}` is not in: {}", output.stdout);
    }
}

/// As the seed's templates write them: dots escaped, origins joined with a bar.
fn the_seeds_variables_configure_the_route(driver: Driver) {
    let options = EngineOptions::embedded(driver)
        .environment("SERVER_ENDPOINT_PATH", "/events")
        .environment("PING_ENDPOINT_PATH", "/clock")
        .environment("SERVER_CORS_ORIGIN", r"https://a\.example\.com|https://.*\.shop\.example")
        .environment("DEV_MODE", "Yes")
        .environment("WORKER_THREADS_NUM", "__NOT_SET__");
    let mut engine = Engine::start(&options);
    assert_eq!(engine.exchange(&Request::get("/clock")).status, 200);
    let allowed = |origin: &str| {
        let response = engine.exchange(&Request::preflight("/events", origin));
        response.header("Access-Control-Allow-Origin").is_some()
    };
    assert!(allowed("https://a.example.com") && allowed("https://x.shop.example"));
    assert!(!allowed("https://aXexample.com") && !allowed("https://a.example.com.evil.org"));
    let response = engine.exchange(&Request::post("/events?fakeIp=1.2.3.4", "{}"));
    stop(&mut engine);
    let records = completed_records(&data_dir_below(engine.own_dir()));
    assert_eq!(record_of(&records, &response).text("ip"), Some("1.2.3.4"));
}

/// What `make run` starts: no file, no variable, events in files below the working directory, and a hint.
fn without_any_configuration_events_go_into_local_files(driver: Driver) {
    let mut engine = Engine::start(&EngineOptions::embedded(driver));
    let response = engine.exchange(&Request::post("/collect?appId=first", r#"[{"event_type":"hello"}]"#));
    let log = engine.log();
    for text in [engine.address().to_string().as_str(), "curl", "/collect"] {
        assert!(log.contains(text), "`{text}` is not in: {log}");
    }
    stop(&mut engine);
    let records = completed_records(&data_dir_below(engine.own_dir()));
    assert_eq!(record_of(&records, &response).text("appId"), Some("first"));
}

fn stop(engine: &mut Engine) {
    engine.terminate();
    assert_eq!(engine.wait(PATIENCE).code(), Some(0));
}

/// The directory of a file sink, wherever it is below `dir`: the parent of the years.
fn data_dir_below(dir: &Path) -> PathBuf {
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("year=") {
                return dir;
            }
            if path.is_dir() {
                pending.push(path);
            }
        }
    }
    panic!("no file sink wrote below {}", dir.display());
}
