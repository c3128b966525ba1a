//! What was sent and what came back, id by id: the client's side of the truth.

use std::collections::BTreeMap;

/// What a client learned about one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer was read whole.
    Answered {
        /// Status code.
        status: u16,
        /// Whether it had a `Retry-After`.
        retry_after: bool,
    },
    /// None was: the client does not know.
    Unanswered(Silence),
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// An orderly close before the first byte of an answer.
    Closed,
    /// A reset before the first byte of an answer, or while sending.
    Reset,
    /// The end came inside an answer, of which this had arrived.
    Cut(String),
    /// Nothing came in time.
    TimedOut,
    /// What came is not an answer.
    Malformed(String),
}

/// Every event that was sent, once each.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Id to outcome.
    pub entries: BTreeMap<String, Outcome>,
    /// Answers that said `Connection: close`.
    pub closes_announced: u64,
    /// Connections that were refused; no event was sent on those.
    pub refused_connections: u64,
}

impl Ledger {
    /// Ids with this status.
    pub fn with_status(&self, status: u16) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(move |(id, outcome)| match outcome {
            Outcome::Answered { status: found, .. } if *found == status => Some(id.as_str()),
            _ => None,
        })
    }

    /// Number of events that were answered 200.
    pub fn stored(&self) -> usize {
        self.with_status(200).count()
    }

    /// Events whose answer was cut off in the middle, or was none.
    pub fn cut(&self) -> Vec<(&str, &Silence)> {
        self.entries
            .iter()
            .filter_map(|(id, outcome)| match outcome {
                Outcome::Unanswered(silence @ (Silence::Cut(_) | Silence::Malformed(_))) => {
                    Some((id.as_str(), silence))
                }
                _ => None,
            })
            .collect()
    }

    /// Adds another ledger's entries.
    pub fn absorb(&mut self, other: Self) {
        self.closes_announced += other.closes_announced;
        self.refused_connections += other.refused_connections;
        for (id, outcome) in other.entries {
            assert!(self.entries.insert(id.clone(), outcome).is_none(), "{id} was sent twice");
        }
    }

    /// Outcomes and how often each was seen, for messages.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for outcome in self.entries.values() {
            let name = match outcome {
                Outcome::Answered { status, .. } => status.to_string(),
                Outcome::Unanswered(Silence::Cut(_)) => "cut".to_owned(),
                Outcome::Unanswered(Silence::Malformed(_)) => "malformed".to_owned(),
                Outcome::Unanswered(silence) => format!("{silence:?}").to_lowercase(),
            };
            *counts.entry(name).or_default() += 1;
        }
        format!(
            "{counts:?}, {} closes announced, {} connections refused",
            self.closes_announced, self.refused_connections
        )
    }
}

/// The body of the event `id`: always the same for one id, so that what is stored can be compared with what was
/// sent without keeping it. Has quotes, backslashes, control and non-ASCII characters, and a length of its own.
pub fn body_of(id: &str) -> String {
    let seed = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let pieces = ["x", "0123456789", "\\\"", "\\\\", "\\n", "é", "日本", "🦀", "/", "\\u0001", "\t"];
    let mut padding = String::new();
    for _ in 0..random.usize(10..160) {
        padding.push_str(pieces[random.usize(..pieces.len())]);
    }
    format!(r#"[{{"event_id":"{id}","event_type":"load","pad":"{padding}"}}]"#)
}

/// The id in such a body; `None` where it is no event of ours.
pub fn id_of(body: &str) -> Option<&str> {
    body.strip_prefix(r#"[{"event_id":""#)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_stable_and_carry_their_id() {
        assert_eq!(body_of("a-1"), body_of("a-1"));
        assert_ne!(body_of("a-1").len(), body_of("a-2").len());
        assert_eq!(id_of(&body_of("a-1")), Some("a-1"));
        assert_eq!(id_of("{}"), None);
    }
}
