//! Memory is a sum: what the engine may take is computed, printed and checked before it serves anybody.
//!
//! ```text
//!   for each sink    shards x (batches x arena + large batches x large arena + their indices)
//!   for each shard   two decoding buffers
//!   together         larger read buffers
//!   connections      connections x (read buffer + state)
//!   base             code, stacks, rings, the sinks' clients
//! ```
//!
//! Everything but the connections is fixed by the configuration. Where the sum does not fit, the number of
//! connections gives way first (the log says so); where not even a few would fit, the engine does not start.

use std::fmt;

use crate::batch::FeedLimits;
use crate::http::coding;
use crate::limits;

/// Resident memory of a process that serves nobody yet: code, allocator, admin plane and logs. Measured 15 MiB with
/// two shards and a file sink.
const BASE_BYTES: usize = 24 << 20;
/// A shard's thread, its ring (4,096 entries) and its caches.
const SHARD_BYTES: usize = 2 << 20;
/// A lane's thread, and what a sink's client keeps for itself: librdkafka has some 300 bytes for each of at most
/// 100,000 messages, and its requests to the brokers.
const LANE_BYTES: usize = 40 << 20;
/// Bytes that index one record of a batch: its span, its waiter, its place in a sink's scratch array.
const RECORD_INDEX_BYTES: usize = 96;
/// With fewer connections than this an engine is of no use.
const CONNECTIONS_MIN: usize = 64;

/// What there is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Bytes, from `limits.memory_bytes_max`, the cgroup or the machine.
    pub memory_bytes: usize,
    /// Who says so, for the log.
    pub memory_limited_by: &'static str,
    /// `RLIMIT_NOFILE`.
    pub files_max: u64,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// Number of shards.
    pub shards: u16,
    /// By sink: its name and its feeds' limits.
    pub feeds: &'a [(String, FeedLimits)],
    /// What else there is: the journals' relays.
    pub extra: Vec<Part>,
    /// `limits.body_memory_bytes`.
    pub body_memory_bytes: usize,
    /// `limits.body_decoded_bytes_max`.
    pub body_decoded_bytes_max: usize,
    /// `limits.connections_max`.
    pub connections_max: usize,
}

/// One addend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Who takes it: a label value in the metrics.
    pub owner: String,
    /// How much.
    pub bytes: usize,
    /// How it is computed, for people.
    pub arithmetic: String,
}

/// The sum, and the number of connections that it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The addends.
    pub parts: Vec<Part>,
    /// Connections that are served at a time, all shards together.
    pub connections_max: usize,
    /// Why that is fewer than configured.
    pub lowered: Option<String>,
}

/// The sum does not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// Too little memory.
    #[error(
        "the configuration needs {needed} bytes of memory before the first connection, but {by} allows {available}:\n{arithmetic}\nlower batch.count, batch.arena_bytes, batch.large_count, limits.record_bytes_max, limits.body_memory_bytes or server.shards, or raise the limit"
    )]
    Memory {
        /// Fixed parts and the fewest connections.
        needed: usize,
        /// What there is.
        available: usize,
        /// Who says so.
        by: &'static str,
        /// The addends, a line each.
        arithmetic: String,
    },
    /// Too few file descriptors.
    #[error(
        "RLIMIT_NOFILE is {files_max}: too low for {CONNECTIONS_MIN} connections and {} descriptors of the engine's own; raise it (ulimit -n, LimitNOFILE=, --ulimit nofile=)",
        limits::FILES_RESERVED
    )]
    Files {
        /// The limit.
        files_max: u64,
    },
}

impl Plan {
    /// Adds up.
    ///
    /// # Errors
    /// [`DoesNotFit`], with the arithmetic.
    pub fn new(demand: &Demand<'_>, available: &Available) -> Result<Self, DoesNotFit> {
        let mut parts = fixed_parts(demand);
        let fixed: usize = parts.iter().map(|part| part.bytes).sum();
        let each = limits::CONNECTION_BUFFER_BYTES + limits::CONNECTION_STATE_BYTES;
        if fixed + CONNECTIONS_MIN * each > available.memory_bytes {
            return Err(DoesNotFit::Memory {
                needed: fixed + CONNECTIONS_MIN * each,
                available: available.memory_bytes,
                by: available.memory_limited_by,
                arithmetic: lines(&parts),
            });
        }
        let by_memory = (available.memory_bytes - fixed) / each;
        let by_files =
            usize::try_from(available.files_max.saturating_sub(limits::FILES_RESERVED)).unwrap_or(usize::MAX);
        if by_files < CONNECTIONS_MIN {
            return Err(DoesNotFit::Files { files_max: available.files_max });
        }
        let connections_max = demand.connections_max.min(by_memory).min(by_files);
        let lowered = (connections_max < demand.connections_max).then(|| {
            let (name, why) = if by_files < by_memory {
                ("RLIMIT_NOFILE", available.files_max.to_string())
            } else {
                (available.memory_limited_by, format!("{} bytes", available.memory_bytes))
            };
            format!(
                "limits.connections_max = {} is lowered to {connections_max}: {name} is {why}",
                demand.connections_max
            )
        });
        parts.push(Part {
            owner: "connections".into(),
            bytes: connections_max * each,
            arithmetic: format!(
                "{connections_max} connections x ({} buffer + {} state)",
                limits::CONNECTION_BUFFER_BYTES,
                limits::CONNECTION_STATE_BYTES
            ),
        });
        Ok(Self { parts, connections_max, lowered })
    }

