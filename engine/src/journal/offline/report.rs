//! An inventory in words.

use std::fmt::Write;

use super::inventory::{Damage, Inventory};

/// What `millrun journal ls` prints: a line for each stream.
#[must_use]
pub fn list_text(inventory: &Inventory) -> String {
    let mut text = String::new();
    if inventory.sinks.is_empty() {
        text.push_str("no sink has a journal here\n");
    }
    for sink in &inventory.sinks {
        let _ = writeln!(text, "sink {}", sink.name);
        for stream in &sink.streams {
            let (batches, records, bytes, left, records_left) = stream.totals();
            let _ = write!(
                text,
                "  stream {:04}: {} segments, {batches} batches, {records} records, {bytes} bytes; \
                 delivered below {:016x}; {left} batches, {records_left} records to deliver",
                stream.stream,
                stream.segments.len(),
                stream.delivered_below,
            );
            let torn: u64 = stream.segments.iter().map(|segment| segment.torn_batches).sum();
            if torn > 0 {
                let _ = write!(text, "; {torn} torn");
            }
            text.push('\n');
            for segment in &stream.segments {
                let _ = writeln!(
                    text,
                    "    {:016x}.seg: {} bytes, batches {}, records {}, up to {:016x}, {} to deliver",
                    segment.first_sequence,
                    segment.bytes,
                    segment.batches,
                    segment.records,
                    segment.end_sequence,
                    segment.undelivered_batches,
                );
            }
        }
        if sink.quarantined_files > 0 {
            let (files, bytes) = (sink.quarantined_files, sink.quarantined_bytes);
            let _ = writeln!(text, "  quarantine: {files} files, {bytes} bytes");
        }
    }
    text
}

/// What `millrun journal verify` prints.
#[must_use]
pub fn verify_text(inventory: &Inventory) -> String {
    let mut text = String::new();
    for Damage { path, offset, what } in &inventory.damage {
        let _ = match offset {
            Some(offset) => writeln!(text, "damaged: {} at {offset}: {what}", path.display()),
            None => writeln!(text, "damaged: {}: {what}", path.display()),
        };
    }
    let streams = || inventory.sinks.iter().flat_map(|sink| &sink.streams);
    let batches: u64 = streams().map(|stream| stream.totals().0).sum();
    let torn: u64 = streams().flat_map(|stream| &stream.segments).map(|segment| segment.torn_batches).sum();
    let _ = writeln!(
        text,
        "{batches} batches are whole, {torn} were never finished (normal after a crash), {} damages",
        inventory.damage.len()
    );
    text
}
