//! One object on its way: by one `PutObject`, or in parts while it still grows.
//!
//! ```text
//!  push, push, … ──▶ create ─▶ part 1 ┐
//!                              part 2 ├─▶ complete ─▶ stored
//!                   seal ─────▶ last  ┘      │
//!  seal alone ─────▶ put ──────────────▶ stored      gone: no such upload, and no such object: make it anew
//!
//!  withdraw ─▶ wait for what is on its way ─▶ abort ─▶ head ─▶ stored │ absent │ nobody knows
//! ```
//!
//! Nothing is visible in the bucket before `complete` or `put`, and each of these may be tried again: it has one name.
//! An upload that fails tries again until it is told to withdraw; its owner knows when that is.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::call::{Answer, Kind, Said, Stored, Task, Work};
use super::encode::Content;
use super::fault;
use super::pause::Pause;
use crate::aws::Failure;

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not decided yet.
    Pending,
    /// It is in the bucket.
    Stored,
    /// S3 does not know the upload any more, and the object is not there: it has to be made anew.
    Gone,
    /// It was withdrawn and is not in the bucket.
    Withdrawn,
    /// It was withdrawn, and this caller has no right to ask whether it is in the bucket.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Put,
    Create,
    Part(u16),
    Complete,
    Abort,
    Head,
}

#[derive(Debug)]
enum Part {
    Waiting(Bytes),
    Flying(Bytes),
    Stored(Stored),
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Upload {
    key: Arc<str>,
    kind: Kind,
    parts_in_flight_max: usize,
    parts: Vec<Part>,
    /// Set by `seal`; the body is that of an object that was never parted.
    sealed: Option<(Content, Option<Bytes>)>,
    id: Option<Arc<str>>,
    flying: Vec<(u64, Call)>,
    pause: Pause,
    withdrawing: bool,
    aborted: bool,
    /// `complete` was told that there is no such upload, or that it can't be: only the object itself can tell what that means.
    asking: bool,
    outcome: Outcome,
}

impl Upload {
    pub(super) fn new(key: Arc<str>, kind: Kind, parts_in_flight_max: usize, seed: u64) -> Self {
        Self {
            key,
            kind,
            parts_in_flight_max,
            parts: Vec::new(),
            sealed: None,
            id: None,
            flying: Vec::new(),
            pause: Pause::new(seed),
            withdrawing: false,
            aborted: false,
            asking: false,
            outcome: Outcome::Pending,
        }
    }

    /// An upload that an earlier process left, to be withdrawn: `content` is what it was about to store.
    pub(super) fn left(key: Arc<str>, id: Option<&str>, content: Option<Content>, seed: u64) -> Self {
        let mut upload = Self::new(key, Kind::Data, 1, seed);
        upload.id = id.map(Arc::from);
        upload.sealed = content.map(|content| (content, None));
        upload.withdrawing = true;
        upload
    }

    pub(super) fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Id of the multipart upload, once it has one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether a call is on its way that makes the object visible when it succeeds.
    pub(super) fn is_visible_soon(&self) -> bool {
        self.flying.iter().any(|(_, call)| matches!(call, Call::Put | Call::Complete))
    }

    /// True while another part can be held.
    pub(super) fn has_room(&self) -> bool {
        let held = self.parts.iter().filter(|part| !matches!(part, Part::Stored(_))).count();
        held < self.parts_in_flight_max
    }

    /// Another part of at least S3's smallest size.
    pub(super) fn push(&mut self, piece: Vec<u8>) {
        debug_assert!(self.sealed.is_none(), "nothing comes behind the last part");
        self.parts.push(Part::Waiting(piece.into()));
    }

    /// The last of it.
    pub(super) fn seal(&mut self, last: Vec<u8>, content: Content) {
        let body = if self.parts.is_empty() {
            Some(last.into())
        } else {
            if !last.is_empty() {
                self.parts.push(Part::Waiting(last.into()));
            }
            None
        };
        self.sealed = Some((content, body));
    }

    /// No more attempts. What is on its way is waited for, since it may still succeed.
    pub(super) fn withdraw(&mut self) {
        self.withdrawing = true;
        if self.pause.until().is_some() {
            self.pause.worked();
        }
    }

    /// When [`Upload::turn`] has something to do that no answer brings about.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.pause.until().filter(|_| self.outcome == Outcome::Pending)
    }

    /// Starts what can be started. `ids` numbers the calls of all uploads of a client.
    pub(super) fn turn(&mut self, now: Instant, ids: &mut u64, start: &mut impl FnMut(Work)) {
        if self.outcome != Outcome::Pending || !self.pause.is_over(now) {
            return;
        }
        // What is started now is waited for: a turn in between would find nothing to do.
        self.pause.end();
        while let Some((call, task)) = self.next_call() {
            *ids += 1;
            self.flying.push((*ids, call));
            start(Work { id: *ids, key: self.key.clone(), task });
        }
    }

