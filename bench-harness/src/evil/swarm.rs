//! All attackers of one attack, on one thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::attack::Attack;
use super::attacker::{Attacker, Shared};
use super::conduct::{Conduct, Tally};
use super::poller::Poller;
use crate::latency::Latencies;
use crate::load::runtime;
use crate::target::Target;

/// How soon the thread hears that the attack is over.
const ATTENTION: Duration = Duration::from_millis(20);

/// The thread's niceness: attackers have machines of their own elsewhere, so where CPU is short they give way to the
/// target and to the well-behaved load.
const NICENESS: i32 = 10;

/// An attack that is going on.
#[derive(Debug)]
pub(super) struct Swarm {
    state: Arc<State>,
    thread: JoinHandle<io::Result<Course>>,
}

/// How the attack went.
#[derive(Debug)]
pub(super) struct Course {
    /// By variant.
    pub(super) conduct: Vec<Conduct>,
    /// CPU time of the attackers' thread as a share of the attack's length.
    pub(super) busy_share: f64,
    /// 99 % of the thread's turns through all that was due took no longer, in µs.
    pub(super) turn_us_p99: u64,
}

#[derive(Debug, Default)]
struct State {
    over: AtomicBool,
    connects: AtomicU64,
}

impl Swarm {
    /// Begins the attack; the thread is pinned to `cpu` if there is one.
    pub(super) fn begin(
        attack: Attack,
        target: Target,
        attackers: usize,
        cpu: Option<usize>,
    ) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new().name(attack.name.to_owned()).spawn(move || {
            if let Some(cpu) = cpu {
                runtime::pin(cpu)?;
            }
            give_way();
            attack_until_over(attack, &target, attackers, &shared)
        })?;
        Ok(Self { state, thread })
    }

    /// Waits until as many connections were made as there are attackers, or the time is over.
    pub(super) fn gather(&self, attackers: usize, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while self.state.connects.load(Relaxed) < attackers as u64
            && Instant::now() < deadline
            && !self.thread.is_finished()
        {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the attack: all its connections are reset.
    pub(super) fn end(self) -> io::Result<Course> {
        self.state.over.store(true, Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the attackers' thread panicked")))
    }
}

fn attack_until_over(attack: Attack, target: &Target, attackers: usize, state: &State) -> io::Result<Course> {
    let mut poller = Poller::new()?;
    let variants = attack.variants.len();
    let mut tallies: Vec<Tally> = (0..variants).map(|_| Tally::default()).collect();
    let mut buffer = vec![0; 16 * 1024];
    let (start, mut events, mut turns) = (Instant::now(), Vec::new(), Latencies::default());
    let mut swarm: Vec<Attacker> =
        (0..attackers).map(|number| Attacker::new(number, variants, start)).collect();
    let mut alarms: BinaryHeap<Reverse<(Instant, usize)>> =
        (0..attackers).map(|number| Reverse((start, number))).collect();
    while !state.over.load(Relaxed) {
        let now = Instant::now();
        let until = alarms.peek().map_or(ATTENTION, |Reverse((at, _))| at.saturating_duration_since(now));
        poller.wait(until.min(ATTENTION), &mut events)?;
        let now = Instant::now();
        let mut shared =
            Shared { attack, target, poller: &poller, tallies: &mut tallies, buffer: &mut buffer };
        for event in events.drain(..) {
            let attacker = &mut swarm[event.number];
            let before = attacker.wake;
            attacker.notified(event, &mut shared, now);
            set_alarm(&mut alarms, before, attacker.wake, event.number);
        }
        // Only those that are due by now: who is due again at once has its turn after the next events.
        while let Some(&Reverse((at, number))) = alarms.peek().filter(|Reverse((at, _))| *at <= now) {
            alarms.pop();
            if swarm[number].wake == Some(at) {
                swarm[number].woken(&mut shared, now);
                set_alarm(&mut alarms, None, swarm[number].wake, number);
            }
        }
        turns.record(now.elapsed());
        state.connects.store(tallies.iter().map(|tally| tally.connects).sum(), Relaxed);
    }
    let now = Instant::now();
    for attacker in &mut swarm {
        attacker.stop(&mut tallies, now);
    }
    let elapsed = now.saturating_duration_since(start).as_secs_f64();
    let conduct = attack.variants.iter().zip(&tallies).map(|(variant, tally)| tally.conduct(variant));
    Ok(Course {
        conduct: conduct.collect(),
        turn_us_p99: turns.at(0.99),
        busy_share: runtime::cpu_time().as_secs_f64() / elapsed.max(1e-9),
    })
}

/// Alarms that no longer hold stay in the heap: they are recognised by their time.
fn set_alarm(
    alarms: &mut BinaryHeap<Reverse<(Instant, usize)>>,
    before: Option<Instant>,
    after: Option<Instant>,
    number: usize,
) {
    if let Some(at) = after.filter(|_| after != before) {
        alarms.push(Reverse((at, number)));
    }
}

fn give_way() {
    // SAFETY: no memory is passed; 0 is this thread on Linux. A host that refuses leaves the thread as it was.
    let _unchanged = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}
