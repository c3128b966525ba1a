//! A warm shard allocates and frees nothing per request, and neither does its lane, nor the writer of its journal. (The
//! relay, behind the answer, allocates per batch: the file names of what it reads, and the ranges without batches.)
//!
//! The engine runs in this process under an allocator that counts by thread. Counted, not timed: the figure is zero.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use millrun::config::{Sources, load};

/// Thread ids are below `kernel.pid_max`, which is at most 2^22; two threads that meet in a slot would only count more.
const SLOTS: usize = 1 << 16;
/// Allocations and frees of a shard that publishes its histograms.
const PUBLISHING_CALLS: u64 = 4;
static CALLS: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    let slot = THREAD.try_with(|thread| {
        if thread.get() == 0 {
            // SAFETY: gettid takes nothing and can't fail.
            let id = unsafe { libc::syscall(libc::SYS_gettid) };
            thread.set(usize::try_from(id).unwrap_or(0) % SLOTS);
        }
        thread.get()
    });
    // A thread that is ending has no slot any more, and is none that is watched.
    if let Ok(slot) = slot {
        CALLS[slot].fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and frees so far, by name of the engine's threads.
fn calls() -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap()) {
        // A thread may end between the two looks.
        let Ok(name) = std::fs::read_to_string(thread.path().join("comm")) else { continue };
        let id: usize = thread.file_name().to_str().unwrap().parse().unwrap();
        let name = name.trim();
        if ["shard-", "lane-", "journal-"].iter().any(|kind| name.starts_with(kind)) {
            *calls.entry(name.to_owned()).or_default() += CALLS[id % SLOTS].load(Ordering::Relaxed);
        }
    }
    calls
}

/// Starts an engine that lives until the process ends.
fn start(driver: &str, name: &str, journal: Option<&Path>) -> SocketAddr {
    let journaled = journal.map_or_else(String::new, |dir| {
        format!("[journal]\ndir = \"{}\"\nsegment_bytes = 16777216\n", dir.display())
    });
    let ack = if journal.is_some() { "journaled" } else { "delivered" };
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nshards = 1\ndriver = \"{driver}\"\n[admin]\nlisten = \"\"\n\
         [cors]\norigins = [\"https://*.example.com\"]\n\
         [route.events]\npath = \"/collect\"\nack = \"{ack}\"\nsink = \"{name}\"\n[sink.{name}]\nkind = \"null\"\n{journaled}"
    );
    let sources = Sources { file: Some(("test".into(), text)), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
    let engine = millrun::engine::start(loaded).unwrap_or_else(|error| panic!("{error}"));
    let address = engine.address;
    std::mem::forget(engine);
    address
}

fn post(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) {
    stream.write_all(request).unwrap();
    let mut len = 0;
    while !answer[..len].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[len..]).unwrap();
        assert!(read > 0, "the engine closed the connection");
        len += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer[..len]));
}

#[test]
fn a_warm_shard_and_its_lane_allocate_nothing_per_request() {
    let body = format!("[{{\"event_id\":\"1\",\"text\":\"{}\"}}]", "x".repeat(1000));
    let request = format!(
        "POST /collect?platform=Web&appId=a&upload_timestamp=1795411980908 HTTP/1.1\r\nHost: localhost\r\n\
         Origin: https://shop.example.com\r\nUser-Agent: test\r\nX-Forwarded-For: 192.0.2.1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Kept until the end: a connection that closes frees what it held, while another engine is being watched.
    let mut streams = Vec::new();
    let (ring, thread) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (driver, name, journal) in [
        ("io_uring", "uring", None),
        ("epoll", "epoll", None),
        ("io_uring", "ringed", Some(ring.path())),
        ("epoll", "threaded", Some(thread.path())),
    ] {
        let address = start(driver, name, journal);
        let mut stream = TcpStream::connect(address).unwrap();
        let mut answer = [0; 4096];
        for _ in 0..500 {
            post(&mut stream, request.as_bytes(), &mut answer);
        }
        // Both engines have a shard-0: their calls are added up, and the one before is idle.
        let (before, began) = (calls(), Instant::now());
        for _ in 0..1000 {
            post(&mut stream, request.as_bytes(), &mut answer);
        }
        let after = calls();
        assert!(
            after.keys().any(|name| name == "shard-0") && after.contains_key(&format!("lane-{name}")),
            "{after:?}"
        );
        // Once a second each engine's shard publishes its histograms, whether there are requests or not.
        let published = (streams.len() as u64 + 1) * (began.elapsed().as_secs() + 1) * PUBLISHING_CALLS;
        for (thread, calls) in &after {
            let calls = calls - before[thread];
            let allowed = if thread.starts_with("shard-") { published } else { 0 };
            assert!(
                calls <= allowed,
                "{name}: {thread} allocated or freed {calls} times during 1,000 requests"
            );
        }
        streams.push(stream);
    }
}
