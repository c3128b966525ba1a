//! When an hour is announced, and when it is over.

use std::time::{Instant, SystemTime};

use super::declare::Hours;
use super::{COMMIT_MARGIN, Calls, Core, State};
use crate::Source;
use crate::s3::layout::Hour;

impl<S: Source, C: Calls> Core<S, C> {
    /// The hour that an object in hand may still go into.
    pub(super) fn open_hour(&self) -> Option<Hour> {
        match &self.state {
            State::Recovering { plan, .. } => Some(plan.hour),
            State::Filling(object) | State::Storing(object) | State::Withdrawing(object) => Some(object.hour),
            State::Starting | State::Idle => None,
        }
    }

    pub(super) fn declare(&mut self, now: Instant, wall: SystemTime) {
        // Whose hours they are stands in the note.
        if matches!(self.state, State::Starting) {
            return;
        }
        let open = self.open_hour();
        let Some(declaration) = &mut self.declaration else { return };
        let current = Hour::of(wall);
        let over = open.map_or(current, |open| open.min(current));
        // A later process must not find a plan for an hour that is declared: it would enter the object once more.
        let due = declaration.ledger.hours().find(|hour| *hour < over);
        if due.is_some() && self.note.plan.as_ref().is_some_and(|plan| Some(plan.hour) <= due) {
            self.note.plan = None;
            if let Err(error) = self.source.write_note(&self.note.encode()) {
                self.journal_failed(&error, now);
                return;
            }
        }
        let in_hand = open.filter(|open| *open >= current).unwrap_or(current);
        let hours = Hours {
            current,
            begun: [current, Hour::of(wall + COMMIT_MARGIN), in_hand],
            over,
            ending: self.closing && self.exhausted,
        };
        let (of, calls) = ((&self.options, self.note.writer), &self.calls);
        let start = &mut |work| calls.start(work);
        if declaration.turn(now, &hours, of, &mut self.seeds, &mut self.ids, start) {
            self.watch.figures.manifests += 1;
            self.turn.next = now;
        }
    }

    pub(super) fn is_announced(&self, hour: Hour) -> bool {
        self.declaration.as_ref().is_none_or(|declaration| declaration.is_open(hour))
    }
}
