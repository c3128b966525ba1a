//! The shipper with its client.

use std::path::Path;
use std::time::{Instant, SystemTime};

use super::{Calls, Core, Parts, Turn, batch};
use crate::s3::call::{Answer, Work};
use crate::s3::client::Client;
use crate::s3::options::{Options, problems};
use crate::{Gauge, Health, OpenError, Source, Wake};

impl Calls for Client {
    fn start(&self, work: Work) {
        Client::start(self, work);
    }

    fn take(&self, answers: &mut Vec<Answer>) {
        Client::take(self, answers);
    }
}

/// Delivers from a journal into a bucket. Its owner calls [`Shipper::turn`] on a thread of its own, whenever it is due or
/// woken. See [`super`] for what it promises.
#[derive(Debug)]
pub struct Shipper<S: Source> {
    core: Core<S, Client>,
}

/// What a shipper needs to know of its journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalShape<'a> {
    /// Arena of the largest batch in it, in bytes.
    pub batch_bytes_max: usize,
    /// Most records of a batch.
    pub batch_records_max: usize,
    /// Directory for the accounts of hours; made where manifests are asked for.
    pub accounts_dir: &'a Path,
}

impl<S: Source> Shipper<S> {
    /// A shipper that has read nothing yet. Connects in the background: an outage shows in [`Shipper::health`].
    ///
    /// # Errors
    /// [`OpenError`] when an option can't work whatever S3 says, or the accounts can't be opened.
    pub fn open(
        options: &Options,
        source: S,
        journal: JournalShape<'_>,
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
        let parts = Parts {
            options: options.clone(),
            ledger_dir: journal.accounts_dir.to_path_buf(),
            batch: batch(journal.batch_bytes_max, journal.batch_records_max),
            seed: fastrand::u64(..),
        };
        let core = Core::new(source, client, parts, Instant::now()).map_err(|error| OpenError {
            key: "manifest_prefix".to_owned(),
            value: options.manifest_prefix.clone().unwrap_or_default(),
            problem: format!("the hours' accounts in {}: {error}", journal.accounts_dir.display()),
        })?;
        Ok(Self { core })
    }

    /// Makes progress. Blocks for as long as the disk does, never for the network.
    pub fn turn(&mut self, now: Instant, wall: SystemTime) -> Turn {
        self.core.turn(now, wall)
    }

    /// Nothing more is written into the journal: deliver all of it now.
    pub fn finish(&mut self) {
        self.core.finish();
    }

    /// After [`Shipper::finish`]: everything is delivered.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.core.is_done()
    }

    /// What is believed about the bucket and the journal.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.health()
    }

    /// Publishes what was done.
    pub fn gauges(&self, publish: &mut dyn FnMut(Gauge)) {
        self.core.watch().publish(publish);
    }
}
