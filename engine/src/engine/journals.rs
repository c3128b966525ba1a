//! The journals of an engine: opened, given to the shards that write them and the couriers that deliver from them, and
//! closed in the right order.
//!
//! ```text
//!   destinations   0 … sinks-1   sinks … sinks+journals-1
//!                  their lanes   the journals of those sinks that are journaled, in the same order
//! ```

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "s3")]
use millrun_sinks::s3::JournalShape;

use super::StartError;
use super::journal_watch::JournalWatch;
use crate::batch::FeedLimits;
use crate::config::{Acknowledgement, Outage, Route, Settings, SinkKind};
use crate::handoff::{LaneQueue, ReturnRing};
use crate::journal::disk::OsDisk;
use crate::journal::keeper::thread::KeeperHandle;
use crate::journal::{self, Appender, Budget, ConsumerBell, Options, Reader, ShardStream, SinkPlan};
use crate::lane::{Gate, LanePort};
use crate::memory::Part;
use crate::observe::{LaneRecorder, Metrics, SinkName};
use crate::relay::{self, RelayHandle, RelayLimits, RelayThread};

/// Delivered segments that each stream keeps to use again.
const SPARES_MAX: usize = 2;
/// Most batches that a relay has: so many streams can be under way at a time.
const RELAY_BATCHES_MAX: u16 = 4;

/// Batches of each relay: no more than a lane has accounts for one owner's.
fn relay_batches(settings: &Settings) -> u16 {
    settings.batch.slots().min(RELAY_BATCHES_MAX)
}

/// Which sinks have a journal, and where that is among the destinations.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    sinks: usize,
    journaled: Vec<usize>,
}

impl Destinations {
    pub(super) fn of(settings: &Settings) -> Self {
        let sinks = settings.sinks.len();
        Self { sinks, journaled: (0..sinks).filter(|sink| settings.is_journaled(*sink)).collect() }
    }

    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.sinks + self.journaled.len()
    }

    /// The journal of a sink.
    pub(super) fn journal_of(&self, sink: usize) -> Option<usize> {
        self.journaled.iter().position(|journaled| *journaled == sink).map(|place| self.sinks + place)
    }

    /// Where a route's records go, and where while the breaker of that is open.
    pub(super) fn of_route(&self, settings: &Settings, route: &Route) -> (usize, Option<usize>) {
        match (route.ack, self.journal_of(route.sink)) {
            (Acknowledgement::Journaled, Some(journal)) => (journal, None),
            (_, journal) => {
                let standby = match settings.sinks[route.sink].outage {
                    Outage::Reject => None,
                    Outage::Journal => journal,
                    Outage::Fallback(other) => Some(other),
                };
                (route.sink, standby)
            }
        }
    }

    /// The journals as metrics name them.
    pub(super) fn names(&self, settings: &Settings) -> impl Iterator<Item = SinkName> {
        let name = |sink: &usize| SinkName {
            name: format!("journal/{}", settings.sinks[*sink].name),
            kind: "journal",
        };
        self.journaled.iter().map(name).collect::<Vec<_>>().into_iter()
    }

    /// The journals' feeds: as those of their sinks, but nothing is gathered for.
    pub(super) fn feeds(
        &self,
        settings: &Settings,
        sinks: &[(String, FeedLimits)],
    ) -> Vec<(String, FeedLimits)> {
        let feed = |sink: &usize| {
            let limits = FeedLimits { gathers: false, linger: settings.batch.linger, ..sinks[*sink].1 };
            (format!("{}.journal", sinks[*sink].0), limits)
        };
        self.journaled.iter().map(feed).collect()
    }

    /// A relay is one more owner of batches for its lane.
    pub(super) fn owners(&self, settings: &Settings, sink: usize, shards: u16) -> u16 {
        shards + u16::from(self.is_relayed(settings, sink))
    }

    /// Whether the journal's records go through the sink's lane.
    fn is_relayed(&self, settings: &Settings, sink: usize) -> bool {
        let is_shipped = match &settings.sinks[sink].kind {
            #[cfg(feature = "s3")]
            SinkKind::S3(_) => true,
            _ => false,
        };
        self.journal_of(sink).is_some() && !is_shipped
    }

    /// What the relays and the appenders take.
    pub(super) fn memory(
        &self,
        settings: &Settings,
        shards: u16,
        feeds: &[(String, FeedLimits)],
    ) -> Vec<Part> {
        let part = |sink: &usize| {
            let (name, feed) = &feeds[*sink];
            let arena = arena_bytes(feed);
            let (slots, head) =
                (usize::from(settings.batch.slots()), Appender::head_bytes_max(feed.records_max));
            let heads = usize::from(shards) * slots * head;
            let heads_text = format!("{shards} shards x {slots} batches x {head} head");
            #[cfg(feature = "s3")]
            if let SinkKind::S3(options) = &settings.sinks[*sink].kind {
                let object = options.object_memory_bytes();
                return Part {
                    owner: format!("shipping.{name}"),
                    bytes: arena + object + heads,
                    arithmetic: format!("{arena} arena + {object} object + {heads_text}"),
                };
            }
            // One more to read ahead into.
            let batches = usize::from(relay_batches(settings)) + 1;
            Part {
                owner: format!("relay.{name}"),
                bytes: batches * arena + heads,
                arithmetic: format!("{batches} batches x {arena} arena + {heads_text}"),
            }
        };
        self.journaled.iter().map(part).collect()
    }

    /// The ways back to the relays, by sink.
    pub(super) fn relay_rings(&self, settings: &Settings) -> Result<Vec<Option<RelayRing>>, StartError> {
        let ring = |sink: usize| {
            self.is_relayed(settings, sink)
                .then(|| {
                    let batches = usize::from(relay_batches(settings));
                    ReturnRing::new(batches).map(|(ring, wire)| (Arc::new(ring), wire))
                })
                .transpose()
        };
        (0..self.sinks).map(ring).collect::<Result<_, _>>().map_err(StartError::Relay)
    }
}

