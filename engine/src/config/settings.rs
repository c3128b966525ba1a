//! The configuration after validation: plain typed values that the rest of the engine takes as they are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the engine needs to run. Made by [`super::load`], never changed afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[route.<name>]`, in the order of the file. At least one.
    pub routes: Vec<Route>,
    /// `[cors]`
    pub cors: Cors,
    /// `[limits]`
    pub limits: Limits,
    /// `[batch]`
    pub batch: Batch,
    /// `[ack]`
    pub ack: Ack,
    /// `[journal]`
    pub journal: Journal,
    /// `[drain]`
    pub drain: Drain,
    /// `[metrics]`
    pub metrics: MetricsOutput,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[sink.<name>]`: only those that a route uses.
    pub sinks: Vec<Sink>,
}

/// `[server]`: the data port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address of the data port.
    pub listen: SocketAddr,
    /// Number of shards; `None`: as many as the CPUs that affinity and cgroup allow.
    pub shards: Option<u16>,
    /// I/O driver.
    pub driver: Driver,
    /// How many proxies in front are trusted to have appended to `X-Forwarded-For`.
    pub trusted_proxies: u8,
    /// Path that answers the clock.
    pub ping_path: String,
    /// What a load balancer says it got by plain HTTP is answered 308, to the same URL by HTTPS.
    pub redirect_to_https: bool,
    /// `fakeIp` in the query replaces the client's address: test environments only.
    pub dev_mode: bool,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// After SIGTERM: how long the engine goes on serving while load balancers notice.
    pub drain_delay: Duration,
    /// After SIGTERM: when the engine stops whatever happens. At most 28 s (ECS kills at 30 s).
    pub drain_deadline: Duration,
}

/// Which I/O driver the shards run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `io_uring` where the kernel allows it, else epoll; one log line says which and why.
    Auto,
    /// `io_uring` or no start.
    IoUring,
    /// epoll.
    Epoll,
}

/// `[route.<name>]`: joins a path to a protocol, a sink and an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name in the configuration, label in the metrics.
    pub name: String,
    /// Exact request path.
    pub path: String,
    /// How requests become records.
    pub protocol: Protocol,
    /// Index into [`Settings::sinks`].
    pub sink: usize,
    /// What a 200 promises.
    pub ack: Acknowledgement,
    /// Apps whose events are taken; empty: all. The one setting that changes while the engine serves.
    pub app_ids: Vec<String>,
}

/// How requests become records, and outcomes answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The wire contract of Clickstream Analytics on AWS: one request, one record of 17 keys.
    Clickstream,
}

/// What a 200 promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The sink confirmed it.
    Delivered,
    /// It is fsynced in this host's journal; delivery goes on in the background and across restarts.
    Journaled,
    /// It is in memory; lost if the process dies.
    Accepted,
}

/// `[cors]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins; empty: no origin is allowed.
    pub origins: Vec<AllowedOrigin>,
    /// `Access-Control-Max-Age`.
    pub max_age: Duration,
}

/// One entry of `cors.origins`. Hosts are compared case-insensitively, anchored at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: any origin (echoed, since requests carry credentials).
    Any,
    /// `https://a.example.com` or `http://localhost:3000`: lower-cased, exactly this.
    Exact(String),
    /// `https://*.example.com`: one or more labels in front of the suffix, which begins with its dot.
    Subdomain {
        /// `https://`
        scheme: String,
        /// `.example.com` or `.example.com:8443`, lower-cased.
        suffix: String,
    },
}

/// `[limits]`. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers.
    pub head_bytes_max: usize,
    /// Number of header fields; at most 128.
    pub headers_max: usize,
    /// Body as received.
    pub body_bytes_max: usize,
    /// Body after `Content-Encoding` is undone.
    pub body_decoded_bytes_max: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// From the end of the head to the end of the body.
    pub body_timeout: Duration,
    /// A body that arrives slower than this (bytes/s, averaged, after the first 5 s) is cut off with 408; 0: off.
    pub body_rate_min: u64,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// Open connections, all shards together.
    pub connections_max: usize,
    /// Requests on one connection before it is closed; 0: no limit.
    pub requests_per_connection_max: u64,
    /// Memory for heads and bodies that outgrow a connection's own buffer and for decoding, all shards together.
    pub body_memory_bytes: usize,
    /// Largest encoded record that any sink may be sent; a sink's own limit may be lower.
    pub record_bytes_max: usize,
    /// The start-up memory sum must stay below this; `None`: the cgroup's limit, else the machine's memory.
    pub memory_bytes_max: Option<usize>,
}

