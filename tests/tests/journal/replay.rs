//! The journal of a host that is gone, delivered by the command.

use support::command::{Output, run};
use support::files::completed_records;
use support::record::Record;
use support::request::Request;
use support::{Driver, Engine, EngineOptions};

use super::{engine_options, with_route};

fn command(arguments: &[&str]) -> Output {
    run(arguments, &[], &std::env::temp_dir())
}

#[test]
fn a_dead_engines_journal_is_listed_exported_and_replayed() {
    let (journal, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = engine_options(Driver::Epoll, journal.path())
        .section("sink.events", "kind = \"kafka\"\nbrokers = \"127.0.0.1:9\"\ntopic = \"gone\"");
    let mut engine = Engine::start(&with_route(options, "journaled"));
    for body in ["one", "two"] {
        assert_eq!(engine.exchange(&Request::post("/collect", body)).status, 200);
    }
    engine.kill();
    let dir = journal.path().to_str().unwrap();
    let listed = command(&["journal", "ls", dir]);
    assert!(listed.status.success() && listed.stdout.contains("to deliver"), "{}", listed.stdout);
    let exported = command(&["journal", "export", dir]);
    assert_eq!(exported.stdout.lines().count(), 2, "{}", exported.stdout);
    assert!(command(&["journal", "verify", dir]).status.success());

    let files = EngineOptions::new(Driver::Epoll)
        .without_default_sink()
        .section("sink.events", &format!("kind = \"file\"\ndir = \"{}\"", data.path().display()));
    let writes_config = Engine::prepare(&with_route(files, "delivered"));
    let config = writes_config.own_dir().join("millrun.toml");
    for _ in 0..2 {
        let replayed = command(&["journal", "replay", "--config", config.to_str().unwrap(), "--dir", dir]);
        assert!(replayed.status.success(), "{}{}", replayed.stdout, replayed.stderr);
    }
    let records = completed_records(data.path());
    let mut bodies: Vec<_> = records.iter().map(Record::data).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "two"], "the second replay had nothing to do");
}
