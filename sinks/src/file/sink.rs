//! The sink: queue, group commit, rotation, and what is still to be mended.
//!
//! `poll` is where everything happens, on the lane's thread. It takes these steps, in this order:
//!
//! 1. complete the current file if its age or hour is over;
//! 2. append everything queued, fsync once, settle everything (one group);
//! 3. complete the current file if it is big enough, or the sink is closing;
//! 4. try again what failed earlier and is not a record's fate: completing a file, recovering a dead one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::disk::{Disk, OsDisk};
use super::encoder::Encoder;
use super::layout::{Hour, Names};
use super::writer::{Directories, Finished, OpenFile};
use super::{Options, recovery};
use crate::{
    Capabilities, Delivery, Fate, Fault, FaultKind, Gauge, Health, OpenError, Retry, Settled, Sink,
    Submission, Wake, Whose,
};

/// More than a lane keeps in flight, so that one fsync serves all of them.
const BATCHES_IN_FLIGHT_MAX: usize = 64;
/// Files kept open (and locked) because they could not be completed; further ones are left to the next start.
const UNFINISHED_MAX: usize = 16;
/// Pause between two tries to complete such a file.
const MEND_PAUSE: Duration = Duration::from_secs(15);
/// The same while the sink is closing.
const MEND_PAUSE_CLOSING: Duration = Duration::from_millis(200);

const CLOSING: Fault = Fault::new(FaultKind::Closing, Whose::Engine, Retry::Client, Fate::NotStored);

/// What happened to the storage, for a delivery.
pub(super) fn fault_of(error: &io::Error, fate: Fate) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::StorageFull,
        _ => FaultKind::StorageFailed,
    };
    Fault::new(kind, Whose::Operator, Retry::Yes, fate)
}

/// Figures for the metrics; all but the first two only grow.
#[derive(Debug, Default)]
struct Figures {
    completed: u64,
    recovered: u64,
    corrupt: u64,
    bytes: u64,
    groups: u64,
    fsyncs: u64,
    faults: u64,
}

/// A sink that writes local files. Made by [`super::open`].
///
/// Dropped without [`Sink::close`] it leaves its file open, as a crash would: the next start recovers it.
pub struct FileSink<D: Disk = OsDisk> {
    disk: D,
    clock: Box<dyn Fn() -> SystemTime + Send>,
    wake: Wake,
    root: PathBuf,
    rotate_bytes: u64,
    rotate_age: Duration,
    record_bytes_max: usize,
    names: Names,
    directories: Directories,
    encoder: Encoder,
    queue: Vec<Submission>,
    /// When the first of the queue was submitted: from then on a poll is due.
    queued_at: Option<Instant>,
    current: Option<OpenFile<D::File>>,
    /// Files that take no more records and could not be completed yet.
    unfinished: Vec<OpenFile<D::File>>,
    recovery_wanted: bool,
    mend_at: Option<Instant>,
    /// Set by `close`: its deadline.
    closing: Option<Instant>,
    /// `close` was called and not polled since.
    close_due: Option<Instant>,
    health: Health,
    figures: Figures,
}

