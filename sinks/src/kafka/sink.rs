//! The Kafka sink: producers, their events, and when to close or replace them.
//!
//! ```text
//!            submit ─▶ producer ─────────────── fatal error ──────────▶ retiring (purged, takes nothing)
//!                          │ reports                                        │ reports
//!                          ▼                                                ▼
//!            poll ◀──── settled ◀──────────────────────────────────────── settled ── last one ─▶ destroyed
//! ```
//!
//! A fatal error (the sequence of requests is broken: the idempotent producer can't go on without risking doubles
//! or gaps) ends one producer, not the sink: a new one takes its place, and the old one lives until the last of its
//! reports has come. What it never sent may be tried again, what it had sent is in doubt.

use std::time::{Duration, Instant};

use super::client::{Code, Observer, Producer};
use super::config::{BATCHES_IN_FLIGHT_MAX, Property, properties};
use super::options::{Options, Sasl};
use super::statistics::Statistics;
use super::watch::Watch;
use crate::{Capabilities, Delivery, Fault, Gauge, Health, OpenError, Settled, Sink, Submission, Wake};

/// Before a deadline the rest is purged this early: librdkafka's threads need a moment to report it.
const PURGE_LEAD: Duration = Duration::from_millis(200);

/// Between attempts to replace a broken producer.
const REPLACE_PAUSE: Duration = Duration::from_secs(10);

/// A sink that produces to one topic of Apache Kafka. See [`super`] for what it promises.
///
/// At most 256 batches are in flight. Dropping it waits for librdkafka's threads and loses what is in flight: close
/// it and poll it until it is idle.
#[derive(Debug)]
pub struct KafkaSink {
    properties: Vec<Property>,
    sasl: Option<Sasl>,
    topic: String,
    record_bytes_max: usize,
    delivery_timeout: Duration,
    wake: Wake,
    producer: Producer,
    retiring: Vec<Retiring>,
    /// Set while the producer is broken: when to try to replace it.
    /// When the running producer took a broken one's place.
    replaced_at: Option<Instant>,
    replace_at: Option<Instant>,
    replaced: u64,
    /// Settled by `submit`, to be handed out by `poll`.
    ready: Vec<Settled>,
    /// Set by `close`: when to purge, until it is done.
    purge_at: Option<Instant>,
    view: View,
}

/// A broken producer that waits for its last reports.
#[derive(Debug)]
struct Retiring {
    producer: Producer,
    /// When requests that got no answer are given up, until it is done.
    purge_at: Option<Instant>,
}

/// What the sink knows of its brokers.
#[derive(Debug)]
struct View {
    watch: Watch,
    statistics: Statistics,
}

impl KafkaSink {
    pub(super) fn open(options: &Options, wake: Wake) -> Result<Self, OpenError> {
        let properties = properties(options)?;
        let tokens = super::tokens(options.sasl.as_ref());
        let producer =
            Producer::open(&properties, &options.topic, BATCHES_IN_FLIGHT_MAX, tokens, wake.clone())?;
        if options.properties.get("enable.idempotence").is_some_and(|value| value == "false") {
            tracing::warn!(
                topic = options.topic,
                "enable.idempotence = false: what librdkafka sends again may be stored twice"
            );
        }
        Ok(Self {
            properties,
            sasl: options.sasl.clone(),
            topic: options.topic.clone(),
            record_bytes_max: options.record_bytes_max,
            delivery_timeout: options.delivery_timeout,
            wake,
            producer,
            retiring: Vec::new(),
            replaced_at: None,
            replace_at: None,
            replaced: 0,
            ready: Vec::new(),
            purge_at: None,
            view: View {
                watch: Watch::new(&options.brokers, &options.topic),
                statistics: Statistics::default(),
            },
        })
    }

    /// Puts a new producer in the place of the broken one.
    fn replace(&mut self, now: Instant) {
        let (tokens, wake) = (super::tokens(self.sasl.as_ref()), self.wake.clone());
        let fresh = Producer::open(&self.properties, &self.topic, BATCHES_IN_FLIGHT_MAX, tokens, wake);
        match fresh {
            Ok(fresh) => {
                // What it had not sent, librdkafka has purged by itself.
                let broken = std::mem::replace(&mut self.producer, fresh);
                let purge_at = Some(now + self.delivery_timeout);
                self.retiring.push(Retiring { producer: broken, purge_at });
                self.replaced += 1;
                self.replaced_at = Some(now);
                self.replace_at = None;
                tracing::warn!(topic = self.topic, "kafka: replaced a producer that had failed for good");
            }
            // Its properties are known to work: this host has no thread or descriptor left. What is submitted
            // meanwhile is refused by the broken producer, to be tried again.
            Err(error) => {
                self.replace_at = Some(now + REPLACE_PAUSE);
                tracing::error!(
                    topic = self.topic,
                    "kafka: can't replace a producer that has failed: {error}"
                );
            }
        }
    }

