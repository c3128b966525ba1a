//! A segment that is gone takes no descriptor and no room on the disk any more.

use support::mount::Overlay;
use support::poll::PATIENCE;
use support::request::Request;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, with_files, with_route};

on_both_drivers!(delivered_segments_are_closed);

/// Segments that the engine has open, under whatever name they had last.
fn open_segments(engine: &Engine) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", engine.pid())).unwrap();
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    let segment =
        |path: &std::path::PathBuf| [".seg", ".spare"].iter().any(|end| path.to_string_lossy().contains(end));
    entries.filter_map(target).filter(segment).count()
}

/// On an overlay, which a container's own file system is, a close goes on in the background.
fn delivered_segments_are_closed(driver: Driver) {
    let (disk, data) = (Overlay::mount(), tempfile::tempdir().unwrap());
    let options = with_route(with_files(engine_options(driver, disk.path()), data.path()), "journaled");
    let engine = Engine::start(&options);
    let body = "x".repeat(900_000);
    let retired = "millrun_journal_segments_retired_total{sink=\"journal/events\"}";
    poll_until("twenty segments to come and go", PATIENCE, || {
        let status = engine.exchange(&Request::post("/collect", body.as_str())).status;
        assert!([200, 503].contains(&status), "{status}");
        (engine.metrics().get(retired).is_some_and(|retired| *retired >= 20.0)).then_some(())
    });
    // Of each of the two streams: the one that is written, the next one, the one that was read last.
    poll_until("their files to be closed", PATIENCE, || (open_segments(&engine) <= 6).then_some(()));
}
