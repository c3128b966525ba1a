//! From a journal to objects, each record once.
//!
//! ```text
//!                    read                piece, piece, …              note, then put │ complete
//!   journal streams ──────▶ one object ─────────────────▶ upload ──────────────────────────────▶ stored
//!        ▲                                                                                          │
//!        └────────────────────────────── delivered below … ◀────────────────────────────────────────┘
//! ```
//!
//! **Once.** Before an object can become visible the journal's note says which batches it holds and under which name
//! ([`plan`]), and up to where everything is delivered, since the journal's own marks lag behind. After a crash the next
//! process looks whether it is there. If it is, its batches are delivered; if not, the same batches are stored under the same name, so that a late success of the first attempt is overwritten. An object
//! stands twice only where its hour was over and nobody could tell whether it is there (no right to read): that is
//! counted (`s3_objects_in_doubt_total`).
//!
//! **In its hour.** An object is named by the hour in which it is stored. It is closed [`COMMIT_MARGIN`] before the hour's
//! end; if it is not stored by then, it is withdrawn, looked for, and made anew under a name of the hour that it is now.
//! Where manifests are asked for, the hour is announced before its first object becomes visible ([`declare`]).
//!
//! **Constant memory.** One object at a time, of which the part that is being filled and those that are not stored yet
//! are held ([`crate::s3::Options::object_memory_bytes`]).
//!
//! | file | what it is |
//! | --- | --- |
//! | `plan` | the note |
//! | `recover` | what an earlier process left |
//! | `object`, `fill` | the object that is being made |
//! | `hours` | which hour may be put into |
//! | `ledger` | the account of each hour |
//! | `declare` | its manifest |

mod declare;
mod fill;
mod hours;
mod ledger;
mod object;
mod plan;
mod recover;
mod thread;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use self::declare::Declaration;
use self::ledger::Ledger;
use self::object::Object;
use self::plan::{Note, Plan, Range};
use super::call::{Answer, Work};
use super::layout::Hour;
use super::options::Options;
use super::upload::{Outcome, Upload};
use super::watch::Watch;
use crate::{Batch, Health, Origin, Source, SourceError, StreamId};

pub use thread::{JournalShape, Shipper};

/// How long before the end of its hour an object is closed: the time that it has to be stored.
pub const COMMIT_MARGIN: Duration = Duration::from_secs(30);

/// How late a shipper may notice that a batch became durable.
const POLL: Duration = Duration::from_millis(100);
/// Pause after the journal could not be read or its note not be written, and before an object is made anew.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Bytes that are read in one turn: some 20 ms of compressing, so that answers are not left waiting.
const TURN_BYTES: usize = 4 << 20;

/// Whoever makes calls.
pub(super) trait Calls {
    /// Starts one.
    fn start(&self, work: Work);
    /// Moves all answers that have come to `answers`.
    fn take(&self, answers: &mut Vec<Answer>);
}

/// Where the seeds of pauses come from.
#[derive(Debug)]
pub(super) struct Seeds(fastrand::Rng);

impl Seeds {
    pub(super) fn next(&mut self) -> u64 {
        self.0.u64(..)
    }
}

/// What a turn brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Records read from the journal.
    pub read: u64,
    /// Records that are delivered now.
    pub delivered: u64,
    /// When the next turn is due, unless the wake comes before.
    pub next: Instant,
}

#[derive(Debug)]
enum State {
    /// The note is not read yet.
    Starting,
    /// Finding out what became of an earlier process's object.
    Recovering {
        plan: Plan,
        upload: Upload,
    },
    /// Nothing is in hand.
    Idle,
    Filling(Object),
    Storing(Object),
    /// Its hour is over.
    Withdrawing(Object),
}

#[derive(Debug)]
struct Position {
    id: StreamId,
    next: u64,
}

/// What a [`Core`] is made of besides journal and client.
#[derive(Debug)]
pub(super) struct Parts {
    pub options: Options,
    pub ledger_dir: PathBuf,
    pub batch: Batch,
    pub seed: u64,
}