pub(super) type RelayRing = (Arc<ReturnRing>, UnixStream);

fn arena_bytes(feed: &FeedLimits) -> usize {
    feed.arena_bytes.max(if feed.large_batches() > 0 { feed.large_arena_bytes() } else { 0 })
}

/// The journals of a running engine.
#[derive(Debug)]
pub(super) struct Journals {
    keeper: KeeperHandle,
    budget: Arc<Budget>,
    couriers: Vec<Courier>,
    /// By journal, then by shard.
    streams: Vec<Vec<ShardStream<File>>>,
    first: usize,
}

/// Who delivers from a journal.
#[derive(Debug)]
enum Courier {
    /// Batch by batch, through the sink's lane.
    Relay(RelayHandle),
    /// Many batches to an object.
    #[cfg(feature = "s3")]
    Shipping(crate::shipping::ShippingHandle),
}

/// What [`Journals::open`] needs besides the settings.
pub(super) struct Parts<'a> {
    pub(super) shards: u16,
    pub(super) feeds: &'a [(String, FeedLimits)],
    pub(super) ports: &'a [Arc<LanePort>],
    pub(super) rings: Vec<Option<RelayRing>>,
    pub(super) metrics: &'a Arc<Metrics>,
}

impl Journals {
    /// Opens the journal and starts delivering what earlier processes left. `None` where no sink is journaled.
    pub(super) fn open(
        settings: &Settings,
        destinations: &Destinations,
        parts: Parts<'_>,
    ) -> Result<Option<Self>, StartError> {
        if destinations.journaled.is_empty() {
            return Ok(None);
        }
        let feed_of = |sink: usize| &parts.feeds[sink].1;
        let largest = |size: fn(&FeedLimits) -> usize| {
            destinations.journaled.iter().map(|sink| size(feed_of(*sink))).max().unwrap_or(0)
        };
        let options = Options {
            dir: settings.journal.dir.clone(),
            bytes_max: settings.journal.bytes_max,
            segment_bytes: settings.journal.segment_bytes,
            spares_max: SPARES_MAX,
            batch_bytes_max: largest(arena_bytes),
            batch_records_max: largest(|feed| feed.records_max),
            sinks: destinations
                .journaled
                .iter()
                .map(|sink| SinkPlan { name: settings.sinks[*sink].name.clone(), shards: parts.shards })
                .collect(),
        };
        let opened = journal::open(OsDisk, &options, fastrand::u64(..)).map_err(StartError::Journal)?;
        tell(&options, &opened.found);
        let (figures, budget) = (opened.keeper.figures(), opened.keeper.budget());
        let keeper = journal::keeper::thread::start(opened.keeper).map_err(StartError::Relay)?;
        let (mut couriers, mut streams, mut rings) = (Vec::new(), Vec::new(), parts.rings);
        for (place, (journal, sink)) in opened.sinks.into_iter().zip(&destinations.journaled).enumerate() {
            let name = &settings.sinks[*sink].name;
            let watch = JournalWatch::new(
                journal.streams.clone(),
                journal.reader.figures(),
                figures.clone(),
                budget.clone(),
                &settings.journal.dir.join(name),
            );
            let metrics = parts.metrics.lane_recorder(destinations.sinks + place);
            let post = Post {
                settings,
                sink: *sink,
                shards: parts.shards,
                feed: feed_of(*sink),
                port: &parts.ports[*sink],
                ring: rings[*sink].take(),
                bell: journal.streams[0].marks.bell().clone(),
                metrics: metrics.expect("each destination is made once"),
            };
            couriers.push(post.start(journal.reader, watch)?);
            streams.push(journal.streams);
        }
        Ok(Some(Self { keeper, budget, couriers, streams, first: destinations.sinks }))
    }

