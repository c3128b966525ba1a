//! `check --connect`: reaches the brokers and says what they know of the topic. Writes nothing and makes no topic.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::client::{Code, Metadata, Observer, Partition, Producer, code};
use super::config;
use super::fault::meaning;
use super::options::Options;
use crate::{CheckReport, Fate, Fault, FaultKind, OpenError, Retry, Settled, Wake, Whose};

/// Asks the brokers about themselves and the topic. Blocks for at most about `timeout`.
///
/// # Errors
/// [`FaultKind::Unauthenticated`] when the brokers refuse TLS or credentials, [`FaultKind::Unreachable`] when none
/// answers in time, [`FaultKind::Unauthorized`] when the topic is hidden from this user,
/// [`FaultKind::DestinationMissing`] when the topic can't exist, [`FaultKind::NotEnoughReplicas`] when no partition
/// has a leader, [`FaultKind::Internal`] (whose: operator) when the options can't work; the log has the text.
pub fn check(options: &Options, timeout: Duration) -> CheckReport {
    let wake = Bell::default();
    let producer = match open(options, &wake) {
        Ok(producer) => producer,
        Err(error) => {
            tracing::error!("kafka: {error}");
            return Err(Fault::new(FaultKind::Internal, Whose::Operator, Retry::No, Fate::NotStored));
        }
    };
    ask(producer, options, &wake, Instant::now() + timeout)
}

fn open(options: &Options, bell: &Bell) -> Result<Producer, OpenError> {
    let mut options = options.clone();
    // Looking must not make the topic.
    options.properties.insert("allow.auto.create.topics".to_owned(), "false".to_owned());
    let ringing = bell.clone();
    let properties = config::properties(&options)?;
    let tokens = super::tokens(options.sasl.as_ref());
    Producer::open(&properties, &options.topic, 0, tokens, Wake::new(move || ringing.ring()))
}

fn ask(mut producer: Producer, options: &Options, bell: &Bell, deadline: Instant) -> CheckReport {
    let mut trouble = Trouble::default();
    loop {
        // Short turns: a refused password shows in an event, while the question goes unanswered for its whole time.
        let turn = Duration::from_millis(500).min(deadline.saturating_duration_since(Instant::now()));
        let answer = producer.metadata(turn);
        producer.poll(&mut trouble);
        match answer {
            Ok(metadata) => {
                let makes_topics = || makes_topics(&producer, &metadata, options, deadline);
                return report(&metadata, &options.topic, makes_topics);
            }
            Err(code) => trouble.note(code, code.text()),
        }
        let refused = matches!(trouble.kind(), Some(FaultKind::Unauthenticated));
        if refused || Instant::now() >= deadline {
            return Err(trouble.fault());
        }
        // A question that fails at once would make this a busy loop.
        bell.wait(Duration::from_millis(100));
    }
}

/// Whether an unknown topic is made with its first record; `None` when the brokers don't tell.
fn makes_topics(
    producer: &Producer,
    metadata: &Metadata,
    options: &Options,
    deadline: Instant,
) -> Option<bool> {
    if options.properties.get("allow.auto.create.topics").is_some_and(|value| value == "false") {
        return Some(false);
    }
    let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(5));
    let setting = producer.broker_setting(metadata.any_broker, c"auto.create.topics.enable", left)?;
    Some(setting == "true")
}

fn report(metadata: &Metadata, topic: &str, makes_topics: impl FnOnce() -> Option<bool>) -> CheckReport {
    let mut lines = vec![format!("{} brokers: {}", metadata.brokers.len(), metadata.brokers.join(", "))];
    match metadata.topic_code {
        None => {
            lines.push(topic_line(topic, &metadata.partitions)?);
            lines.extend(trouble_line(&metadata.partitions));
        }
        Some(code @ (code::UNKNOWN_TOPIC_OR_PART | code::UNKNOWN_TOPIC_ID)) => lines.push(match makes_topics() {
            Some(true) => format!("topic {topic} does not exist yet: the brokers make it with its first record"),
            Some(false) => {
                tracing::error!("kafka: topic {topic} does not exist, and nobody makes it: create it");
                return Err(fault_of(code));
            }
            None => format!(
                "topic {topic} does not exist: its first record makes it if auto.create.topics.enable is true at \
                 the brokers, which they don't tell; otherwise every request gets 503 until it is created"
            ),
        }),
        Some(code) => {
            tracing::error!("kafka: topic {topic}: {}", code.text());
            return Err(fault_of(code));
        }
    }
    Ok(lines)
}

fn topic_line(topic: &str, partitions: &[Partition]) -> Result<String, Fault> {
    let replicas = |pick: fn(&Partition) -> usize| partitions.iter().map(pick).min().unwrap_or(0);
    if !partitions.iter().any(|partition| partition.has_leader) {
        return Err(fault_of(code::LEADER_NOT_AVAILABLE));
    }
    Ok(format!(
        "topic {topic}: {} partitions, {} replicas, at least {} in sync",
        partitions.len(),
        replicas(|partition| partition.replicas),
        replicas(|partition| partition.in_sync),
    ))
}