/// The shipper without thread, socket and clock.
#[derive(Debug)]
pub(super) struct Core<S, C> {
    source: S,
    calls: C,
    options: Options,
    batch: Batch,
    note: Note,
    positions: Vec<Position>,
    state: State,
    declaration: Option<Declaration>,
    watch: Watch,
    /// The journal's trouble, if it has one.
    trouble: Option<String>,
    not_before: Option<Instant>,
    /// The last hour that an object was named by.
    hour_floor: Option<Hour>,
    closing: bool,
    /// Everything in the journal was read, and nothing of it is in hand.
    exhausted: bool,
    answers: Vec<Answer>,
    ids: u64,
    seeds: Seeds,
    turn: Turn,
}

impl<S: Source, C: Calls> Core<S, C> {
    /// # Errors
    /// When the directory of the accounts can't be made or read.
    pub(super) fn new(source: S, calls: C, parts: Parts, now: Instant) -> std::io::Result<Self> {
        let Parts { options, ledger_dir, batch, seed } = parts;
        let declaration = match &options.manifest_prefix {
            Some(prefix) => Some(Declaration::new(Ledger::open(&ledger_dir)?, prefix.clone())),
            None => None,
        };
        Ok(Self {
            source,
            calls,
            batch,
            note: Note::new(uuid::Uuid::nil()),
            positions: Vec::new(),
            state: State::Starting,
            declaration,
            watch: Watch::new(&options.bucket),
            trouble: None,
            not_before: None,
            hour_floor: None,
            closing: false,
            exhausted: false,
            answers: Vec::new(),
            ids: 0,
            seeds: Seeds(fastrand::Rng::with_seed(seed)),
            turn: Turn { read: 0, delivered: 0, next: now },
            options,
        })
    }

    /// Nothing more is written into the journal: the object in hand is closed as soon as everything is read.
    pub(super) fn finish(&mut self) {
        self.closing = true;
    }

    /// After [`Core::finish`]: everything is delivered, and declared.
    pub(super) fn is_done(&self) -> bool {
        let settled = self.declaration.as_ref().is_none_or(Declaration::is_settled);
        self.closing && self.exhausted && settled
    }