    /// One shard's streams, each with its destination.
    pub(super) fn streams_of(&self, shard: u16) -> Vec<(usize, ShardStream<File>)> {
        let streams = self.streams.iter().map(|streams| streams[usize::from(shard)].clone());
        (self.first..).zip(streams).collect()
    }

    /// Nothing more comes into the journals: delivers what they hold until `deadline`. Returns whether anything is left.
    pub(super) fn drain(&self, deadline: Instant) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        for courier in &self.couriers {
            match courier {
                Courier::Relay(relay) => relay.drain(),
                #[cfg(feature = "s3")]
                Courier::Shipping(shipping) => shipping.drain(),
            }
        }
        let delivers = |courier: &Courier| match courier {
            Courier::Relay(relay) => !relay.has_ended(),
            #[cfg(feature = "s3")]
            Courier::Shipping(shipping) => !shipping.has_ended(),
        };
        while Instant::now() < deadline && self.couriers.iter().any(delivers) {
            std::thread::sleep(LOOK_EVERY);
        }
        let left = self.couriers.iter().filter(|courier| delivers(courier)).count();
        if left == 0 {
            tracing::info!("the journal is delivered");
        } else {
            tracing::error!(
                sinks = left,
                used_bytes = self.budget.used_bytes(),
                "the journal is not delivered in time: what is in it stays for the next start on its directory; \
                 `millrun journal ls` says what, `millrun journal replay` delivers it"
            );
        }
        left > 0
    }

    /// Nothing more comes into the journals: no more is handed to the lanes, and what is shipped is shipped to the end.
    /// Call it before the lanes are stopped.
    pub(super) fn finish(&self) {
        for courier in &self.couriers {
            match courier {
                Courier::Relay(relay) => relay.stop(),
                #[cfg(feature = "s3")]
                Courier::Shipping(shipping) => shipping.finish(),
            }
        }
    }

    /// The lanes and the shards have ended. What is shipped may take until `deadline`.
    pub(super) fn close(self, deadline: Instant) {
        for courier in self.couriers {
            match courier {
                Courier::Relay(relay) => relay.join(),
                #[cfg(feature = "s3")]
                Courier::Shipping(shipping) => shipping.join(deadline),
            }
        }
        self.keeper.stop();
    }
}

/// What a courier needs.
struct Post<'a> {
    settings: &'a Settings,
    sink: usize,
    shards: u16,
    feed: &'a FeedLimits,
    port: &'a Arc<LanePort>,
    ring: Option<RelayRing>,
    bell: ConsumerBell,
    metrics: LaneRecorder,
}

impl Post<'_> {
    fn start(self, reader: Reader<OsDisk>, watch: JournalWatch) -> Result<Courier, StartError> {
        let Self { settings, sink, shards, feed, port, ring, bell, metrics } = self;
        let name = &settings.sinks[sink].name;
        let dir = settings.journal.dir.join(name);
        #[cfg(feature = "s3")]
        if let SinkKind::S3(options) = &settings.sinks[sink].kind {
            let accounts_dir = dir.join(crate::shipping::ACCOUNTS);
            let journal = JournalShape {
                batch_bytes_max: arena_bytes(feed),
                batch_records_max: feed.records_max,
                accounts_dir: &accounts_dir,
            };
            let started = crate::shipping::start(name, options, reader, journal, metrics, watch);
            return started.map(Courier::Shipping).map_err(StartError::Shipping);
        }
        let Some((returns, wire)) = ring else { unreachable!("each relayed sink has a ring") };
        let limits = RelayLimits {
            owner: shards,
            batches: relay_batches(settings),
            arena_bytes: arena_bytes(feed),
            records_max: feed.records_max,
            gather_bytes_max: feed.arena_bytes,
        };
        let thread =
            RelayThread { name: name.clone(), limits, port: port.clone(), returns, wire, bell, metrics, dir };
        relay::thread::start(thread, reader, watch).map(Courier::Relay).map_err(StartError::Relay)
    }
}

/// A shard's way to its journals: a queue of its own each.
pub(super) fn ports(destinations: &Destinations, slots: u16) -> Vec<Arc<LanePort>> {
    let port = || LanePort { queue: LaneQueue::new(usize::from(slots)), gate: Gate::new(1) };
    destinations.journaled.iter().map(|_| Arc::new(port())).collect()
}

fn tell(options: &Options, found: &journal::Found) {
    let undelivered: u64 = found.streams.iter().map(|stream| stream.segments).sum();
    tracing::info!(
        dir = %options.dir.display(),
        used_bytes = found.used_bytes,
        bytes_max = options.bytes_max,
        streams = found.streams.len(),
        segments = undelivered,
        "journal open"
    );
    for (sink, bytes) in &found.orphans {
        tracing::warn!(
            sink,
            bytes,
            "the journal holds records of a sink that is not configured (or not journaled): nobody delivers them; \
             configure it again, or use `millrun journal`"
        );
    }
    for name in &found.foreign {
        tracing::warn!(name, "not the journal's: left alone");
    }
}
