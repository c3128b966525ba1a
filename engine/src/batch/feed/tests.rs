//! The feed's rules one by one, and a random walk that conserves batches and waiters.

use millrun_sinks::Delivery;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::NotStored);

struct Text<'a>(&'a [u8]);

impl Encode for Text<'_> {
    fn len_max(&self) -> usize {
        self.0.len() * 6
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn encode(&self, free: &mut [u8]) -> Option<(usize, usize)> {
        free.get_mut(..self.0.len())?.copy_from_slice(self.0);
        Some((0, self.0.len()))
    }
}

fn limits() -> FeedLimits {
    FeedLimits {
        shard: 2,
        arena_bytes: 64,
        records_max: 4,
        count: 3,
        large_count: 1,
        record_bytes_max: 100,
        linger: MS(5),
        deadline: MS(1000),
        gathers: true,
    }
}

struct Rig {
    feed: Feed<u32>,
    now: Instant,
    sealed: Vec<(Sealed, SealReason)>,
    resolved: Vec<(u32, Result<(), Fault>)>,
}

impl Rig {
    fn new(limits: FeedLimits) -> Self {
        let now = Instant::now();
        Self { feed: Feed::new(limits, now), now, sealed: vec![], resolved: vec![] }
    }

    fn append(&mut self, bytes: usize, waiter: u32) -> Result<usize, Refusal> {
        let sealed = &mut self.sealed;
        let text = vec![b'x'; bytes];
        self.feed
            .append(&Text(&text), Some(waiter), self.now, &mut |batch, reason| sealed.push((batch, reason)))
    }

    fn seal_due(&mut self) {
        self.seal_due_when(false);
    }

    fn seal_due_when(&mut self, all_wait: bool) {
        let sealed = &mut self.sealed;
        self.feed.seal_due(self.now, all_wait, &mut |batch, reason| sealed.push((batch, reason)));
    }

    fn give_back(&mut self, delivery: Delivery) -> Homecoming {
        let (Sealed { batch, .. }, _) = self.sealed.remove(0);
        let resolved = &mut self.resolved;
        let returned = Returned { lane: 0, batch, delivery };
        self.feed.returned(returned, &mut |waiter, outcome| resolved.push((waiter, outcome)))
    }

    fn expire(&mut self) -> usize {
        let resolved = &mut self.resolved;
        self.feed.expire(self.now, &mut |waiter, outcome| resolved.push((waiter, outcome)))
    }

    fn reasons(&self) -> Vec<SealReason> {
        self.sealed.iter().map(|(_, reason)| *reason).collect()
    }
}

#[test]
fn an_idle_lane_gets_its_batch_at_once_and_a_busy_one_after_the_linger() {
    let mut rig = Rig::new(limits());
    rig.append(10, 1).unwrap();
    assert_eq!(rig.feed.next_seal(), Some(rig.now));
    rig.seal_due();
    assert_eq!(rig.reasons(), [SealReason::Idle]);
    rig.append(10, 2).unwrap();
    rig.seal_due();
    assert_eq!(rig.sealed.len(), 1, "the lane is busy");
    assert_eq!(rig.feed.next_seal(), Some(rig.now + MS(5)));
    rig.now += MS(5);
    rig.seal_due();
    assert_eq!(rig.reasons(), [SealReason::Idle, SealReason::Age]);
    assert_eq!(rig.feed.next_seal(), None);
}

#[test]
fn a_busy_feed_gathers_for_its_linger_unless_everybody_waits() {
    let mut rig = Rig::new(FeedLimits { records_max: 1000, arena_bytes: 10_000, ..limits() });
    for waiter in 0..u32::try_from(crate::limits::BUSY_RECORDS).unwrap() {
        rig.append(3, waiter).unwrap();
    }
    rig.seal_due();
    assert!(rig.sealed.is_empty(), "more is coming");
    assert_eq!(rig.feed.next_seal(), Some(rig.now + MS(5)));
    rig.seal_due_when(true);
    assert_eq!(rig.reasons(), [SealReason::Idle], "nothing more can come");
    rig.give_back(Delivery::All);
    rig.append(3, 100).unwrap();
    rig.seal_due();
    assert!(rig.sealed.is_empty());
    rig.now += MS(5);
    rig.seal_due();
    assert_eq!(rig.reasons(), [SealReason::Age]);
    rig.give_back(Delivery::All);
    rig.now += MS(100);
    rig.append(3, 101).unwrap();
    rig.seal_due();
    assert_eq!(rig.reasons(), [SealReason::Idle], "it is quiet again");
}

#[test]
fn count_and_bytes_seal() {
    let mut rig = Rig::new(limits());
    for waiter in 0..4 {
        rig.append(3, waiter).unwrap();
    }
    assert_eq!(rig.reasons(), [SealReason::Count]);
    rig.append(40, 4).unwrap();
    rig.append(40, 5).unwrap();
    assert_eq!(rig.reasons(), [SealReason::Count, SealReason::Bytes]);
    assert_eq!(rig.sealed[1].0.batch.len(), 1);
}

