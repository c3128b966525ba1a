//! The object that is being made of a journal's batches.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::plan::{Plan, Range};
use super::{COMMIT_MARGIN, Seeds};
use crate::s3::Options;
use crate::s3::call::Kind;
use crate::s3::encode::{Content, Encoder};
use crate::s3::layout::{self, Hour, object_key};
use crate::s3::upload::Upload;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Object {
    /// What has been read into it.
    pub ranges: Vec<Range>,
    pub hour: Hour,
    /// When its first batch was read.
    pub since: Instant,
    pub encoder: Option<Encoder>,
    pub upload: Option<Upload>,
    pub content: Content,
    /// Whether the note tells of it: not before may it be made visible.
    pub planned: bool,
    /// Whether the note tells of its multipart upload.
    pub announced: bool,
    /// What it has to hold, no more and no less: what an earlier process was about to store under this name.
    pub exact: Option<Plan>,
}

impl Object {
    pub(super) fn new(options: &Options, hour: Hour, now: Instant, exact: Option<Plan>) -> Self {
        let encoder = Encoder::new(options.compression, options.part_bytes);
        Self {
            ranges: Vec::new(),
            hour,
            since: now,
            encoder: Some(encoder.expect("the level was checked at opening")),
            upload: None,
            content: Content::default(),
            planned: false,
            announced: false,
            exact,
        }
    }

    /// A batch of `stream` was read: it has this number, and before it was at `from`.
    pub(super) fn took(&mut self, stream: u16, from: u64, sequence: u64) {
        match self.ranges.iter_mut().find(|range| range.stream == stream) {
            Some(range) => range.to = sequence + 1,
            None => self.ranges.push(Range { stream, from, to: sequence + 1 }),
        }
    }

    /// Whether `stream` may be read into it up to this number.
    pub(super) fn takes(&self, stream: u16, sequence: u64) -> bool {
        self.exact
            .as_ref()
            .is_none_or(|plan| plan.ranges.iter().any(|range| range.stream == stream && sequence < range.to))
    }

    /// When it has to be closed, so that it is stored before its hour is over.
    pub(super) fn closes_at(&self) -> SystemTime {
        self.hour.end() - COMMIT_MARGIN
    }

    /// Its upload, which gives it its name.
    pub(super) fn upload(
        &mut self,
        options: &Options,
        writer: uuid::Uuid,
        wall: SystemTime,
        seeds: &mut Seeds,
    ) -> &mut Upload {
        let Self { ranges, hour, exact, upload, .. } = self;
        upload.get_or_insert_with(|| {
            let key: Arc<str> = if let Some(plan) = exact {
                plan.key.as_str().into()
            } else {
                let name: Vec<_> =
                    ranges.iter().map(|range| format!("{}:{}", range.stream, range.from)).collect();
                let (id, epoch) = (layout::id_of(writer, &name.join(" ")), layout::epoch_s(wall));
                object_key(&options.prefix, *hour, epoch, id, options.compression).into()
            };
            Upload::new(key, Kind::Data, options.parts_in_flight_max, seeds.next())
        })
    }

    /// What the note has to say about it.
    pub(super) fn plan(&self) -> Option<Plan> {
        let upload = self.upload.as_ref()?;
        Some(Plan {
            key: upload.key().to_string(),
            hour: self.hour,
            upload: upload.id().map(str::to_owned),
            content: match &self.exact {
                // It may be there since before.
                Some(earlier) if self.encoder.is_some() => earlier.content,
                _ => self.encoder.is_none().then_some(self.content),
            },
            ranges: match &self.exact {
                Some(earlier) if self.encoder.is_some() => earlier.ranges.clone(),
                _ => self.ranges.clone(),
            },
        })
    }
}
