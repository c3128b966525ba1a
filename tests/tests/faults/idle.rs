//! 10,000 idle connections cost at most 100 MB of resident memory in all.

use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use support::http::Client;
use support::request::Request;
use support::{Driver, Engine, EngineOptions, on_both_drivers};

on_both_drivers!(ten_thousand_idle_connections_fit_into_100_mb);

const CONNECTIONS: usize = 10_000;
/// Both variants at once would need more files than this process may open.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
const RSS_BYTES_MAX: u64 = 100_000_000;

fn ten_thousand_idle_connections_fit_into_100_mb(driver: Driver) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    allow_open_files(CONNECTIONS as u64 + 500);
    let engine = Engine::start(&EngineOptions::new(driver));
    let mut clients: Vec<Client> = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let mut client = engine.connect();
        // Each has served a request, so that its buffer is in use as it would be in life.
        let response = client.exchange(&Request::post("/collect", format!(r#"[{{"event_id":"{number}"}}]"#)));
        assert_eq!(response.status, 200, "connection {number}");
        clients.push(client);
    }
    let rss = engine.rss_bytes();
    println!("{CONNECTIONS} connections, {rss} bytes resident");
    assert!(rss <= RSS_BYTES_MAX, "{rss} bytes resident with {CONNECTIONS} idle connections");
    // They are alive, all of them.
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.exchange(&Request::get("/health")).status, 200);
    }
}

/// Raises the soft limit; the hard one must allow it, and the engine inherits it.
fn allow_open_files(wanted: u64) {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is to room for one rlimit, which the call fills.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) }, 0);
    // SAFETY: filled by the call above, which succeeded.
    let mut limit = unsafe { limit.assume_init() };
    assert!(
        wanted <= limit.rlim_max,
        "the test needs {wanted} open files and the hard limit is {}: raise it (ulimit -Hn)",
        limit.rlim_max
    );
    limit.rlim_cur = limit.rlim_cur.max(wanted);
    // SAFETY: the pointer is to a filled rlimit that outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}
