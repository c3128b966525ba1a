//! Journals that can't be had.

use support::{Driver, Engine};

use super::{engine_options, with_files, with_route};

#[test]
fn a_second_engine_on_the_same_journal_is_refused() {
    let (journal, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options =
        || with_route(with_files(engine_options(Driver::Epoll, journal.path()), data.path()), "journaled");
    let first = Engine::start(&options());
    let mut second = Engine::prepare(&options());
    second.spawn();
    let status = second.wait(support::poll::PATIENCE);
    assert_eq!(status.code(), Some(1));
    let log = second.log();
    assert!(log.contains("is in use by") && log.contains(&first.pid().to_string()), "{log}");
    assert_eq!(first.exchange(&support::request::Request::post("/collect", "still there")).status, 200);
}

#[test]
fn a_journal_that_is_too_small_is_a_configuration_error() {
    let (journal, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options =
        with_route(with_files(engine_options(Driver::Epoll, journal.path()), data.path()), "journaled")
            .section("journal", "bytes_max = 8388608");
    let mut engine = Engine::prepare(&options);
    engine.spawn();
    assert_eq!(engine.wait(support::poll::PATIENCE).code(), Some(2));
    assert!(engine.log().contains("journal.bytes_max"), "{}", engine.log());
}