    /// The sum in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory: at most {} bytes", self.bytes())?;
        f.write_str(&lines(&self.parts))
    }
}

fn lines(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| format!("  {:>12}  {:<20} {}", part.bytes, part.owner, part.arithmetic))
        .collect::<Vec<_>>()
        .join("\n")
}

fn fixed_parts(demand: &Demand<'_>) -> Vec<Part> {
    let shards = usize::from(demand.shards);
    let decoders = coding::memory_bytes_max(demand.body_decoded_bytes_max);
    let mut parts = vec![
        Part {
            owner: "base".into(),
            bytes: BASE_BYTES + shards * SHARD_BYTES + demand.feeds.len() * LANE_BYTES,
            arithmetic: format!(
                "{BASE_BYTES} process + {shards} shards x {SHARD_BYTES} + {} lanes x {LANE_BYTES}",
                demand.feeds.len()
            ),
        },
        Part {
            owner: "bodies".into(),
            bytes: demand.body_memory_bytes,
            arithmetic: "limits.body_memory_bytes".into(),
        },
        Part {
            owner: "decoders".into(),
            bytes: shards * decoders,
            arithmetic: format!("{shards} shards x {decoders}"),
        },
    ];
    for (name, feed) in demand.feeds {
        let (count, large) = (usize::from(feed.count), usize::from(feed.large_batches()));
        let index = feed.records_max * RECORD_INDEX_BYTES;
        parts.push(Part {
            owner: format!("sink.{name}"),
            bytes: shards * (count * (feed.arena_bytes + index) + large * feed.large_arena_bytes()),
            arithmetic: format!(
                "{shards} shards x ({count} batches x ({} arena + {index} index) + {large} large x {})",
                feed.arena_bytes,
                feed.large_arena_bytes()
            ),
        });
    }
    parts.extend(demand.extra.iter().cloned());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn feed() -> FeedLimits {
        FeedLimits {
            shard: 0,
            arena_bytes: 1 << 20,
            records_max: 1000,
            count: 10,
            large_count: 2,
            record_bytes_max: 4 << 20,
            linger: Duration::ZERO,
            deadline: Duration::ZERO,
            gathers: false,
        }
    }

    fn plan(memory_bytes: usize, files_max: u64) -> Result<Plan, DoesNotFit> {
        let feeds = [("events".to_owned(), feed())];
        let demand = Demand {
            extra: Vec::new(),
            shards: 2,
            feeds: &feeds,
            body_memory_bytes: 64 << 20,
            body_decoded_bytes_max: 8 << 20,
            connections_max: 10_000,
        };
        Plan::new(&demand, &Available { memory_bytes, memory_limited_by: "the cgroup", files_max })
    }

    #[test]
    fn the_sum_is_its_parts() {
        let plan = plan(4 << 30, 1 << 20).unwrap();
        assert_eq!(plan.connections_max, 10_000);
        assert_eq!(plan.lowered, None);
        let sink = plan.parts.iter().find(|part| part.owner == "sink.events").unwrap();
        assert_eq!(sink.bytes, 2 * (10 * ((1 << 20) + 96_000) + 2 * ((4 << 20) + 1)));
        let connections = plan.parts.iter().find(|part| part.owner == "connections").unwrap();
        assert_eq!(connections.bytes, 10_000 * (4096 + 3072));
        assert_eq!(plan.bytes(), plan.parts.iter().map(|part| part.bytes).sum::<usize>());
        assert!(
            plan.to_string()
                .contains("2 shards x (10 batches x (1048576 arena + 96000 index) + 2 large x 4194305)")
        );
    }

    #[test]
    fn connections_give_way_to_memory_and_to_descriptors_and_the_text_says_to_which() {
        let little = plan(256 << 20, 1 << 20).unwrap();
        assert!((64..10_000).contains(&little.connections_max));
        assert!(little.bytes() <= 256 << 20);
        assert!(little.lowered.unwrap().contains("the cgroup is 268435456 bytes"));
        let few = plan(4 << 30, 1256).unwrap();
        assert_eq!(few.connections_max, 1000);
        assert!(few.lowered.unwrap().contains("RLIMIT_NOFILE is 1256"));
    }

    #[test]
    fn what_can_not_fit_is_refused_with_the_arithmetic() {
        let error = plan(64 << 20, 1 << 20).unwrap_err().to_string();
        assert!(error.contains("the cgroup allows 67108864") && error.contains("sink.events"), "{error}");
        assert_eq!(plan(4 << 30, 300), Err(DoesNotFit::Files { files_max: 300 }));
    }
}
