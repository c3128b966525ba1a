//! Storing the manifest of each hour that is over.

use std::time::Instant;

use super::Seeds;
use super::ledger::Ledger;
use crate::aws::Failure;
use crate::s3::Options;
use crate::s3::call::{Answer, Kind, Work};
use crate::s3::encode::Content;
use crate::s3::layout::{Hour, manifest_key};
use crate::s3::upload::{Outcome, Upload};

/// The accounts of hours, and the manifest that is on its way.
#[derive(Debug)]
pub(super) struct Declaration {
    pub ledger: Ledger,
    prefix: String,
    upload: Option<(Hour, Upload)>,
}

impl Declaration {
    pub(super) fn new(ledger: Ledger, prefix: String) -> Self {
        Self { ledger, prefix, upload: None }
    }

    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.upload.as_ref().and_then(|(_, upload)| upload.next_turn())
    }

    pub(super) fn answer(&mut self, answer: &Answer, now: Instant) -> Option<Result<(), Failure>> {
        self.upload.as_mut().and_then(|(_, upload)| upload.answer(answer, now))
    }

    /// Begins `current`'s account, and declares the hours before `over`. True when a manifest was stored.
    #[allow(clippy::too_many_arguments, reason = "one call of one caller")]
    pub(super) fn turn(
        &mut self,
        now: Instant,
        current: Hour,
        over: Hour,
        options: &Options,
        writer: uuid::Uuid,
        seeds: &mut Seeds,
        ids: &mut u64,
        start: &mut impl FnMut(Work),
    ) -> bool {
        self.ledger.enter(current);
        if self.upload.is_none()
            && let Some(hour) = self.ledger.due(over)
        {
            match self.ledger.manifest(hour, writer, &options.bucket) {
                Some(text) => {
                    let content = Content {
                        bytes: text.len() as u64,
                        crc32c: crc32c::crc32c(&text),
                        ..Content::default()
                    };
                    let key = manifest_key(&self.prefix, hour, writer);
                    let mut upload = Upload::new(key.into(), Kind::Manifest, 1, seeds.next());
                    upload.seal(text, content);
                    self.upload = Some((hour, upload));
                }
                None => self.ledger.close(hour),
            }
        }
        let Some((hour, upload)) = &mut self.upload else { return false };
        upload.turn(now, ids, start);
        let (hour, stored) = (*hour, upload.outcome() == Outcome::Stored);
        if stored {
            self.ledger.close(hour);
            self.upload = None;
        }
        stored
    }
}
