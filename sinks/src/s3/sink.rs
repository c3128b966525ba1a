//! The sink for requests that wait until their records are in the bucket: many batches to an object, many objects on
//! their way.
//!
//! ```text
//!  submit ─▶ object that is filled ── size, linger, or enough batches ──▶ its upload ──▶ stored: all batches delivered
//! ```
//!
//! **Who tries again.** A failure that certainly stored nothing goes back to the lane, which has the policy. One that may
//! have stored the object is tried again here, under the object's own name, until the first request's time is over: a
//! second success then changes nothing, where another object would repeat its records.

use std::time::{Duration, Instant, SystemTime};

use super::call::{Answer, Kind};
use super::client::Client;
use super::encode::{Content, Encoder};
use super::layout::{self, Hour, object_key};
use super::options::{Options, problems};
use super::upload::{Outcome, Upload};
use super::watch::Watch;
use crate::aws::Failure;
use crate::{
    Capabilities, Delivery, Fate, Fault, FaultKind, Gauge, Health, OpenError, Retry, Settled, Sink,
    Submission, Wake, Whose,
};

/// Largest record. S3 has no limit that matters; a record is kept in memory.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// An object's time is over this long before that of its first request, so that the answer is in time.
const LEAD: Duration = Duration::from_millis(100);

/// A sink that stores objects in one bucket of Amazon S3. See [`super`] for what it promises.
#[derive(Debug)]
pub struct S3Sink {
    options: Options,
    client: Client,
    now_utc: fn() -> SystemTime,
    filling: Option<Group>,
    uploading: Vec<Group>,
    /// Given up; their calls are still answered.
    abandoned: Vec<Upload>,
    answers: Vec<Answer>,
    ids: u64,
    watch: Watch,
    closing: Option<Instant>,
}

/// Batches that share an object.
#[derive(Debug)]
struct Group {
    batches: Vec<Submission>,
    since: Instant,
    deadline: Instant,
    encoder: Option<Encoder>,
    upload: Upload,
    content: Content,
    /// The last failure that may have stored the object all the same.
    doubt: Option<Fault>,
}

impl S3Sink {
    pub(super) fn open(
        options: &Options,
        now_utc: fn() -> SystemTime,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        if let Some(problem) = problems(options).into_iter().next() {
            return Err(problem);
        }
        let client = Client::open(options, wake).map_err(|error| OpenError {
            key: "bucket".to_owned(),
            value: options.bucket.clone(),
            problem: format!("no thread for the client: {error}"),
        })?;
        Ok(Self {
            client,
            now_utc,
            filling: None,
            uploading: Vec::new(),
            abandoned: Vec::new(),
            answers: Vec::new(),
            ids: 0,
            watch: Watch::new(&options.bucket),
            closing: None,
            options: options.clone(),
        })
    }

    /// A new object, named by the hour in which its first request's time is over: it is stored by then, so nothing comes
    /// into an hour that is over.
    fn group(&self, now: Instant, deadline: Instant) -> Group {
        let options = &self.options;
        let wall = (self.now_utc)();
        let hour = Hour::of(wall + deadline.saturating_duration_since(now));
        let id = layout::random_id();
        let key = object_key(&options.prefix, hour, layout::epoch_s(wall), id, options.compression);
        let encoder = Encoder::new(options.compression, options.part_bytes);
        let upload = Upload::new(key.into(), Kind::Data, options.parts_in_flight_max, fastrand::u64(..));
        Group {
            batches: Vec::new(),
            since: now,
            deadline,
            encoder: Some(encoder.expect("the level was checked at opening")),
            upload,
            content: Content::default(),
            doubt: None,
        }
    }

    fn held(&self) -> usize {
        let filling = self.filling.as_ref().map_or(0, |group| group.batches.len());
        filling + self.uploading.iter().map(|group| group.batches.len()).sum::<usize>()
    }

    /// When the object that is being filled has waited long enough.
    fn due(&self) -> Option<Instant> {
        let group = self.filling.as_ref()?;
        let patience = group.deadline.checked_sub(LEAD).unwrap_or(group.since);
        Some((group.since + self.options.object_linger).min(patience))
    }

    fn close_when_due(&mut self, now: Instant) {
        let full = self.filling.as_ref().is_some_and(|group| {
            let bytes = group.encoder.as_ref().map_or(0, Encoder::bytes);
            bytes >= self.options.object_bytes_max
        });
        // Half of what may be held: the next object is filled while this one is stored.
        let crowded = self
            .filling
            .as_ref()
            .is_some_and(|group| group.batches.len() >= (self.options.batches_in_flight_max / 2).max(1));
        let due = self.due().is_some_and(|due| now >= due);
        if (full || crowded || due || self.closing.is_some())
            && let Some(mut group) = self.filling.take()
        {
            let encoder = group.encoder.take().expect("an object that is being filled has an encoder");
            let (last, content) = encoder.finish();
            group.content = content;
            group.upload.seal(last, content);
            self.uploading.push(group);
        }
    }

    fn take_answers(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        self.client.take(&mut self.answers);
        for answer in std::mem::take(&mut self.answers) {
            self.abandoned.iter_mut().for_each(|upload| {
                let _ = upload.answer(&answer, now);
            });
            let groups = self.uploading.iter_mut().chain(self.filling.as_mut());
            let answered = groups
                .enumerate()
                .find_map(|(place, group)| group.upload.answer(&answer, now).map(|result| (place, result)));
            match answered {
                Some((_, Ok(()))) => self.watch.worked(),
                Some((place, Err(failure))) => self.call_failed(place, &answer, &failure, now, settled),
                None => {}
            }
        }
    }