/// `[batch]`: sealing and pools, for every shard and sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Arena size in bytes.
    pub arena_bytes: usize,
    /// Most records in one batch.
    pub records_max: usize,
    /// Batches that each shard owns for each sink.
    pub count: u16,
    /// Big arenas (of the sink's largest record) that each shard may use at a time for each sink.
    pub large_count: u16,
    /// Oldest age of an open batch, unless the sink says otherwise.
    pub linger: Duration,
}

/// `[ack]`: how long a request may wait for its outcome, and what happens in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// From the record's acceptance to the answer.
    pub deadline: Duration,
    /// First pause of the lane's retry; grows twofold with full jitter.
    pub retry_initial: Duration,
    /// Longest pause.
    pub retry_max: Duration,
    /// Batches in a row that must fail before the breaker opens.
    pub breaker_failures: u32,
    /// How long the breaker stays open before it lets one request through as a probe.
    pub breaker_open: Duration,
}

/// `[journal]`: where records wait on disk. Opened only when a route or a sink's outage policy needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Directory of this process's own.
    pub dir: PathBuf,
    /// Bytes that all segments together may take. A hard limit.
    pub bytes_max: u64,
    /// Size of a segment.
    pub segment_bytes: u64,
}

/// `[drain]`: what becomes of the journal when the engine is told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Deliver what is in the journal before the process ends.
    pub waits_for_journal: bool,
    /// Between SIGTERM and SIGKILL: what the process's supervisor leaves it. Counts only where the journal is waited for.
    pub stop_timeout: Duration,
}

/// `[metrics]`: metrics that the engine writes by itself. The admin port has all of them anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsOutput {
    /// CloudWatch's embedded metric format on standard output.
    pub emf: bool,
    /// CloudWatch's namespace.
    pub namespace: String,
    /// How often.
    pub interval: Duration,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address of the admin port; `None`: switched off.
    pub listen: Option<SocketAddr>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter: `info`, `millrun=debug`, …
    pub level: String,
    /// Shape of a line.
    pub format: LogFormat,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[sink.<name>]`
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    /// Name in the configuration, label in the metrics.
    pub name: String,
    /// Partitioning key of its records.
    pub key: RecordKey,
    /// Oldest age of an open batch for this sink.
    pub linger: Duration,
    /// What happens to records of `delivered` routes while the sink is down.
    pub outage: Outage,
    /// What it is, and its own settings.
    pub kind: SinkKind,
}

/// What happens to records of `delivered` routes while their sink's breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// They are refused (503).
    Reject,
    /// They go into the journal and are delivered from there; a 200 then says journaled.
    Journal,
    /// They go to another sink: its index in [`Settings::sinks`].
    Fallback(usize),
}

/// Which field of a record is its partitioning key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// No key.
    None,
    /// `appId` of the query; none when absent.
    AppId,
    /// The client's address.
    Ip,
    /// The request id.
    Rid,
    /// A parameter of the query, by its decoded name; none when absent.
    Query(Box<str>),
}

/// The kinds of sink.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// Stores nothing.
    Null(millrun_sinks::null::Options),
    /// Local files.
    File(millrun_sinks::file::Options),
    /// Apache Kafka.
    #[cfg(feature = "kafka")]
    Kafka(millrun_sinks::kafka::Options),
    /// Amazon Kinesis Data Streams.
    #[cfg(feature = "kinesis")]
    Kinesis(millrun_sinks::kinesis::Options),
    /// Amazon S3.
    #[cfg(feature = "s3")]
    S3(millrun_sinks::s3::Options),
}

impl Settings {
    /// Whether records for this sink may go into the journal.
    #[must_use]
    pub fn is_journaled(&self, sink: usize) -> bool {
        self.sinks[sink].outage == Outage::Journal
            || self.routes.iter().any(|route| route.sink == sink && route.ack == Acknowledgement::Journaled)
    }
}

impl Batch {
    /// Batches of either kind that a shard may own for one sink.
    #[must_use]
    pub fn slots(&self) -> u16 {
        self.count.saturating_add(self.large_count)
    }
}
