//! Rules between sections: what each key allows by itself, and the configuration as a whole does not.

use crate::config::reader::{Reader, Section};
use crate::config::settings::{Settings, Sink, SinkKind};
use crate::journal::{Options, SinkPlan};

/// Checks all of them; what is wrong is in the reader's errors.
pub(super) fn check(reader: &mut Reader, settings: &Settings) {
    memory(reader, settings);
    listeners(reader, settings);
    times(reader, settings);
    sinks(reader, &settings.sinks);
    journal(reader, settings);
}

fn journal(reader: &mut Reader, settings: &Settings) {
    let journaled: Vec<_> = (0..settings.sinks.len()).filter(|sink| settings.is_journaled(*sink)).collect();
    if journaled.is_empty() {
        return;
    }
    let batch = &settings.batch;
    let large = journaled.iter().map(|sink| record_bytes_max(settings, *sink) + 1).max().unwrap_or(0);
    let shards = settings.server.shards.unwrap_or(1);
    let plan = |sink: &usize| SinkPlan { name: settings.sinks[*sink].name.clone(), shards };
    let options = Options {
        dir: settings.journal.dir.clone(),
        bytes_max: settings.journal.bytes_max,
        segment_bytes: settings.journal.segment_bytes,
        spares_max: 0,
        batch_bytes_max: if batch.large_count > 0 { batch.arena_bytes.max(large) } else { batch.arena_bytes },
        batch_records_max: batch.records_max,
        sinks: journaled.iter().map(plan).collect(),
    };
    let least = options.bytes_min();
    if options.bytes_max < least {
        let problem = format!(
            "is too small: {shards} shard(s) x {} journaled sink(s) x 2 segments of {} and what keeps account of them are {least}",
            journaled.len(),
            options.segment_size()
        );
        reader.fail(&Section::fixed("journal"), "bytes_max", problem);
    }
}

/// The largest record of a sink, as far as the configuration says.
fn record_bytes_max(settings: &Settings, sink: usize) -> usize {
    let limit = settings.limits.record_bytes_max;
    match &settings.sinks[sink].kind {
        SinkKind::Null(_) | SinkKind::File(_) => limit,
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => limit.min(options.record_bytes_max),
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => limit.min(options.record_bytes_max),
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => limit,
    }
}

fn memory(reader: &mut Reader, settings: &Settings) {
    let Settings { server, limits, batch, .. } = settings;
    let section = Section::fixed("limits");
    let largest =
        crate::shard::buffer::BufferPool::block_bytes(limits.head_bytes_max + limits.body_bytes_max);
    let shards = usize::from(server.shards.unwrap_or(1));
    if limits.body_memory_bytes / shards < largest {
        let problem = format!(
            "is too small: each of {shards} shard(s) needs {largest} for one head and body of the largest size; at least {}",
            largest * shards
        );
        reader.fail(&section, "body_memory_bytes", problem);
    }
    if limits.body_decoded_bytes_max < limits.body_bytes_max {
        let problem = format!(
            "must be at least limits.body_bytes_max = {}: a body that is not compressed is as long decoded",
            limits.body_bytes_max
        );
        reader.fail(&section, "body_decoded_bytes_max", problem);
    }
    if batch.count < 2 {
        reader.fail(
            &Section::fixed("batch"),
            "count",
            "must be at least 2: one to fill while one is under way",
        );
    }
}

fn listeners(reader: &mut Reader, settings: &Settings) {
    let Settings { server, admin, .. } = settings;
    if admin.listen == Some(server.listen) && server.listen.port() != 0 {
        reader.fail(
            &Section::fixed("admin"),
            "listen",
            "is server.listen as well; give the admin port an address of its own, or \"\" for none",
        );
    }
    if server.ping_path == "/health" {
        reader.fail(
            &Section::fixed("server"),
            "ping_path",
            "is taken: /health is answered by the engine itself",
        );
    }
}

fn times(reader: &mut Reader, settings: &Settings) {
    let Settings { server, ack, sinks, .. } = settings;
    if server.drain_delay + ack.deadline > server.drain_deadline {
        let problem = format!(
            "is too soon: server.drain_delay_ms = {} and ack.deadline_ms = {} have to pass before it",
            server.drain_delay.as_millis(),
            ack.deadline.as_millis()
        );
        reader.fail(&Section::fixed("server"), "drain_deadline_ms", problem);
    }
    if let Some(sink) = sinks.iter().find(|sink| sink.linger >= ack.deadline) {
        let problem = format!(
            "{} ms of linger are not below ack.deadline_ms = {}: requests would be answered 503 before their batch is sealed",
            sink.linger.as_millis(),
            ack.deadline.as_millis()
        );
        reader.fail(&Section::named("sink", &sink.name, "none"), "linger_ms", problem);
    }
}

/// Two sinks on one directory would complete each other's files.
fn sinks(reader: &mut Reader, sinks: &[Sink]) {
    let dirs = sinks.iter().filter_map(|sink| match &sink.kind {
        SinkKind::File(options) => Some((&sink.name, &options.dir)),
        _ => None,
    });
    let dirs: Vec<_> = dirs.collect();
    for (place, (name, dir)) in dirs.iter().enumerate() {
        if let Some((other, _)) = dirs[..place].iter().find(|(_, other)| other == dir) {
            let problem = format!("is the directory of sink.{other} already");
            reader.fail(&Section::named("sink", name, "file"), "dir", problem);
        }
    }
}
