//! The cases by wall clock: what they feel like here and now. Compare runs of one machine only, and those with care.

use divan::Bencher;
use micro::{Append, Chunked, Encode, Head, Query, Ring};

fn main() {
    divan::main();
}

#[divan::bench]
fn head_plain(bencher: Bencher) {
    let case = Head::plain();
    bencher.bench_local(|| case.run());
}

#[divan::bench]
fn head_browser(bencher: Bencher) {
    let case = Head::browser();
    bencher.bench_local(|| case.run());
}

#[divan::bench]
fn query_parse(bencher: Bencher) {
    let case = Query::web();
    bencher.bench_local(|| case.run());
}

#[divan::bench(args = [1024, 32 * 1024])]
fn chunked_decode(bencher: Bencher, payload_bytes: usize) {
    let mut case = Chunked::new(payload_bytes);
    bencher.bench_local(|| case.run());
}

#[divan::bench(args = [1024, 32 * 1024])]
fn record_encode(bencher: Bencher, body_bytes: usize) {
    let mut case = Encode::new(body_bytes);
    bencher.bench_local(|| case.run());
}

#[divan::bench]
fn batch_append_64_and_seal(bencher: Bencher) {
    let mut case = Append::new();
    bencher.bench_local(|| case.run());
}

#[divan::bench]
fn return_ring_push_pop(bencher: Bencher) {
    let mut case = Ring::new();
    bencher.bench_local(|| case.run());
}
