//! From the journal into the object, until it is closed.

use std::time::{Instant, SystemTime};

use super::object::Object;
use super::{COMMIT_MARGIN, Calls, Core, Position, State, TURN_BYTES};
use crate::s3::encode::Encoder;
use crate::s3::layout::Hour;
use crate::s3::upload::{Outcome, Upload};
use crate::{Source, SourceError};

impl<S: Source, C: Calls> Core<S, C> {
    /// The hour of an object that is begun now. A clock that is set back a little does not lead into an hour that is
    /// over.
    pub(super) fn hour(&mut self, wall: SystemTime) -> Hour {
        let hour = Hour::of(wall + COMMIT_MARGIN);
        let hour = match self.hour_floor {
            Some(floor) if floor == hour.next() => floor,
            _ => hour,
        };
        self.hour_floor = Some(hour);
        hour
    }

    /// Reads what there is into the object, and closes it when it is time.
    pub(super) fn fill(&mut self, object: Option<Object>, now: Instant, wall: SystemTime) -> State {
        let mut object = object;
        let more = match self.read(&mut object, now, wall) {
            Ok(more) => more,
            Err(error) => {
                self.journal_failed(&error, now);
                false
            }
        };
        let Some(mut object) = object else {
            self.exhausted = self.trouble.is_none();
            return State::Idle;
        };
        if let Some(mut upload) = object.upload.take() {
            self.drive(&mut upload, now);
            let gone = upload.outcome() == Outcome::Gone;
            object.upload = Some(upload);
            if gone {
                return self.start_over(&object, Outcome::Gone, now);
            }
        }
        self.announce(&mut object);
        let full = object.encoder.as_ref().is_some_and(|open| open.bytes() >= self.options.object_bytes_max);
        let old = now >= object.since + self.options.object_age_max;
        let late = wall >= object.closes_at();
        let complete = self.trouble.is_none() && !more && (self.closing || object.exact.is_some());
        let held_up = object.upload.as_ref().is_some_and(|upload| !upload.has_room());
        let due = if object.exact.is_some() { complete || late } else { full || old || late || complete };
        if !due || held_up && !late {
            self.turn.next = if more && !held_up { now } else { self.turn.next };
            return State::Filling(object);
        }
        self.turn.next = now;
        self.seal(object, now, wall)
    }

    /// Reads a turn's worth. True when there may be more.
    pub(super) fn read(
        &mut self,
        object: &mut Option<Object>,
        now: Instant,
        wall: SystemTime,
    ) -> Result<bool, SourceError> {
        for id in self.source.streams() {
            if self.positions.iter().all(|position| position.id != id) {
                let next = self.source.delivered(id);
                self.positions.push(Position { id, next });
            }
        }
        let (mut bytes, mut more) = (0, true);
        while more && bytes < TURN_BYTES {
            more = false;
            for place in 0..self.positions.len() {
                if let Some(open) = object.as_mut() {
                    let room = open.upload.as_ref().is_none_or(Upload::has_room);
                    let size = open.encoder.as_ref().map_or(0, Encoder::bytes);
                    if !room || open.exact.is_none() && size >= self.options.object_bytes_max {
                        return Ok(true);
                    }
                }
                let Position { id, next } = self.positions[place];
                let Some(sequence) = self.source.read(id, next, &mut self.batch)? else { continue };
                if object.as_ref().is_some_and(|open| !open.takes(id.0, sequence)) {
                    continue;
                }
                if object.is_none() {
                    let hour = self.hour(wall);
                    *object = Some(Object::new(&self.options, hour, now, None));
                }
                let open = object.as_mut().expect("made above");
                bytes += self.batch.used_bytes();
                self.turn.read += self.batch.len() as u64;
                open.took(id.0, next, sequence);
                self.positions[place].next = sequence + 1;
                more = true;
                let encoder = open.encoder.as_mut().expect("an object that is being filled has one");
                encoder.add(&self.batch, &crate::Records::All);
                if let Some(piece) = encoder.piece() {
                    open.upload(&self.options, self.note.writer, wall, &mut self.seeds).push(piece);
                }
            }
        }
        Ok(more)
    }

    /// Notes a multipart upload, so that a later process can abort it. If that fails, a lifecycle rule does it.
    pub(super) fn announce(&mut self, object: &mut Object) {
        let has_id = object.upload.as_ref().is_some_and(|upload| upload.id().is_some());
        if has_id && !object.announced {
            object.announced = true;
            self.note.plan = object.plan();
            let _ = self.source.write_note(&self.note.encode());
        }
    }

    pub(super) fn seal(&mut self, mut object: Object, now: Instant, wall: SystemTime) -> State {
        let encoder = object.encoder.take().expect("an object that is being filled has one");
        let (last, content) = encoder.finish();
        // Damage may have taken records from what is to overwrite the object of an earlier process.
        let expected = object.exact.as_ref().and_then(|plan| plan.content);
        if expected.is_some_and(|expected| expected.records != content.records) {
            return self.start_over(&object, Outcome::Unknown, now);
        }
        object.content = content;
        if object.upload.is_none() && object.exact.is_none() && wall >= object.closes_at() {
            object.hour = self.hour(wall);
        }
        object.upload(&self.options, self.note.writer, wall, &mut self.seeds).seal(last, content);
        self.store(object, now, wall)
    }
}