#[test]
fn a_large_record_travels_alone_and_a_larger_one_is_refused_before_anything_is_taken() {
    let mut rig = Rig::new(limits());
    rig.append(10, 1).unwrap();
    rig.append(100, 2).unwrap();
    assert_eq!(rig.reasons(), [SealReason::Large]);
    assert_eq!(rig.append(100, 3), Err(Refusal::Overloaded), "the only large arena is on its way");
    assert_eq!(rig.append(101, 4), Err(Refusal::RecordTooLarge));
    assert!(rig.feed.has_open(), "the open batch is not disturbed");
    rig.give_back(Delivery::All);
    assert_eq!(rig.resolved, [(2, Ok(()))]);
    rig.append(100, 5).unwrap();
}

#[test]
fn a_record_of_exactly_the_arena_fits_it_and_one_byte_more_is_large() {
    let mut rig = Rig::new(limits());
    rig.append(63, 1).unwrap();
    rig.append(64, 2).unwrap();
    assert_eq!(rig.reasons(), [SealReason::Large]);
}

#[test]
fn no_free_batch_means_overloaded_and_a_returned_one_ends_it() {
    let mut rig = Rig::new(limits());
    for waiter in 0..12 {
        rig.append(3, waiter).unwrap();
    }
    assert_eq!(rig.append(3, 12), Err(Refusal::Overloaded));
    assert_eq!((rig.feed.free(), rig.feed.in_flight()), (0, 3));
    rig.give_back(Delivery::Some(vec![(1, LATE)]));
    assert_eq!(rig.resolved, [(0, Ok(())), (1, Err(LATE)), (2, Ok(())), (3, Ok(()))]);
    rig.append(3, 12).unwrap();
}

#[test]
fn a_late_batch_is_answered_at_its_deadline_and_counted_when_it_comes_after_all() {
    let mut rig = Rig::new(limits());
    rig.append(3, 1).unwrap();
    rig.append(3, 2).unwrap();
    rig.seal_due();
    rig.now += MS(999);
    assert_eq!(rig.expire(), 0);
    rig.now += MS(1);
    assert_eq!(rig.expire(), 2);
    assert_eq!(rig.resolved, [(1, Err(DEADLINE_PASSED)), (2, Err(DEADLINE_PASSED))]);
    assert_eq!(rig.feed.in_flight(), 1, "the batch is still in the lane");
    assert_eq!(
        rig.give_back(Delivery::Some(vec![(0, LATE)])),
        Homecoming { late_deliveries: 1, lost_after_answer: 0 }
    );
    assert_eq!(rig.resolved.len(), 2, "nobody is answered twice");
    assert_eq!(rig.feed.free(), 3);
}

#[test]
fn records_that_were_answered_already_keep_their_batch_going_and_are_missed_when_it_fails() {
    let mut rig = Rig::new(limits());
    rig.append(3, 1).unwrap();
    let sealed = &mut rig.sealed;
    let mut push = |batch, reason| sealed.push((batch, reason));
    rig.feed.append(&Text(b"abc"), None, rig.now, &mut push).unwrap();
    rig.feed.append(&Text(b"def"), None, rig.now, &mut push).unwrap();
    rig.feed.seal(rig.now, SealReason::Drain, &mut push);
    assert!(rig.sealed[0].0.patient, "two of its records have nobody left who would send them again");
    rig.now += MS(1000);
    assert_eq!(rig.expire(), 1, "the one who waits is answered in time");
    assert_eq!(rig.expire(), 0);
    let homecoming = rig.give_back(Delivery::Some(vec![(1, LATE)]));
    assert_eq!(homecoming, Homecoming { late_deliveries: 1, lost_after_answer: 1 });
}

#[test]
fn the_deadline_counts_from_the_opening() {
    let mut rig = Rig::new(limits());
    rig.append(3, 1).unwrap();
    rig.seal_due();
    rig.append(3, 2).unwrap();
    let opened = rig.now;
    rig.now += MS(5);
    rig.seal_due();
    assert_eq!(rig.sealed[1].0.deadline, opened + MS(1000));
}

#[test]
fn a_random_walk_answers_every_waiter_exactly_once_and_keeps_every_batch() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(limits());
        let (mut taken, mut next) = (vec![], 0);
        for _ in 0..500 {
            match random.u32(0..10) {
                0..=4 => {
                    next += 1;
                    if rig.append(random.usize(0..110), next).is_ok() {
                        taken.push(next);
                    }
                }
                5..=6 => rig.seal_due(),
                7 => {
                    rig.expire();
                }
                8 => rig.now += MS(random.u64(0..300)),
                _ if !rig.sealed.is_empty() => {
                    let delivery = if random.bool() { Delivery::All } else { Delivery::None(LATE) };
                    rig.give_back(delivery);
                }
                _ => {}
            }
            let open = usize::from(rig.feed.has_open());
            let large = rig.feed.free_large.len();
            assert_eq!(rig.feed.free() + large + open + rig.feed.in_flight(), 4, "seed {seed}");
        }
        rig.feed.seal(rig.now, SealReason::Drain, &mut |batch, reason| rig.sealed.push((batch, reason)));
        while !rig.sealed.is_empty() {
            rig.give_back(Delivery::All);
        }
        let mut answered: Vec<_> = rig.resolved.iter().map(|(waiter, _)| *waiter).collect();
        answered.sort_unstable();
        assert_eq!(answered, taken, "seed {seed}");
    }
}