    fn next_call(&mut self) -> Option<(Call, Task)> {
        if self.asking || self.withdrawing {
            return self.next_question();
        }
        if let Some((_, Some(body))) = &self.sealed {
            let task = Task::Put { body: body.clone(), kind: self.kind };
            return self.flying.is_empty().then_some((Call::Put, task));
        }
        if self.parts.is_empty() {
            return None;
        }
        let Some(upload) = self.id.clone() else {
            return self.flying.is_empty().then_some((Call::Create, Task::Create));
        };
        if self.flying.len() >= self.parts_in_flight_max {
            return None;
        }
        let waiting = self.parts.iter().position(|part| matches!(part, Part::Waiting(_)));
        if let Some(place) = waiting {
            let number = u16::try_from(place + 1).expect("object_bytes_max keeps parts below 10,000");
            let Part::Waiting(body) = &self.parts[place] else { unreachable!("it was found waiting") };
            let body = body.clone();
            self.parts[place] = Part::Flying(body.clone());
            return Some((Call::Part(number), Task::Part { upload, number, body }));
        }
        let stored = |part: &Part| if let Part::Stored(stored) = part { Some(stored.clone()) } else { None };
        let (content, _) = self.sealed.as_ref()?;
        let parts: Option<Vec<Stored>> = self.parts.iter().map(stored).collect();
        let task = Task::Complete { upload, parts: parts?, content: *content };
        self.flying.is_empty().then_some((Call::Complete, task))
    }

    /// What is left to do of an upload that is not to be, or whose fate is in doubt.
    fn next_question(&mut self) -> Option<(Call, Task)> {
        if !self.flying.is_empty() {
            return None;
        }
        match &self.id {
            Some(upload) if self.withdrawing && !self.aborted => {
                Some((Call::Abort, Task::Abort { upload: upload.clone() }))
            }
            // What was never sealed was never asked to be made visible.
            _ if self.sealed.is_none() => {
                self.outcome = Outcome::Withdrawn;
                None
            }
            _ => Some((Call::Head, Task::Head)),
        }
    }

    /// Takes an answer, if it is one to this upload; then says whether the call failed, and how.
    pub(super) fn answer(&mut self, answer: &Answer, now: Instant) -> Option<Result<(), Failure>> {
        let place = self.flying.iter().position(|(id, _)| *id == answer.id)?;
        let (_, call) = self.flying.swap_remove(place);
        match &answer.result {
            Ok(said) => {
                self.pause.worked();
                self.succeeded(call, said);
                Some(Ok(()))
            }
            Err(failure) => {
                self.failed(call, failure, now);
                Some(Err(failure.clone()))
            }
        }
    }

    fn succeeded(&mut self, call: Call, said: &Said) {
        match (call, said) {
            (Call::Create, Said::Created(id)) => self.id = Some(id.as_str().into()),
            (Call::Part(number), Said::Part(stored)) => {
                self.parts[usize::from(number) - 1] = Part::Stored(stored.clone());
            }
            (Call::Put | Call::Complete, Said::Done) => self.outcome = Outcome::Stored,
            (Call::Abort, Said::Done) => self.aborted = true,
            (Call::Head, Said::Head(found)) => {
                let expected = self.sealed.as_ref().map(|(content, _)| content.bytes);
                let there = found.is_some() && *found == expected;
                self.outcome = match (there, self.withdrawing) {
                    (true, _) => Outcome::Stored,
                    (false, true) => Outcome::Withdrawn,
                    (false, false) => Outcome::Gone,
                };
            }
            _ => unreachable!("the client answers what it was asked"),
        }
    }

    fn failed(&mut self, call: Call, failure: &Failure, now: Instant) {
        self.pause.failed(now);
        match call {
            Call::Part(number) => {
                let part = &mut self.parts[usize::from(number) - 1];
                if let Part::Flying(body) = part {
                    *part = Part::Waiting(std::mem::take(body));
                }
                if fault::is_gone(failure) {
                    self.outcome = Outcome::Gone;
                }
            }
            // An attempt whose answer was lost may have completed it; else it was aborted.
            Call::Complete if fault::is_gone(failure) || fault::is_refused(failure) => {
                self.asking = true;
                self.pause.worked();
            }
            Call::Head if fault::is_denied(failure) => {
                self.outcome = if self.withdrawing { Outcome::Unknown } else { Outcome::Gone };
            }
            // Parts without an owner cost storage until a lifecycle rule removes them; nothing else depends on this.
            Call::Abort if fault::is_denied(failure) => {
                self.aborted = true;
                self.pause.worked();
            }
            Call::Put | Call::Create | Call::Complete | Call::Abort | Call::Head => {}
        }
    }
}

#[cfg(test)]
mod tests;
