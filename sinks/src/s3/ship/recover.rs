//! What an earlier process left: its note, and the object that it was about to store.

use std::collections::BTreeSet;
use std::time::{Instant, SystemTime};

use super::object::Object;
use super::plan::{Note, Plan, Range};
use super::{COMMIT_MARGIN, Calls, Core, State};
use crate::Source;
use crate::s3::layout;
use crate::s3::upload::{Outcome, Upload};

impl<S: Source, C: Calls> Core<S, C> {
    pub(super) fn start(&mut self, now: Instant) -> State {
        let bytes = match self.source.read_note() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.journal_failed(&error, now);
                return State::Starting;
            }
        };
        if let Some(note) = Note::decode(&bytes) {
            self.note = note;
        } else {
            // Durable before anything is said in its name: else nobody would ever complete what it announced.
            let note = Note::new(layout::random_id());
            if let Err(error) = self.source.write_note(&note.encode()) {
                self.journal_failed(&error, now);
                return State::Starting;
            }
            self.note = note;
        }
        let known: BTreeSet<u16> = self.source.streams().into_iter().map(|id| id.0).collect();
        self.note.marks.retain(|stream, _| known.contains(stream));
        let marks: Vec<Range> =
            self.note.marks.iter().map(|(stream, to)| Range { stream: *stream, from: 0, to: *to }).collect();
        self.mark(&marks);
        self.turn.next = now;
        match self.note.plan.clone() {
            // Marks move only behind an object that is stored.
            Some(plan) if plan.content.is_some() && self.is_marked(&plan) => {
                self.mark(&plan.ranges);
                State::Idle
            }
            Some(plan) => {
                self.hour_floor = Some(plan.hour);
                let upload = Upload::left(
                    plan.key.as_str().into(),
                    plan.upload.as_deref(),
                    plan.content,
                    self.seeds.next(),
                );
                State::Recovering { plan, upload }
            }
            None => State::Idle,
        }
    }

    pub(super) fn is_marked(&self, plan: &Plan) -> bool {
        plan.ranges.iter().any(|range| self.source.delivered(range.id()) > range.from)
    }

    pub(super) fn mark(&mut self, ranges: &[Range]) {
        for range in ranges {
            if self.source.delivered(range.id()) < range.to {
                self.source.delivered_below(range.id(), range.to);
            }
            self.note.marks.insert(range.stream, range.to);
        }
    }

    pub(super) fn recover(
        &mut self,
        plan: Plan,
        mut upload: Upload,
        now: Instant,
        wall: SystemTime,
    ) -> State {
        self.drive(&mut upload, now);
        let outcome = upload.outcome();
        if outcome == Outcome::Pending {
            return State::Recovering { plan, upload };
        }
        self.turn.next = now;
        let Some(content) = plan.content else { return State::Idle };
        match outcome {
            Outcome::Stored => {
                tracing::info!(key = plan.key, "what an earlier process was about to store is there");
                self.settle(&plan.key, plan.hour, &content, &plan.ranges);
                State::Idle
            }
            _ if wall < plan.hour.end() - COMMIT_MARGIN => {
                tracing::info!(key = plan.key, "storing what an earlier process was about to store");
                let hour = plan.hour;
                State::Filling(Object::new(&self.options, hour, now, Some(plan)))
            }
            _ => {
                self.renamed(&plan.key, outcome);
                State::Idle
            }
        }
    }
}
