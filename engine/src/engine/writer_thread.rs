//! Writes a shard's journal where its driver has no asynchronous files: on epoll. One thread a shard and journal, in
//! blocking calls; what it promises is what [`crate::shard::journal`] promises on a ring.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrun_sinks::{Batch, Delivery};

use crate::handoff::{ReturnRing, Returned};
use crate::journal::disk::OsDisk;
use crate::journal::{AppendError, Room, ShardStream, Writer};
use crate::lane::LanePort;
use crate::observe::Allowance;
use crate::shard::journal::{IN_DOUBT, TRIES, log_failure, no_room};

/// How long a segment that is not there yet is waited for.
const SEGMENT_PATIENCE: Duration = Duration::from_millis(200);

/// A running writer.
#[derive(Debug)]
pub(super) struct WriterThread {
    stop: Arc<AtomicBool>,
    port: Arc<LanePort>,
    thread: std::thread::JoinHandle<()>,
}

impl WriterThread {
    pub(super) fn start(
        (sink, stream): (usize, ShardStream<File>),
        shard: u16,
        port: Arc<LanePort>,
        returns: Arc<ReturnRing>,
        records_max: usize,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, queue) = (stop.clone(), port.clone());
        let thread = std::thread::Builder::new().name(format!("journal-{shard}")).spawn(move || {
            queue.queue.attach(std::thread::current());
            let mut group = Group::new(stream, records_max);
            loop {
                let last = stopped.load(Ordering::Acquire);
                group.waiting.extend(std::iter::from_fn(|| queue.queue.pop()).map(|sealed| sealed.batch));
                if group.waiting.is_empty() {
                    if last {
                        return;
                    }
                    std::thread::park();
                    continue;
                }
                group.commit(&mut |batch, delivery| {
                    #[allow(clippy::cast_possible_truncation, reason = "sinks are few")]
                    returns.push(Returned { lane: sink as u16, batch, delivery });
                });
                returns.ring();
            }
        })?;
        Ok(Self { stop, port, thread })
    }

    /// Its shard has ended.
    pub(super) fn join(self) {
        self.stop.store(true, Ordering::Release);
        self.port.queue.wake();
        if self.thread.join().is_err() {
            tracing::error!("a journal's writer panicked");
        }
    }
}

/// Batches that came together, on their way to the disk. It allocates nothing once it has seen its largest group.
struct Group {
    writer: Writer<OsDisk>,
    stream: ShardStream<File>,
    /// Not written yet, in order.
    waiting: VecDeque<Batch>,
    /// Written and not fsynced, in order, with their numbers.
    written: VecDeque<(u64, Batch)>,
    lines: Allowance,
}

impl Group {
    fn new(stream: ShardStream<File>, records_max: usize) -> Self {
        Self {
            writer: Writer::new(OsDisk, stream.clone(), records_max),
            stream,
            waiting: VecDeque::new(),
            written: VecDeque::new(),
            lines: Allowance::new(1, 5),
        }
    }

    /// Makes everything that waits durable, by one fdatasync a segment; after a failure once more, in another one.
    fn commit(&mut self, settle: &mut impl FnMut(Batch, Delivery)) {
        let mut failed = false;
        for _ in 0..TRIES {
            let segment = self.writer.segment();
            let Err(AppendError::Failed(error)) = self.write_waiting(settle) else { break };
            failed = true;
            if let Some(suppressed) = self.lines.admit(Instant::now()) {
                log_failure(&error, segment, suppressed);
            }
            for (_, batch) in self.written.drain(..).rev() {
                self.waiting.push_front(batch);
            }
        }
        // What still waits has no segment, or failed too often. After a failure nobody knows what a restart will find.
        let fault = if failed { IN_DOUBT } else { no_room(self.stream.feed.room()) };
        self.waiting.drain(..).for_each(|batch| settle(batch, Delivery::None(fault)));
    }

