//! From what was written to what is valid: every key of every section, its bounds, and the rules between them.

use std::net::SocketAddr;
use std::time::Duration;

use millrun_sinks::{file, null};

use super::error::Place;
use super::origins;
use super::reader::{Reader, Section};
use super::reference::Reference;
use super::settings::{
    Ack, Acknowledgement, Admin, Batch, Cors, Drain, Driver, Journal, Limits, Log, LogFormat, MetricsOutput,
    Outage, Protocol, RecordKey, Route, Server, Settings, Sink, SinkKind,
};
use crate::apps::APP_ID_BYTES_MAX;

#[cfg(any(feature = "kinesis", feature = "s3"))]
mod aws;
mod effective;
#[cfg(feature = "kafka")]
mod kafka;
mod key;
#[cfg(feature = "kinesis")]
mod kinesis;
mod rules;
#[cfg(feature = "s3")]
mod s3;

pub(super) use effective::effective;

/// Bytes that a record of the clickstream protocol has at the least; an arena must hold some.
const ARENA_BYTES_MIN: u64 = 4096;
const GIB: u64 = 1 << 30;

/// Builds everything; what is wrong is in the reader's errors, and the settings are of no use then.
pub(super) fn settings(reader: &mut Reader) -> (Settings, Vec<String>) {
    let server = server(reader);
    let limits = limits(reader);
    let batch = batch(reader);
    let ack = ack(reader);
    let all_sinks = sinks(reader, &batch, &ack, &limits);
    let routes = routes(reader, &all_sinks, &server);
    let all_sinks = fallbacks(reader, all_sinks);
    let (sinks, routes, warnings) = used_sinks(all_sinks, routes);
    let settings = Settings {
        routes,
        cors: cors(reader),
        journal: journal(reader),
        drain: drain(reader, &server),
        metrics: metrics(reader),
        admin: admin(reader),
        log: log(reader),
        server,
        limits,
        batch,
        ack,
        sinks,
    };
    rules::check(reader, &settings);
    (settings, warnings)
}

fn address(reader: &mut Reader, section: &Section, key: &str) -> Option<SocketAddr> {
    let text = reader.optional_text(section, key)?;
    if text.is_empty() {
        return None;
    }
    let address = text.parse().ok();
    if address.is_none() {
        reader.fail(
            section,
            key,
            "must be an IP address and a port: \"127.0.0.1:8088\", \"0.0.0.0:8088\" or \"[::]:8088\"",
        );
    }
    address
}

fn server(reader: &mut Reader) -> Server {
    let section = Section::fixed("server");
    let errors = reader.errors.len();
    let listen = address(reader, &section, "listen");
    if listen.is_none() && reader.errors.len() == errors {
        reader.fail(&section, "listen", "must be an IP address and a port");
    }
    let drivers = [("auto", Driver::Auto), ("io_uring", Driver::IoUring), ("epoll", Driver::Epoll)];
    let server = Server {
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        shards: reader
            .auto_integer(&section, "shards", 1..=1024)
            .and_then(|shards| u16::try_from(shards).ok()),
        driver: reader.choice(&section, "driver", &drivers),
        trusted_proxies: u8::try_from(reader.integer(&section, "trusted_proxies", 0..=255)).unwrap_or(1),
        ping_path: path(reader, &section, "ping_path"),
        redirect_to_https: reader.boolean(&section, "redirect_to_https"),
        dev_mode: reader.boolean(&section, "dev_mode"),
        backlog: u32::try_from(reader.integer(&section, "backlog", 1..=65_535)).unwrap_or(4096),
        drain_delay: reader.ms(&section, "drain_delay_ms", 0..=28_000),
        drain_deadline: reader.ms(&section, "drain_deadline_ms", 100..=28_000),
    };
    if server.drain_delay >= server.drain_deadline {
        let problem =
            format!("must be below server.drain_deadline_ms = {}", server.drain_deadline.as_millis());
        reader.fail(&section, "drain_delay_ms", problem);
    }
    server
}

fn path(reader: &mut Reader, section: &Section, key: &str) -> String {
    let path = reader.text(section, key, "the exact path, for example \"/collect\"");
    let well_formed = path.starts_with('/') && path.bytes().all(is_path_byte);
    if !path.is_empty() && !well_formed {
        reader.fail(
            section,
            key,
            "must begin with / and consist of letters, digits and -._~!$&'()*+,;=:@%/ (RFC 3986)",
        );
    }
    path
}