impl<D: Disk> std::fmt::Debug for FileSink<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink")
            .field("dir", &self.root)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> FileSink<D> {
    pub(super) fn new(
        mut disk: D,
        options: &Options,
        clock: Box<dyn Fn() -> SystemTime + Send>,
        random: u32,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        if let Err(error) = disk.list(&options.dir, &mut |_, _| {})
            && error.kind() == io::ErrorKind::NotADirectory
        {
            return Err(OpenError {
                key: "dir".to_owned(),
                value: options.dir.display().to_string(),
                problem: "this, or something above it, is not a directory; name one, or a path that is free"
                    .to_owned(),
            });
        }
        let mut sink = Self {
            disk,
            clock,
            wake,
            root: options.dir.clone(),
            rotate_bytes: options.rotate_bytes,
            rotate_age: options.rotate_age,
            record_bytes_max: options.record_bytes_max,
            names: Names::new(std::process::id(), random, options.compression),
            directories: Directories::new(options.dir.clone()),
            encoder: Encoder::new(options.compression),
            queue: Vec::with_capacity(BATCHES_IN_FLIGHT_MAX),
            queued_at: None,
            current: None,
            unfinished: Vec::new(),
            recovery_wanted: false,
            mend_at: None,
            closing: None,
            close_due: None,
            health: Health::Unknown,
            figures: Figures::default(),
        };
        sink.recover();
        Ok(sink)
    }

    /// Recovers what dead writers left; a problem is tried again later.
    fn recover(&mut self) {
        let report = recovery::recover(&mut self.disk, &self.root);
        self.figures.recovered += report.completed;
        self.figures.corrupt += report.corrupt;
        let wanted_before = std::mem::replace(&mut self.recovery_wanted, report.problem.is_some());
        if let Some((path, error)) = report.problem {
            // No outage: what is written now is written to a file of its own.
            self.figures.faults += 1;
            if !wanted_before {
                tracing::error!(path = %path.display(), %error, "an old file can't be recovered; it is tried again");
            }
        }
    }

    fn down(&mut self, path: &Path, error: &io::Error) {
        self.figures.faults += 1;
        if !matches!(self.health, Health::Down(_)) {
            tracing::error!(path = %path.display(), %error, "the file sink can't store");
        }
        self.health = Health::Down(format!("{}: {error}", path.display()));
    }

    fn up(&mut self) {
        if matches!(self.health, Health::Down(_)) {
            tracing::info!(dir = %self.root.display(), "the file sink stores again");
        }
        // Assigned only when it changes: the text of an outage is freed here, nothing otherwise.
        if self.health != Health::Up {
            self.health = Health::Up;
        }
    }

    /// Makes everything queued durable, all or nothing.
    fn commit(&mut self, now: Instant) -> Result<(), Fault> {
        if self.queue.iter().all(Submission::is_empty) {
            return Ok(());
        }
        let mut file = self.take_current(now)?;
        let before = file.good_bytes;
        if let Err(error) = self.encoder.append(&mut self.disk, &mut file, &self.queue) {
            // Nothing of the group was ever claimed to be on disk: once it is cut away durably, it is certain
            // that none of it is stored.
            let cut = file.cut(&mut self.disk);
            let fate = if cut.is_ok() { Fate::NotStored } else { Fate::Unknown };
            return Err(self.give_up(file, &error, fate));
        }
        self.figures.fsyncs += 1;
        if let Err(error) = file.commit(&mut self.disk) {
            // The disk may have any part of it, whatever later calls say.
            return Err(self.give_up(file, &error, Fate::Unknown));
        }
        self.figures.groups += 1;
        self.figures.bytes += file.good_bytes - before;
        self.current = Some(file);
        self.up();
        Ok(())
    }

    /// The current file, or a new one.
    fn take_current(&mut self, now: Instant) -> Result<OpenFile<D::File>, Fault> {
        if let Some(file) = self.current.take() {
            return Ok(file);
        }
        let wall = (self.clock)();
        let place = self.names.next(&self.root, wall);
        let path = place.open.clone();
        let complete_at = now + self.rotate_age.min(Hour::remaining(wall));
        OpenFile::create(&mut self.disk, &mut self.directories, place, Hour::of(wall), complete_at).map_err(
            |error| {
                self.down(&path, &error);
                fault_of(&error, Fate::NotStored)
            },
        )
    }

    /// A group failed: its file takes no further one, and is completed with what is good in it.
    fn give_up(&mut self, file: OpenFile<D::File>, error: &io::Error, fate: Fate) -> Fault {
        self.down(&file.place.open, error);
        self.finish(file);
        fault_of(error, fate)
    }

    /// Completes `file`, or keeps it to try again.
    fn finish(&mut self, mut file: OpenFile<D::File>) {
        match file.finish(&mut self.disk) {
            Ok(Finished::Complete) => self.figures.completed += 1,
            Ok(Finished::Removed) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (path, bytes) = (&file.place.open, file.good_bytes);
                tracing::error!(path = %path.display(), bytes, "someone removed a file that was being written");
            }
            Err(error) => {
                // No outage either: its records are durable where they are.
                self.figures.faults += 1;
                if self.unfinished.is_empty() {
                    tracing::error!(path = %file.place.open.display(), %error, "a file can't be completed; it is tried again");
                }
                if self.unfinished.len() < UNFINISHED_MAX {
                    self.unfinished.push(file);
                } else {
                    Self::leave(&file);
                }
            }
        }
    }

    /// Gives up completing `file` in this process. Dropping it frees its lock.
    fn leave(file: &OpenFile<D::File>) {
        tracing::error!(path = %file.place.open.display(), "not completed: the next start recovers it");
    }

    /// Tries again what failed, at most once a pause.
    fn mend(&mut self, now: Instant) {
        if self.unfinished.is_empty() && !self.recovery_wanted {
            self.mend_at = None;
            return;
        }
        if self.mend_at.is_some_and(|due| now >= due) {
            for file in std::mem::take(&mut self.unfinished) {
                self.finish(file);
            }
            if self.recovery_wanted && self.closing.is_none() {
                self.recover();
            }
            self.mend_at = None;
        }
        if let Some(deadline) = self.closing {
            self.recovery_wanted = false;
            if now >= deadline {
                self.unfinished.drain(..).for_each(|file| Self::leave(&file));
            }
        }
        if !self.unfinished.is_empty() || self.recovery_wanted {
            let pause = if self.closing.is_some() { MEND_PAUSE_CLOSING } else { MEND_PAUSE };
            self.mend_at.get_or_insert(now + pause);
        }
    }

    fn settle_queue(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        if self.queue.is_empty() {
            return;
        }
        let result = match self.closing {
            Some(deadline) if now >= deadline => Err(CLOSING),
            _ => self.commit(now),
        };
        self.queued_at = None;
        settled.extend(self.queue.drain(..).map(|submission| Settled {
            delivery: match result {
                Err(fault) if !submission.is_empty() => Delivery::None(fault),
                _ => Delivery::All,
            },
            batch: submission.batch,
        }));
    }

    /// Completes the current file if `due` says so.
    fn complete_if(&mut self, due: impl FnOnce(&OpenFile<D::File>) -> bool) {
        if let Some(file) = self.current.take_if(|file| due(file)) {
            self.finish(file);
        }
    }
}