    fn poll_retiring(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        let view = &mut self.view;
        for retiring in &mut self.retiring {
            if retiring.purge_at.is_some_and(|at| at <= now) {
                retiring.purge_at = None;
                retiring.producer.purge();
            }
            retiring.producer.poll(&mut Observed { view, settled, now, fatal: false });
        }
        let ended = self.retiring.extract_if(.., |retiring| retiring.producer.in_flight().is_empty());
        for Retiring { producer, .. } in ended {
            destroy(producer);
        }
    }
}

/// Destroys a producer on a thread of its own: librdkafka waits for its threads, which may be in the middle of looking
/// up a name. Where no thread can be had, this one waits.
fn destroy(producer: Producer) {
    let spawned = std::thread::Builder::new().name("kafka-end".to_owned()).spawn(move || drop(producer));
    if let Err(error) = spawned {
        tracing::warn!("kafka: destroyed a producer in place, as there is no thread for it: {error}");
    }
}

impl Sink for KafkaSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities { record_bytes_max: self.record_bytes_max, batches_in_flight_max: BATCHES_IN_FLIGHT_MAX }
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        if submission.is_empty() {
            self.ready.push(Settled { batch: submission.batch, delivery: Delivery::All });
            return;
        }
        let (view, settled) = (&mut self.view, &mut self.ready);
        self.producer.submit(submission, &mut Observed { view, settled, now, fatal: false });
    }

    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        settled.append(&mut self.ready);
        if self.purge_at.is_some_and(|at| at <= now) {
            self.purge_at = None;
            self.producer.close();
            for retiring in &mut self.retiring {
                retiring.purge_at = None;
                retiring.producer.close();
            }
        }
        let mut observed = Observed { view: &mut self.view, settled, now, fatal: false };
        self.producer.poll(&mut observed);
        let fatal = observed.fatal;
        self.poll_retiring(now, settled);
        if fatal {
            // What breaks a producer may break the next one as well (no right to write, say): one a pause.
            let earliest = self.replaced_at.map_or(now, |replaced_at| replaced_at + REPLACE_PAUSE);
            self.replace_at.get_or_insert(earliest.max(now));
        }
        if self.replace_at.is_some_and(|at| at <= now) {
            self.replace(now);
        }
    }

    fn next_poll(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            // A time that has passed: poll at once.
            return Some(Instant::now());
        }
        let retiring = self.retiring.iter().filter_map(|retiring| retiring.purge_at).min();
        [self.purge_at, self.replace_at, retiring].into_iter().flatten().min()
    }

    fn health(&self) -> Health {
        self.view.watch.health()
    }

    fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        self.view.statistics.publish(publish);
        #[allow(clippy::cast_precision_loss, reason = "a count of rare events")]
        publish(Gauge {
            name: "kafka_producers_replaced_total",
            help: "Producers replaced after a fatal error.",
            value: self.replaced as f64,
            counter: true,
        });
    }

    fn close(&mut self, _now: Instant, deadline: Instant) {
        // Nothing is held back (linger 0): what is left is waiting for its brokers.
        self.purge_at = Some(deadline.checked_sub(PURGE_LEAD).unwrap_or(deadline));
    }

    fn is_idle(&self) -> bool {
        let retired = self.retiring.iter().all(|retiring| retiring.producer.in_flight().is_empty());
        self.ready.is_empty() && self.producer.in_flight().is_empty() && retired
    }
}

/// Takes what a producer tells.
struct Observed<'sink> {
    view: &'sink mut View,
    settled: &'sink mut Vec<Settled>,
    now: Instant,
    fatal: bool,
}

impl Observer for Observed<'_> {
    fn settled(&mut self, settled: Settled) {
        self.settled.push(settled);
    }

    fn delivered(&mut self, _records: usize) {
        self.view.watch.delivered();
    }

    fn failed(&mut self, fault: Fault, code: Code, text: &str) -> Fault {
        self.view.watch.failed(fault, code, text, self.now)
    }

    fn error(&mut self, code: Code, fatal: bool, text: &str) {
        self.fatal |= fatal;
        self.view.watch.error(code, text, self.now);
    }

    fn statistics(&mut self, json: &str) {
        if let Some(statistics) = Statistics::read(json) {
            self.view.statistics = statistics;
            if statistics.brokers_connected > 0.0 {
                self.view.watch.connected();
            }
        }
    }

    fn log(&mut self, level: i32, facility: &str, text: &str) {
        self.view.watch.log(level, facility, text, self.now);
    }
}

#[cfg(test)]
mod tests;
