//! What a writer says about each hour: that it writes into it, and what it wrote.
//!
//! ```text
//!   account made ─▶ manifest "complete": false ─▶ objects … ─▶ hour over, nothing undecided ─▶ manifest "complete": true
//! ```
//!
//! Both have one key, and no object becomes visible in an hour before the first is stored. So whoever finds the manifests
//! of an hour finds every writer that put something there, and whether it may put more. A writer that ends in order
//! completes the hour it is in; if it comes back within it, it says so before anything else.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Seeds;
use super::ledger::Ledger;
use crate::aws::Failure;
use crate::s3::Options;
use crate::s3::call::{Answer, Kind, Work};
use crate::s3::encode::Content;
use crate::s3::layout::{Hour, manifest_key};
use crate::s3::upload::{Outcome, Upload};

/// Where time and the shipper are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    /// What the clock says.
    pub current: Hour,
    /// Those that objects may be put into now, the current one included.
    pub begun: [Hour; 3],
    /// Nothing can be put any more into an hour before this one.
    pub over: Hour,
    /// Everything is delivered, and nothing will come.
    pub ending: bool,
}

#[derive(Debug)]
struct Manifest {
    hour: Hour,
    complete: bool,
    upload: Upload,
}

/// The accounts of hours, and the manifest that is on its way.
#[derive(Debug)]
pub(super) struct Declaration {
    pub ledger: Ledger,
    prefix: String,
    /// Hours that this process has announced.
    opened: BTreeSet<Hour>,
    /// Hours that are not over and yet complete, since this process ends.
    completed: BTreeSet<Hour>,
    manifest: Option<Manifest>,
}

impl Declaration {
    pub(super) fn new(ledger: Ledger, prefix: String) -> Self {
        Self { ledger, prefix, opened: BTreeSet::new(), completed: BTreeSet::new(), manifest: None }
    }

    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.manifest.as_ref().and_then(|manifest| manifest.upload.next_turn())
    }

    pub(super) fn answer(&mut self, answer: &Answer, now: Instant) -> Option<Result<(), Failure>> {
        self.manifest.as_mut().and_then(|manifest| manifest.upload.answer(answer, now))
    }

    /// Whether objects may become visible in this hour.
    pub(super) fn is_open(&self, hour: Hour) -> bool {
        self.opened.contains(&hour)
    }

    /// After a turn with `ending`: there is nothing left to say.
    pub(super) fn is_settled(&self) -> bool {
        self.manifest.is_none() && self.ledger.hours().all(|hour| self.completed.contains(&hour))
    }

    /// Says what is due. True when a manifest was stored.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        hours: &Hours,
        of: (&Options, uuid::Uuid),
        seeds: &mut Seeds,
        ids: &mut u64,
        start: &mut impl FnMut(Work),
    ) -> bool {
        for hour in hours.begun {
            self.ledger.enter(hour);
        }
        if self.manifest.is_none() {
            self.manifest = self.next(hours, of, seeds);
        }
        let Some(Manifest { hour, complete, upload }) = &mut self.manifest else { return false };
        upload.turn(now, ids, start);
        let (hour, complete) = (*hour, *complete);
        let stored = upload.outcome() == Outcome::Stored;
        if stored {
            self.manifest = None;
            self.said(hour, complete, hours);
        }
        stored
    }

    fn said(&mut self, hour: Hour, complete: bool, hours: &Hours) {
        if !complete {
            self.opened.insert(hour);
        } else if hour < hours.over {
            self.ledger.close(hour);
            self.opened.remove(&hour);
            self.completed.remove(&hour);
        } else {
            self.completed.insert(hour);
        }
    }

    /// First what objects wait for.
    fn next(&mut self, hours: &Hours, of: (&Options, uuid::Uuid), seeds: &mut Seeds) -> Option<Manifest> {
        let opening = hours.begun.into_iter().find(|hour| *hour >= hours.current && !self.is_open(*hour));
        if let Some(hour) = opening {
            return Some(self.make(hour, false, of, seeds).expect("an announcement needs no account"));
        }
        loop {
            let unsaid = |hour: &Hour| !self.completed.contains(hour);
            let due =
                self.ledger.hours().find(|hour| unsaid(hour) && (hours.ending || *hour < hours.over))?;
            match self.make(due, true, of, seeds) {
                Some(manifest) => return Some(manifest),
                // Its account has a hole: what was announced stays as it is.
                None => self.said(due, true, hours),
            }
        }
    }

    fn make(
        &self,
        hour: Hour,
        complete: bool,
        (options, writer): (&Options, uuid::Uuid),
        seeds: &mut Seeds,
    ) -> Option<Manifest> {
        let text = self.ledger.manifest(hour, complete, writer, &options.bucket)?;
        let bytes = text.len() as u64;
        let content = Content { bytes, crc32c: crc32c::crc32c(&text), ..Content::default() };
        let key = manifest_key(&self.prefix, hour, writer);
        let mut upload = Upload::new(key.into(), Kind::Manifest, 1, seeds.next());
        upload.seal(text, content);
        Some(Manifest { hour, complete, upload })
    }
}
