//! The whole journal on a simulated disk: every fault at every operation, and random histories.

mod crash;
mod damage;
mod fixture;
mod harness;
mod real;
mod sim;
mod space;
mod unreadable;

use std::path::PathBuf;

use super::{Options, SinkPlan};

/// Small segments, so that a short life has many of them.
fn options() -> Options {
    let sink = |name: &str, shards| SinkPlan { name: name.to_owned(), shards };
    let mut options = Options {
        dir: PathBuf::from("/data/journal"),
        bytes_max: 0,
        segment_bytes: 8192,
        spares_max: 1,
        batch_bytes_max: 1500,
        batch_records_max: 8,
        sinks: vec![sink("main", 2)],
    };
    options.bytes_max = options.bytes_min() + 12 * options.segment_size();
    options
}