    fn call_failed(
        &mut self,
        place: usize,
        answer: &Answer,
        failure: &Failure,
        now: Instant,
        settled: &mut Vec<Settled>,
    ) {
        let fault = self.watch.failed(answer.name, failure, now);
        let filling = place == self.uploading.len();
        let group = if filling { self.filling.as_mut() } else { self.uploading.get_mut(place) };
        let Some(group) = group else { return };
        // Only these two make anything visible.
        let visible = matches!(answer.name, "PutObject" | "CompleteMultipartUpload");
        if visible && fault.fate == Fate::Unknown {
            group.doubt = Some(fault);
            return;
        }
        if group.doubt.is_none() && !super::fault::is_gone(failure) {
            let group = if filling { self.filling.take() } else { Some(self.uploading.swap_remove(place)) };
            let fate = Fate::NotStored;
            if let Some(group) = group {
                self.give_back(group, Fault { fate, ..fault }, settled);
            }
        }
    }

    /// Settles a group whose object is not stored, as far as anybody knows.
    fn give_back(&mut self, group: Group, fault: Fault, settled: &mut Vec<Settled>) {
        let Group { batches, mut upload, .. } = group;
        settled.extend(
            batches
                .into_iter()
                .map(|submission| Settled { batch: submission.batch, delivery: Delivery::None(fault) }),
        );
        upload.withdraw();
        self.abandoned.push(upload);
    }

    fn decide(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        let mut place = 0;
        while place < self.uploading.len() {
            let group = &self.uploading[place];
            match group.upload.outcome() {
                Outcome::Stored => {
                    let group = self.uploading.swap_remove(place);
                    self.watch.stored(&group.content);
                    settled.extend(
                        group
                            .batches
                            .into_iter()
                            .map(|submission| Settled { batch: submission.batch, delivery: Delivery::All }),
                    );
                }
                Outcome::Pending => {
                    let closing = self.closing.is_some_and(|at| now >= at);
                    let late = now + LEAD >= group.deadline;
                    if !closing && !late {
                        place += 1;
                        continue;
                    }
                    let fault = out_of_time(group, closing);
                    let group = self.uploading.swap_remove(place);
                    self.give_back(group, fault, settled);
                }
                // The lane's next attempt makes another object.
                Outcome::Gone | Outcome::Withdrawn | Outcome::Unknown => {
                    let kind = FaultKind::StorageFailed;
                    let fault = Fault::new(kind, Whose::Sink, Retry::Yes, Fate::Unknown);
                    let group = self.uploading.swap_remove(place);
                    self.give_back(group, fault, settled);
                }
            }
        }
    }

    fn turn(&mut self, now: Instant) {
        let client = &self.client;
        let groups = self.uploading.iter_mut().chain(self.filling.as_mut()).map(|group| &mut group.upload);
        for upload in groups.chain(&mut self.abandoned) {
            upload.turn(now, &mut self.ids, &mut |work| client.start(work));
        }
        self.abandoned.retain(|upload| upload.outcome() == Outcome::Pending);
        // An outage makes many of them; parts that nobody removes are a lifecycle rule's to remove.
        let surplus = self.abandoned.len().saturating_sub(self.options.batches_in_flight_max);
        self.abandoned.drain(..surplus);
    }
}

fn out_of_time(group: &Group, closing: bool) -> Fault {
    let sent = group.doubt.is_some() || group.upload.is_visible_soon();
    let fate = if sent { Fate::Unknown } else { Fate::NotStored };
    let kind = if closing { FaultKind::Closing } else { FaultKind::TimedOut };
    Fault::new(kind, Whose::Sink, Retry::Client, fate)
}

impl Sink for S3Sink {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            record_bytes_max: RECORD_BYTES_MAX,
            batches_in_flight_max: self.options.batches_in_flight_max,
        }
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        let mut group = self.filling.take().unwrap_or_else(|| self.group(now, submission.deadline));
        group.deadline = group.deadline.min(submission.deadline);
        let encoder = group.encoder.as_mut().expect("an object that is being filled has an encoder");
        encoder.add(&submission.batch, &submission.records);
        if group.upload.has_room()
            && let Some(piece) = encoder.piece()
        {
            group.upload.push(piece);
        }
        group.batches.push(submission);
        self.filling = Some(group);
    }

    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        self.take_answers(now, settled);
        self.close_when_due(now);
        self.turn(now);
        self.decide(now, settled);
    }

    fn next_poll(&self) -> Option<Instant> {
        let groups = self.uploading.iter();
        let uploads = groups.flat_map(|group| {
            let end = group.deadline.checked_sub(LEAD).unwrap_or(group.since);
            group.upload.next_turn().into_iter().chain([self.closing.map_or(end, |at| at.min(end))])
        });
        let abandoned = self.abandoned.iter().filter_map(Upload::next_turn);
        uploads.chain(abandoned).chain(self.due()).min()
    }

    fn health(&self) -> Health {
        self.watch.health()
    }

    fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        self.watch.publish(publish);
        #[allow(clippy::cast_precision_loss, reason = "a few")]
        let mut level = |name, help, value: usize| {
            publish(Gauge { name, help, value: value as f64, counter: false });
        };
        level("s3_objects_in_flight", "Objects on their way.", self.uploading.len());
        level("s3_batches_held", "Batches that wait for their objects.", self.held());
    }

    fn close(&mut self, _now: Instant, deadline: Instant) {
        self.closing = Some(deadline);
    }

    fn is_idle(&self) -> bool {
        self.filling.is_none() && self.uploading.is_empty()
    }
}