impl<D: Disk> Sink for FileSink<D> {
    fn capabilities(&self) -> Capabilities {
        Capabilities { record_bytes_max: self.record_bytes_max, batches_in_flight_max: BATCHES_IN_FLIGHT_MAX }
    }

    fn submit(&mut self, submission: Submission, now: Instant) {
        self.queue.push(submission);
        if self.queued_at.is_none() {
            self.queued_at = Some(now);
            self.wake.wake();
        }
    }

    fn poll(&mut self, now: Instant, settled: &mut Vec<Settled>) {
        self.close_due = None;
        if self.current.is_some() {
            let hour = Hour::of((self.clock)());
            self.complete_if(|file| now >= file.complete_at || file.hour != hour);
        }
        self.settle_queue(now, settled);
        let (rotate_bytes, closing) = (self.rotate_bytes, self.closing.is_some());
        self.complete_if(|file| closing || file.good_bytes >= rotate_bytes);
        self.mend(now);
    }

    fn next_poll(&self) -> Option<Instant> {
        let complete_at = self.current.as_ref().map(|file| file.complete_at);
        let leave_at = self.closing.filter(|_| !self.is_idle());
        [self.queued_at, self.close_due, complete_at, self.mend_at, leave_at].into_iter().flatten().min()
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        let figures = &self.figures;
        #[allow(clippy::cast_precision_loss, reason = "a metric is a double; exact up to 2^53")]
        let mut each = |name, help, value: u64, counter| {
            publish(Gauge { name, help, value: value as f64, counter });
        };
        each("files_open", "Files being written.", u64::from(self.current.is_some()), false);
        let unfinished = self.unfinished.len() as u64;
        each("files_unfinished", "Files that could not be completed yet.", unfinished, false);
        each("files_completed_total", "Files that got their final name.", figures.completed, true);
        each("files_recovered_total", "Files of dead writers completed.", figures.recovered, true);
        each("files_corrupt_total", "Files moved aside as unreadable.", figures.corrupt, true);
        each("file_bytes_written_total", "Bytes written and fsynced.", figures.bytes, true);
        each("file_groups_total", "Group commits that succeeded.", figures.groups, true);
        each("file_fsyncs_total", "Group commits that reached their fsync.", figures.fsyncs, true);
        each("file_faults_total", "Operations on files that failed.", figures.faults, true);
    }

    fn close(&mut self, now: Instant, deadline: Instant) {
        self.closing = Some(deadline);
        self.close_due = Some(now);
        self.mend_at = self.mend_at.map(|_| now);
        self.wake.wake();
    }

    fn is_idle(&self) -> bool {
        let complete = self.closing.is_none() || (self.current.is_none() && self.unfinished.is_empty());
        self.queue.is_empty() && complete
    }
}