    pub(super) fn health(&self) -> Health {
        self.trouble.clone().map_or_else(|| self.watch.health(), Health::Down)
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Makes progress. Blocks for as long as the disk does.
    pub(super) fn turn(&mut self, now: Instant, wall: SystemTime) -> Turn {
        self.turn = Turn { read: 0, delivered: 0, next: now + POLL };
        self.exhausted = false;
        self.take_answers(now);
        if self.not_before.is_none_or(|at| now >= at) {
            self.not_before = None;
            self.trouble = None;
            self.advance(now, wall);
            self.declare(now, wall);
        }
        let own = match &self.state {
            State::Recovering { upload, .. } => upload.next_turn(),
            State::Storing(object) if !self.is_announced(object.hour) => None,
            State::Filling(object) | State::Storing(object) | State::Withdrawing(object) => {
                object.upload.as_ref().and_then(Upload::next_turn)
            }
            State::Starting | State::Idle => None,
        };
        let declared = self.declaration.as_ref().and_then(Declaration::next_turn);
        self.turn.next = own.into_iter().chain(declared).chain([self.turn.next]).min().unwrap_or(now);
        self.turn
    }

    fn take_answers(&mut self, now: Instant) {
        self.calls.take(&mut self.answers);
        for answer in std::mem::take(&mut self.answers) {
            let upload = match &mut self.state {
                State::Recovering { upload, .. } => Some(upload),
                State::Filling(object) | State::Storing(object) | State::Withdrawing(object) => {
                    object.upload.as_mut()
                }
                State::Starting | State::Idle => None,
            };
            let own = upload.and_then(|upload| upload.answer(&answer, now));
            let of_manifest = || self.declaration.as_mut().and_then(|open| open.answer(&answer, now));
            match own.or_else(of_manifest) {
                Some(Ok(())) => self.watch.worked(),
                Some(Err(failure)) => {
                    let _ = self.watch.failed(answer.name, &failure, now);
                }
                // A call of an object that was given up.
                None => {}
            }
        }
    }

    fn journal_failed(&mut self, error: &SourceError, now: Instant) {
        let text = error.to_string();
        tracing::error!("the journal fails, trying again: {text}");
        self.trouble = Some(text);
        self.not_before = Some(now + ERROR_PAUSE);
    }

    fn advance(&mut self, now: Instant, wall: SystemTime) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Starting => self.start(now),
            State::Recovering { plan, upload } => self.recover(plan, upload, now, wall),
            State::Idle => self.fill(None, now, wall),
            State::Filling(object) => self.fill(Some(object), now, wall),
            State::Storing(object) => self.store(object, now, wall),
            State::Withdrawing(object) => self.withdraw(object, now),
        };
    }

    fn renamed(&mut self, key: &str, outcome: Outcome) {
        let in_doubt = outcome == Outcome::Unknown;
        self.watch.figures.renamed += 1;
        self.watch.figures.doubtful += u64::from(in_doubt);
        tracing::warn!(
            key,
            in_doubt,
            "this object's hour is over, or its upload gone: its records are stored under another name{}",
            if in_doubt {
                "; without the right to read nobody knows whether they are there already"
            } else {
                ""
            }
        );
    }

    fn drive(&mut self, upload: &mut Upload, now: Instant) {
        let calls = &self.calls;
        upload.turn(now, &mut self.ids, &mut |work| calls.start(work));
    }

    fn store(&mut self, mut object: Object, now: Instant, wall: SystemTime) -> State {
        if !object.planned {
            self.note.plan = object.plan();
            if let Err(error) = self.source.write_note(&self.note.encode()) {
                self.journal_failed(&error, now);
                return State::Storing(object);
            }
            object.planned = true;
        }
        let mut upload = object.upload.take().expect("an object that is sealed has an upload");
        if wall >= object.hour.end() {
            upload.withdraw();
            object.upload = Some(upload);
            return self.withdraw(object, now);
        }
        // Nothing becomes visible in an hour that is not announced.
        if self.is_announced(object.hour) {
            self.drive(&mut upload, now);
        }
        let outcome = upload.outcome();
        object.upload = Some(upload);
        match outcome {
            Outcome::Pending => State::Storing(object),
            Outcome::Stored => self.stored(&object, now),
            Outcome::Gone | Outcome::Withdrawn | Outcome::Unknown => self.start_over(&object, outcome, now),
        }
    }

    fn withdraw(&mut self, mut object: Object, now: Instant) -> State {
        let mut upload = object.upload.take().expect("an object that is withdrawn has an upload");
        self.drive(&mut upload, now);
        let outcome = upload.outcome();
        object.upload = Some(upload);
        match outcome {
            Outcome::Pending => State::Withdrawing(object),
            Outcome::Stored => self.stored(&object, now),
            Outcome::Gone | Outcome::Withdrawn | Outcome::Unknown => self.start_over(&object, outcome, now),
        }
    }

    /// Its batches are read again, into an object of another name.
    fn start_over(&mut self, object: &Object, outcome: Outcome, now: Instant) -> State {
        let key = object.upload.as_ref().map_or("", |upload| upload.key());
        self.renamed(key, outcome);
        for range in &object.ranges {
            if let Some(position) = self.positions.iter_mut().find(|position| position.id == range.id()) {
                position.next = range.from;
            }
        }
        self.not_before = Some(now + ERROR_PAUSE);
        State::Idle
    }

    fn stored(&mut self, object: &Object, now: Instant) -> State {
        let key = object.upload.as_ref().map_or_else(String::new, |upload| upload.key().to_string());
        self.settle(&key, object.hour, &object.content, &object.ranges);
        self.turn.next = now;
        State::Idle
    }

    fn settle(&mut self, key: &str, hour: Hour, content: &super::Content, ranges: &[Range]) {
        if let Some(declaration) = &mut self.declaration {
            declaration.ledger.stored(hour, key, content);
        }
        self.mark(ranges);
        self.watch.stored(content);
        self.turn.delivered += content.records;
        tracing::debug!(key, content.records, content.bytes, "object stored");
    }
}

/// A batch that any of a journal's fits into.
pub(super) fn batch(arena_bytes: usize, records_max: usize) -> Batch {
    Batch::new(Origin { shard: u16::MAX, slot: 0 }, arena_bytes, records_max)
}

#[cfg(test)]
mod tests;
