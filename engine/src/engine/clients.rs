//! What sinks hold in memory besides the batches: copies that their clients make on the way out. For the memory sum.

use crate::batch::FeedLimits;
use crate::config::{Settings, SinkKind};
use crate::memory::Part;

/// A part for each sink whose client copies.
pub(super) fn memory(settings: &Settings, shards: u16, feeds: &[(String, FeedLimits)]) -> Vec<Part> {
    let part = |(kind, (name, feed)): (&SinkKind, &(String, FeedLimits))| match kind {
        // Files are written, and Kafka's messages sent, from the batches as they are.
        SinkKind::Null(_) | SinkKind::File(_) => None,
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(_) => None,
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => Some(kinesis(name, options, shards, feed)),
        #[cfg(feature = "s3")]
        SinkKind::S3(options) => Some(s3(name, options, shards, feed)),
    };
    let kinds = settings.sinks.iter().map(|sink| &sink.kind);
    kinds.zip(feeds).filter_map(part).collect()
}

/// Calls on their way are base64 in JSON: four bytes for three, and some hundred around each record. Neither more calls
/// than configured, nor more records than there are batches, twice: a call that hangs outlives its batch's deadline, and
/// ends within that time again.
#[cfg(feature = "kinesis")]
fn kinesis(name: &str, options: &millrun_sinks::kinesis::Options, shards: u16, feed: &FeedLimits) -> Part {
    /// Key, quotes, and a record's place in the sink's lists.
    const AROUND_BYTES: usize = 100;
    let encoded = |bytes: usize| bytes.div_ceil(3) * 4;
    let shards = usize::from(shards);
    let batches = shards * usize::from(feed.count);
    let large = shards * usize::from(feed.large_batches());
    let all = batches * (encoded(feed.arena_bytes) + feed.records_max * AROUND_BYTES)
        + large * (encoded(feed.large_arena_bytes()) + AROUND_BYTES);
    let held = 2 * all;
    let call = encoded(options.call_bytes_max) + options.call_records_max * AROUND_BYTES;
    let calls = options.calls_in_flight_max * call;
    Part {
        owner: format!("client.{name}"),
        bytes: held.min(calls),
        arithmetic: if held < calls {
            format!("2 x 4/3 of {batches} batches and {large} large ones + {AROUND_BYTES} a record")
        } else {
            format!("{} calls x {call}", options.calls_in_flight_max)
        },
    }
}

/// Objects that requests wait for: what the batches become is no larger than they are, and each object has a compressor.
#[cfg(feature = "s3")]
fn s3(name: &str, options: &millrun_sinks::s3::Options, shards: u16, feed: &FeedLimits) -> Part {
    /// One that is filled, and those on their way: each takes half of the batches.
    const OBJECTS: usize = 3;
    let shards = usize::from(shards);
    let held = shards
        * (usize::from(feed.count) * feed.arena_bytes
            + usize::from(feed.large_batches()) * feed.large_arena_bytes());
    let encoder = millrun_sinks::s3::Encoder::memory_bytes(options.compression, options.part_bytes);
    Part {
        owner: format!("client.{name}"),
        bytes: held + OBJECTS * encoder,
        arithmetic: format!("{held} of batches + {OBJECTS} objects x {encoder}"),
    }
}