    /// Writes what waits until there is no segment for the next batch, and settles what is durable then.
    fn write_waiting(&mut self, settle: &mut impl FnMut(Batch, Delivery)) -> Result<(), AppendError> {
        let mut end = Ok(());
        while let Some(batch) = self.waiting.pop_front() {
            match append(&mut self.writer, &batch, &self.stream) {
                Ok(sequence) => self.written.push_back((sequence, batch)),
                Err(error) => {
                    self.waiting.push_front(batch);
                    end = Err(error);
                    break;
                }
            }
        }
        if !matches!(end, Err(AppendError::Failed(_)))
            && let Err(error) = self.writer.sync()
        {
            end = Err(error);
        }
        let below = self.writer.durable_below();
        while let Some((_, batch)) = self.written.pop_front_if(|(sequence, _)| *sequence < below) {
            settle(batch, Delivery::All);
        }
        end
    }
}

/// Appends, and waits a moment for a segment that the keeper is about to make.
fn append(
    writer: &mut Writer<OsDisk>,
    batch: &Batch,
    stream: &ShardStream<File>,
) -> Result<u64, AppendError> {
    let until = Instant::now() + SEGMENT_PATIENCE;
    loop {
        match writer.append(batch) {
            Err(AppendError::NoRoom(_))
                if stream.feed.room() == Room::Available && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::{KeeperWake, ReadySegment, Segment, SegmentFeed, StreamMarks};
    use millrun_sinks::{Fate, FaultKind, Origin};

    fn group() -> Group {
        let marks = Arc::new(StreamMarks::default());
        marks.recovered(0, 0);
        let feed = Arc::new(SegmentFeed::new(KeeperWake::default()));
        Group::new(ShardStream { marks, feed }, 4)
    }

    fn offer(feed: &SegmentFeed<File>, number: u64, path: &Path) {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let segment = Segment { id: 7, first_sequence: number << 24, bytes: 8192 };
        let mut ready = ReadySegment { segment, file };
        while let Err(back) = feed.offer(ready) {
            ready = back;
            std::thread::yield_now();
        }
    }

    fn batch(slot: u16) -> Batch {
        let mut batch = Batch::new(Origin { shard: 0, slot }, 100, 4);
        batch
            .append_with(|free| {
                free[..4].copy_from_slice(b"text");
                Some((0, 4))
            })
            .unwrap();
        batch
    }

    /// Commits two batches to segments that are files of these kinds.
    fn commit(paths: &[&Path]) -> (Vec<(u16, Delivery)>, u64) {
        let mut group = group();
        let feed = group.stream.feed.clone();
        let mut settled = Vec::new();
        group.waiting.extend([batch(0), batch(1)]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (number, path) in (0..).zip(paths) {
                    offer(&feed, number, path);
                }
            });
            group.commit(&mut |batch, delivery| settled.push((batch.origin().slot, delivery)));
        });
        assert!(group.waiting.is_empty() && group.written.is_empty(), "nothing is forgotten");
        (settled, group.stream.marks.durable_below())
    }

    /// `/dev/null` takes every write and refuses fdatasync, `/dev/full` refuses writes.
    #[test]
    fn nothing_is_acknowledged_by_a_write_or_fdatasync_that_failed() {
        for device in ["/dev/null", "/dev/full"].map(Path::new) {
            let good = tempfile::NamedTempFile::new().unwrap();
            let stored = vec![(0, Delivery::All), (1, Delivery::All)];
            assert_eq!(commit(&[device, good.path()]), (stored, (1 << 24) + 2));
            // Also without a second segment: a restart may find it in the one that failed.
            for segments in [&[device, device][..], &[device]] {
                let in_doubt = vec![(0, Delivery::None(IN_DOUBT)), (1, Delivery::None(IN_DOUBT))];
                assert_eq!(commit(segments), (in_doubt, 0));
            }
        }
    }

    #[test]
    fn without_a_segment_nothing_is_written_and_clients_are_told_so() {
        let mut group = group();
        group.stream.feed.set_room(Room::LimitReached);
        group.waiting.push_back(batch(0));
        group.commit(&mut |_, delivery| {
            let Delivery::None(fault) = delivery else { panic!("{delivery:?}") };
            assert_eq!((fault.kind, fault.fate), (FaultKind::StorageFull, Fate::NotStored));
        });
    }
}
