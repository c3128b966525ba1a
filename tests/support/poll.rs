//! Waiting for something to become true, without guessing how long it takes.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything that happens at all, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` until it answers `Some`, and returns that.
///
/// Panics with `what` when `deadline` has passed without.
pub fn poll_until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_what_the_probe_finds() {
        let mut left = 3;
        let found = poll_until("a countdown", PATIENCE, || {
            left -= 1;
            (left == 0).then_some("done")
        });
        assert_eq!(found, "done");
    }

    #[test]
    #[should_panic(expected = "not within 1ms: a miracle")]
    fn it_gives_up_at_the_deadline_and_names_what_is_missing() {
        poll_until("a miracle", Duration::from_millis(1), || None::<()>);
    }
}
