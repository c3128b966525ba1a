//! The beginning of a shard's thread.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::LANE_LEAD;
use super::journals::Destinations;
use crate::apps::LiveApps;
use crate::batch::{Feed, FeedLimits};
use crate::config::{Driver, Settings};
use crate::lane::LanePort;
use crate::observe::{Metrics, PhaseCell};
use crate::protocol;
use crate::shard::driver;
use crate::shard::{RouteState, Shard, ShardParts, Sockets};

/// What a shard's thread is given; it makes the rest itself, so that its memory is its own.
pub(super) struct ShardStart {
    pub(super) number: u16,
    pub(super) driver: Driver,
    pub(super) cpu: Option<usize>,
    pub(super) settings: Arc<Settings>,
    pub(super) phase: Arc<PhaseCell>,
    pub(super) connections_max: usize,
    pub(super) seats: Arc<AtomicUsize>,
    pub(super) body_memory_bytes: usize,
    pub(super) metrics: Arc<Metrics>,
    pub(super) apps: Arc<LiveApps>,
    pub(super) ports: Vec<Arc<LanePort>>,
    pub(super) destinations: Destinations,
    pub(super) feeds: Vec<FeedLimits>,
    pub(super) sockets: Sockets,
    pub(super) epoch: Instant,
}

impl ShardStart {
    pub(super) fn run(self) -> std::io::Result<usize> {
        if let Some(cpu) = self.cpu
            && let Err(error) = crate::host::pin_to(cpu)
        {
            tracing::warn!(shard = self.number, cpu, %error, "the shard is not pinned to its CPU");
        }
        let server = &self.settings.server;
        // What a shard leaves, its lanes still have a moment for.
        let stop_by = server.drain_deadline.saturating_sub(server.drain_delay).saturating_sub(2 * LANE_LEAD);
        let now = Instant::now();
        let routes = self.settings.routes.iter().map(|route| {
            let (sink, standby) = self.destinations.of_route(&self.settings, route);
            RouteState {
                path: route.path.as_bytes().into(),
                protocol: protocol::of(route.protocol),
                sink,
                standby,
                ack: route.ack,
                key: self.settings.sinks[route.sink].key.clone(),
            }
        });
        let shard = Shard::new(ShardParts {
            routes: routes.collect(),
            apps: self.apps,
            phase: self.phase,
            connections_max: self.connections_max,
            seats: self.seats,
            body_memory_bytes: self.body_memory_bytes,
            metrics: self.metrics.shard_recorder(usize::from(self.number)).expect("each shard is made once"),
            lanes: self.ports,
            ring_journals: self.sockets.journals.iter().map(|(sink, _)| *sink).collect(),
            feeds: self.feeds.into_iter().map(|limits| Feed::new(limits, now)).collect(),
            epoch: self.epoch,
            settings: self.settings,
        });
        let serve = crate::shard::run(shard, self.sockets, stop_by);
        match self.driver {
            Driver::Epoll => driver::epoll_runtime()?.block_on(serve),
            Driver::Auto | Driver::IoUring => driver::io_uring_runtime()?.block_on(serve),
        }
    }
}