fn trouble_line(partitions: &[Partition]) -> Option<String> {
    let leaderless = partitions.iter().filter(|partition| !partition.has_leader).count();
    (leaderless > 0).then(|| format!("{leaderless} of them have no leader now: records for them wait"))
}

fn fault_of(code: Code) -> Fault {
    let (kind, whose, retry) = meaning(code);
    Fault::new(kind, whose, retry, Fate::NotStored)
}

/// The most telling error so far.
#[derive(Default)]
struct Trouble(Option<Code>);

impl Trouble {
    fn note(&mut self, code: Code, text: &str) {
        // A timeout is what everything looks like from outside; anything else says more, security most.
        let rank = |code: Code| match meaning(code).0 {
            FaultKind::Unauthenticated | FaultKind::Unauthorized => 2,
            FaultKind::TimedOut | FaultKind::Internal => 0,
            _ => 1,
        };
        if self.0.is_none_or(|known| rank(code) > rank(known)) {
            tracing::error!("kafka: {text}");
            self.0 = Some(code);
        }
    }

    fn kind(&self) -> Option<FaultKind> {
        self.0.map(|code| meaning(code).0)
    }

    fn fault(&self) -> Fault {
        let fault = fault_of(self.0.unwrap_or(code::TRANSPORT));
        match fault.kind {
            // Nobody answered: whatever the library calls it, that is what the operator has to look at.
            FaultKind::TimedOut | FaultKind::Internal => fault_of(code::TRANSPORT),
            _ => fault,
        }
    }
}

impl Observer for Trouble {
    fn settled(&mut self, _settled: Settled) {}
    fn delivered(&mut self, _records: usize) {}
    fn failed(&mut self, fault: Fault, _code: Code, _text: &str) -> Fault {
        fault
    }
    fn error(&mut self, code: Code, _fatal: bool, text: &str) {
        self.note(code, text);
    }
    fn statistics(&mut self, _json: &str) {}
    fn log(&mut self, _level: i32, _facility: &str, text: &str) {
        tracing::debug!("librdkafka: {text}");
    }
}

/// Wakes the asking thread.
#[derive(Clone, Default)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    fn ring(&self) {
        *self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.0.1.notify_one();
    }

    fn wait(&self, at_most: Duration) {
        let rung = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Ok((mut rung, _)) = self.0.1.wait_timeout_while(rung, at_most, |rung| !*rung) {
            *rung = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: Partition = Partition { has_leader: true, replicas: 3, in_sync: 2 };

    fn metadata(topic_code: Option<Code>, partitions: &[Partition]) -> Metadata {
        let brokers = vec!["a:1".to_owned(), "b:2".to_owned()];
        Metadata { brokers, any_broker: 1, topic_code, partitions: partitions.to_vec() }
    }

    #[test]
    fn the_weakest_partition_and_those_without_leader_are_named() {
        let leaderless = Partition { has_leader: false, replicas: 2, in_sync: 0 };
        let found = metadata(None, &[PARTITION, leaderless]);
        assert_eq!(
            report(&found, "t", || None).unwrap(),
            [
                "2 brokers: a:1, b:2",
                "topic t: 2 partitions, 2 replicas, at least 0 in sync",
                "1 of them have no leader now: records for them wait",
            ]
        );
        let all = metadata(None, &[leaderless]);
        assert_eq!(report(&all, "t", || None).unwrap_err().kind, FaultKind::NotEnoughReplicas);
    }

    #[test]
    fn an_absent_topic_is_a_fault_only_where_nobody_makes_it() {
        let absent = metadata(Some(code::UNKNOWN_TOPIC_OR_PART), &[]);
        assert!(report(&absent, "t", || Some(true)).unwrap()[1].contains("make it with its first record"));
        assert!(report(&absent, "t", || None).unwrap()[1].contains("auto.create.topics.enable"));
        let fault = report(&absent, "t", || Some(false)).unwrap_err();
        assert_eq!((fault.kind, fault.whose), (FaultKind::DestinationMissing, Whose::Operator));
        let hidden = metadata(Some(code::TOPIC_AUTHORIZATION_FAILED), &[]);
        assert_eq!(report(&hidden, "t", || None).unwrap_err().kind, FaultKind::Unauthorized);
    }

    #[test]
    fn the_most_telling_error_is_the_result() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.fault().kind, FaultKind::Unreachable);
        trouble.note(code::LOCAL_TIMED_OUT, "");
        assert_eq!(trouble.fault().kind, FaultKind::Unreachable);
        trouble.note(code::LOCAL_AUTHENTICATION, "");
        trouble.note(code::ALL_BROKERS_DOWN, "");
        assert_eq!(trouble.fault().kind, FaultKind::Unauthenticated);
    }
}
