//! The cases by instructions, under valgrind: the same on every run with the same compiler and kind of processor.
//!
//! A case has run once before it is counted, and is handed out again so that its end is not counted.

#![allow(missing_docs, reason = "the macros make public items")]

use std::hint::black_box;

use gungraun::prelude::*;
use micro::{Append, Chunked, Encode, Head, Query, Ring};

fn warm<C>(mut case: C, run: impl FnOnce(&mut C) -> usize) -> C {
    black_box(run(&mut case));
    case
}

#[library_benchmark]
#[bench::plain(warm(Head::plain(), |case| case.run()))]
#[bench::browser(warm(Head::browser(), |case| case.run()))]
fn head(case: Head) -> (usize, Head) {
    (case.run(), case)
}

#[library_benchmark]
#[bench::web(warm(Query::web(), |case| case.run()))]
fn query_parse(case: Query) -> (usize, Query) {
    (case.run(), case)
}

#[library_benchmark]
#[bench::one_kb(warm(Chunked::new(1024), Chunked::run))]
#[bench::thirty_two_kb(warm(Chunked::new(32 * 1024), Chunked::run))]
fn chunked_decode(mut case: Chunked) -> (usize, Chunked) {
    (case.run(), case)
}

#[library_benchmark]
#[bench::one_kb(warm(Encode::new(1024), Encode::run))]
#[bench::thirty_two_kb(warm(Encode::new(32 * 1024), Encode::run))]
fn record_encode(mut case: Encode) -> (usize, Encode) {
    (case.run(), case)
}

#[library_benchmark]
#[bench::of_64_records(warm(Append::new(), Append::run))]
fn batch_append_and_seal(mut case: Append) -> (usize, Append) {
    (case.run(), case)
}

#[library_benchmark]
#[bench::one_batch(warm(Ring::new(), Ring::run))]
fn return_ring_push_pop(mut case: Ring) -> (usize, Ring) {
    (case.run(), case)
}

library_benchmark_group!(
    name = core,
    benchmarks =
        [head, query_parse, chunked_decode, record_encode, batch_append_and_seal, return_ring_push_pop]
);

main!(library_benchmark_groups = core);