/// The bytes of a path (RFC 3986 section 3.3). None of them needs escaping in JSON, which records rely on.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

fn limits(reader: &mut Reader) -> Limits {
    let section = Section::fixed("limits");
    let day_ms = 86_400_000;
    Limits {
        head_bytes_max: reader.size(&section, "head_bytes_max", 1024..=65_536),
        headers_max: reader.size(&section, "headers_max", 1..=crate::http::HEADERS_MAX as u64),
        body_bytes_max: reader.size(&section, "body_bytes_max", 1..=GIB),
        body_decoded_bytes_max: reader.size(&section, "body_decoded_bytes_max", 1..=GIB),
        head_timeout: reader.ms(&section, "head_timeout_ms", 1..=day_ms),
        body_timeout: reader.ms(&section, "body_timeout_ms", 1..=day_ms),
        body_rate_min: reader.integer(&section, "body_rate_min", 0..=GIB),
        idle_timeout: reader.ms(&section, "idle_timeout_ms", 1..=day_ms),
        connections_max: reader.size(&section, "connections_max", 1..=16_777_216),
        requests_per_connection_max: reader.integer(
            &section,
            "requests_per_connection_max",
            0..=u64::MAX >> 1,
        ),
        body_memory_bytes: reader.size(&section, "body_memory_bytes", 65_536..=1024 * GIB),
        record_bytes_max: reader.size(&section, "record_bytes_max", 1024..=GIB),
        memory_bytes_max: reader
            .auto_integer(&section, "memory_bytes_max", 1 << 20..=1 << 50)
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

fn batch(reader: &mut Reader) -> Batch {
    let section = Section::fixed("batch");
    Batch {
        arena_bytes: reader.size(&section, "arena_bytes", ARENA_BYTES_MIN..=67_108_864),
        records_max: reader.size(&section, "records_max", 1..=65_536),
        count: u16::try_from(reader.integer(&section, "count", 2..=1024)).unwrap_or(2),
        large_count: u16::try_from(reader.integer(&section, "large_count", 0..=64)).unwrap_or(0),
        linger: reader.ms(&section, "linger_ms", 0..=60_000),
    }
}

fn ack(reader: &mut Reader) -> Ack {
    let section = Section::fixed("ack");
    let ack = Ack {
        deadline: reader.ms(&section, "deadline_ms", 100..=60_000),
        retry_initial: reader.ms(&section, "retry_initial_ms", 1..=60_000),
        retry_max: reader.ms(&section, "retry_max_ms", 1..=60_000),
        breaker_failures: u32::try_from(reader.integer(&section, "breaker_failures", 1..=1_000_000))
            .unwrap_or(1),
        breaker_open: reader.ms(&section, "breaker_open_ms", 1..=600_000),
    };
    if ack.retry_initial > ack.retry_max {
        reader.fail(
            &section,
            "retry_initial_ms",
            format!("must not be above ack.retry_max_ms = {}", ack.retry_max.as_millis()),
        );
    }
    ack
}

fn journal(reader: &mut Reader) -> Journal {
    let section = Section::fixed("journal");
    Journal {
        dir: reader.text(&section, "dir", "the journal's directory").into(),
        bytes_max: reader.integer(&section, "bytes_max", 1 << 20..=1 << 50),
        segment_bytes: reader.integer(&section, "segment_bytes", 1 << 20..=4 * GIB - 1),
    }
}

/// The engine ends this long before its supervisor would end it.
pub(crate) const STOP_LEAD: Duration = Duration::from_secs(2);

fn drain(reader: &mut Reader, server: &Server) -> Drain {
    let section = Section::fixed("drain");
    let drain = Drain {
        waits_for_journal: reader.choice(&section, "journal", &[("leave", false), ("wait", true)]),
        stop_timeout: reader.ms(&section, "stop_timeout_ms", 3000..=86_400_000),
    };
    if drain.waits_for_journal && drain.stop_timeout < server.drain_deadline + STOP_LEAD {
        let problem = format!(
            "must be server.drain_deadline_ms = {} and {} more at the least: requests are finished first",
            server.drain_deadline.as_millis(),
            STOP_LEAD.as_millis()
        );
        reader.fail(&section, "stop_timeout_ms", problem);
    }
    drain
}

/// The indices of the sinks that stand in for others. A stand-in for a stand-in is none: an outage of two would go in
/// circles.
fn fallbacks(reader: &mut Reader, mut sinks: Vec<(Sink, Option<String>)>) -> Vec<Sink> {
    let names: Vec<_> = sinks.iter().map(|(sink, _)| sink.name.clone()).collect();
    for index in 0..sinks.len() {
        let Some(fallback) = sinks[index].1.clone() else { continue };
        let section = Section::named("sink", &names[index], "local");
        let place = names.iter().position(|name| *name == fallback);
        match place {
            Some(place) if place == index => reader.fail(&section, "fallback", "names the sink itself"),
            Some(place) if sinks[place].1.is_some() => {
                reader.fail(
                    &section,
                    "fallback",
                    format!("sink.{fallback} falls back itself: name one that does not"),
                );
            }
            Some(place) => sinks[index].0.outage = Outage::Fallback(place),
            None => {
                let near = super::reader::nearest(&fallback, names.iter().map(String::as_str));
                let problem = format!("there is no [sink.{fallback}]{near}; there are: {}", names.join(", "));
                reader.fail(&section, "fallback", problem);
            }
        }
    }
    sinks.into_iter().map(|(sink, _)| sink).collect()
}

fn cors(reader: &mut Reader) -> Cors {
    let section = Section::fixed("cors");
    let mut parsed = Vec::new();
    for entry in reader.texts(&section, "origins") {
        match origins::parse(&entry) {
            Ok(origin) => parsed.push(origin),
            Err(problem) => reader.fail(&section, "origins", problem),
        }
    }
    Cors { origins: parsed, max_age: Duration::from_secs(reader.integer(&section, "max_age_s", 0..=86_400)) }
}

fn metrics(reader: &mut Reader) -> MetricsOutput {
    let section = Section::fixed("metrics");
    let namespace = reader.text(&section, "namespace", "CloudWatch's namespace");
    // "Namespace" in the reference of PutMetricData.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#: ".contains(&byte);
    if namespace.len() > 255 || !namespace.bytes().all(allowed) || namespace.starts_with("AWS/") {
        reader.fail(
            &section,
            "namespace",
            "has at most 255 letters, digits and ._-/#: or spaces, and does not begin with AWS/",
        );
    }
    MetricsOutput {
        emf: reader.boolean(&section, "emf"),
        namespace,
        interval: reader.ms(&section, "emf_interval_ms", 1000..=300_000),
    }
}

fn admin(reader: &mut Reader) -> Admin {
    Admin { listen: address(reader, &Section::fixed("admin"), "listen") }
}

fn log(reader: &mut Reader) -> Log {
    let section = Section::fixed("log");
    let level = reader.text(&section, "level", "a level or a filter");
    if let Err(error) = level.parse::<tracing_subscriber::filter::EnvFilter>() {
        reader.fail(
            &section,
            "level",
            format!("is no filter ({error}): write info, debug, or info,millrun::lane=debug"),
        );
    }
    // A word that is no level is a target to the filter, which would then let everything of that name pass.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let words = level.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', ':']));
    if let Some(word) = words.filter(|word| !word.is_empty()).find(|word| !levels.contains(word)) {
        let near = super::reader::nearest(word, levels.iter().copied());
        reader.fail(
            &section,
            "level",
            format!("{word:?} is no level{near}; there are: {}", levels.join(", ")),
        );
    }
    let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
    Log { level, format: reader.choice(&section, "format", &formats) }
}

fn sinks(reader: &mut Reader, batch: &Batch, ack: &Ack, limits: &Limits) -> Vec<(Sink, Option<String>)> {
    let mut sinks = Vec::new();
    for (name, _) in reader.tree.names("sink") {
        if !is_name(&name) {
            let section = Section::named("sink", &name, "local");
            reader.fail(&section, "kind", "a sink's name is letters, digits, - and _");
            continue;
        }
        // The kind decides which template the other keys follow.
        let kind = reader.optional_text(&Section::named("sink", &name, "none"), "kind");
        let section = Section::named("sink", &name, Reference::template("sink", kind.as_deref()));
        let errors = reader.errors.len();
        let own = match kind.as_deref() {
            Some("file") => Some(SinkKind::File(file_options(reader, &section, limits))),
            Some("null") => Some(SinkKind::Null(null::Options {})),
            #[cfg(feature = "kafka")]
            Some("kafka") => Some(SinkKind::Kafka(kafka::options(reader, &section, ack))),
            #[cfg(feature = "kinesis")]
            Some("kinesis") => Some(SinkKind::Kinesis(kinesis::options(reader, &section, ack))),
            #[cfg(feature = "s3")]
            Some("s3") => Some(SinkKind::S3(s3::options(reader, &section, ack))),
            other => {
                refuse_kind(reader, &section, other);
                None
            }
        };
        let _ = ack;
        if let Some(kind) = own.as_ref().filter(|_| reader.errors.len() == errors) {
            check_sink(reader, &section, kind);
        }
        let key = match &own {
            #[cfg(feature = "kinesis")]
            Some(SinkKind::Kinesis(_)) => {
                key::read(reader, &section, "partition_key", &kinesis::PARTITION_KEYS)
            }
            // Objects have no use for a key: they hold what comes.
            #[cfg(feature = "s3")]
            Some(SinkKind::S3(_)) => RecordKey::None,
            _ => key::read(reader, &section, "key", &key::KEYS),
        };
        let linger = match reader.leaf(&section, "linger_ms") {
            Some(_) => reader.ms(&section, "linger_ms", 0..=60_000),
            None => batch.linger,
        };
        let (outage, fallback) = outage(reader, &section);
        if let Some(kind) = own {
            sinks.push((Sink { name, key, linger, outage, kind }, fallback));
        }
    }
    sinks
}

/// The policy, and the name of the sink that stands in while that has no index yet.
fn outage(reader: &mut Reader, section: &Section) -> (Outage, Option<String>) {
    let policy = reader.choice(
        section,
        "outage",
        &[("reject", "reject"), ("journal", "journal"), ("fallback", "fallback")],
    );
    let fallback = reader.optional_text(section, "fallback");
    match (policy, fallback) {
        ("fallback", None) => {
            reader.fail(
                section,
                "fallback",
                "is missing: outage = \"fallback\" needs the name of the sink that stands in",
            );
            (Outage::Reject, None)
        }
        ("fallback", Some(name)) => (Outage::Reject, Some(name)),
        (_, Some(_)) => {
            reader.fail(section, "fallback", "has no effect without outage = \"fallback\"");
            (Outage::Reject, None)
        }
        ("journal", None) => (Outage::Journal, None),
        _ => (Outage::Reject, None),
    }
}

/// What the sink itself would refuse when it is opened.
fn check_sink(reader: &mut Reader, section: &Section, kind: &SinkKind) {
    let problems = match kind {
        SinkKind::Null(_) => Vec::new(),
        SinkKind::File(options) => file::problems(options),
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => millrun_sinks::kafka::problems(options),
        #[cfg(feature = "kinesis")]
        SinkKind::Kinesis(options) => millrun_sinks::kinesis::problems(options),
        #[cfg(feature = "s3")]
        SinkKind::S3(options) => millrun_sinks::s3::problems(options),
    };
    for error in problems {
        reader.fail(section, &error.key, error.problem);
    }
}

/// The kinds of sink that this binary was built with.
const KINDS: &[&str] = &[
    "file",
    "null",
    #[cfg(feature = "kafka")]
    "kafka",
    #[cfg(feature = "kinesis")]
    "kinesis",
    #[cfg(feature = "s3")]
    "s3",
];

fn refuse_kind(reader: &mut Reader, section: &Section, kind: Option<&str>) {
    let known = KINDS.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
    let problem = match kind {
        Some(kind @ ("kinesis" | "s3" | "kafka")) => {
            format!("this version has no {kind} sink (it was built without); there are {known}")
        }
        Some(_) => format!("is no kind of sink; there are {known}"),
        None => format!("is missing: the kind of sink, one of {known}"),
    };
    reader.fail(section, "kind", problem);
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn file_options(reader: &mut Reader, section: &Section, limits: &Limits) -> file::Options {
    let gzip = reader.choice(section, "compression", &[("none", false), ("gzip", true)]);
    let level = u8::try_from(reader.integer(section, "gzip_level", 1..=9)).unwrap_or(6);
    file::Options {
        dir: reader.text(section, "dir", "the directory for the files").into(),
        compression: if gzip { file::Compression::Gzip { level } } else { file::Compression::None },
        rotate_bytes: reader.integer(section, "rotate_bytes", 1..=1 << 50),
        rotate_age: reader.ms(section, "rotate_age_ms", 100..=86_400_000),
        record_bytes_max: limits.record_bytes_max,
    }
}

/// A route, and the name of its sink while that has no index yet.
fn routes(reader: &mut Reader, sinks: &[(Sink, Option<String>)], server: &Server) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for (name, _) in reader.tree.names("route") {
        let section = Section::named("route", &name, "collect");
        let path = path(reader, &section, "path");
        if let Some(other) = routes.iter().find(|route| route.path == path) {
            reader.fail(&section, "path", format!("is the path of route.{} already", other.name));
        }
        if path == "/health" || path == server.ping_path {
            reader.fail(
                &section,
                "path",
                "is taken: /health and server.ping_path are answered by the engine itself",
            );
        }
        let protocol = reader.choice(&section, "protocol", &[("clickstream", Protocol::Clickstream)]);
        let written_ack = is_written(reader, &section, "ack");
        let mut ack = acknowledgement(reader, &section);
        // A route that names no sink takes the only one.
        let written = is_written(reader, &section, "sink");
        let only = sinks.first().filter(|_| sinks.len() == 1 && !written);
        let sink_name = match only {
            Some((only, _)) => {
                reader.leaf(&section, "sink");
                only.name.clone()
            }
            None => reader.text(&section, "sink", "the name of a [sink.<name>]"),
        };
        let sink = sinks.iter().position(|(sink, _)| sink.name == sink_name);
        if sink.is_none() && !sink_name.is_empty() && !reader.tree.has_table(&["sink", &sink_name]) {
            let names: Vec<_> = sinks.iter().map(|(sink, _)| sink.name.as_str()).collect();
            let near = super::reader::nearest(&sink_name, names.iter().copied());
            reader.fail(
                &section,
                "sink",
                format!("there is no [sink.{sink_name}]{near}; there are: {}", names.join(", ")),
            );
        }
        if !written_ack && sink.is_some_and(|sink| is_journaled_by_default(&sinks[sink].0.kind)) {
            ack = Acknowledgement::Journaled;
        }
        let app_ids = app_ids(reader, &section);
        routes.push(Route { name, path, protocol, sink: sink.unwrap_or(0), ack, app_ids });
    }
    if routes.is_empty() {
        reader.fail(
            &Section::named("route", "<name>", "collect"),
            "path",
            "there is no route: define a [route.<name>]",
        );
    }
    routes
}

fn app_ids(reader: &mut Reader, section: &Section) -> Vec<String> {
    let ids = reader.texts(section, "app_ids");
    for id in &ids {
        if id.is_empty() || id.len() > APP_ID_BYTES_MAX {
            let problem = format!("{id:?}: an app's id has 1 to {APP_ID_BYTES_MAX} bytes");
            reader.fail(section, "app_ids", problem);
        }
    }
    ids
}

/// Whether somebody wrote the key, here or in the environment.
fn is_written(reader: &Reader, section: &Section, key: &str) -> bool {
    let leaf = reader.tree.leaves.get(&section.leaf_path(key));
    leaf.is_some_and(|leaf| leaf.place != Place::Default)
}

/// Where a request would have to wait for a whole object.
fn is_journaled_by_default(kind: &SinkKind) -> bool {
    match kind {
        #[cfg(feature = "s3")]
        SinkKind::S3(_) => true,
        _ => false,
    }
}

fn acknowledgement(reader: &mut Reader, section: &Section) -> Acknowledgement {
    let choices = [
        ("delivered", Acknowledgement::Delivered),
        ("journaled", Acknowledgement::Journaled),
        ("accepted", Acknowledgement::Accepted),
    ];
    reader.choice(section, "ack", &choices)
}

/// Keeps the sinks that a route uses, or that stand in for one of those; the others are a warning, since a typing error
/// may be behind it.
fn used_sinks(sinks: Vec<Sink>, mut routes: Vec<Route>) -> (Vec<Sink>, Vec<Route>, Vec<String>) {
    let is_routed = |index: usize| routes.iter().any(|route| route.sink == index);
    let used: Vec<bool> = (0..sinks.len())
        .map(|index| {
            let stands_in =
                |(other, sink): (usize, &Sink)| sink.outage == Outage::Fallback(index) && is_routed(other);
            is_routed(index) || sinks.iter().enumerate().any(stands_in)
        })
        .collect();
    let place_of = |index: usize| used[..index].iter().filter(|used| **used).count();
    for route in &mut routes {
        route.sink = place_of(route.sink);
    }
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for (mut sink, used) in sinks.into_iter().zip(&used) {
        if let Outage::Fallback(place) = &mut sink.outage {
            *place = place_of(*place);
        }
        if *used {
            kept.push(sink);
        } else {
            warnings.push(format!("sink.{} is used by no route and not opened", sink.name));
        }
    }
    (kept, routes, warnings)
}
