//! One generator thread: the plan's clock on one side, its connections on the other.
//!
//! ```text
//!   pacer ── sleeps until request n is due ──▶ grants it to the connection that has been idle longest
//!                                              none idle? then it waits, and so does the request: its latency counts
//!   connection ── ends a request ──▶ takes the next one that is already due, else joins the idle
//!   sweeper ── every 20 ms ──▶ cuts the connections whose answer takes longer than the timeout
//! ```
//!
//! What waits is only a number (the next request of the plan), so a target that stalls for minutes costs no memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::connection::{self, Slot};
use super::tally::{Tally, Times};
use super::{Live, LoadPlan, Observer, Pace};
use crate::request::{Outcome, RequestId, Shape};
use crate::workload::Workload;

/// How long after the last planned send requests that are still waiting for a connection may leave.
const GRACE: Duration = Duration::from_secs(1);

/// How often timeouts are looked for.
const SWEEP: Duration = Duration::from_millis(20);

/// What a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send the request that was due then (counted from the start).
    Send(Duration),
    /// Nothing is due yet.
    Wait,
    /// The run is over.
    Over,
}

/// The state that the tasks of one thread share.
pub(super) struct Worker<O> {
    pub(super) plan: LoadPlan,
    pub(super) tally: RefCell<Tally>,
    pub(super) slots: Vec<Slot>,
    number: u8,
    start: Instant,
    live: Arc<Live>,
    workload: RefCell<Box<dyn Workload>>,
    observer: RefCell<O>,
    /// The next request of this worker's plan.
    next: Cell<u64>,
    /// The next request's number in its id; counts what was sent.
    next_id: Cell<u64>,
    idle: RefCell<VecDeque<usize>>,
    pacer: Cell<Option<Waker>>,
    open_tasks: Cell<usize>,
}

impl<O: Observer + 'static> Worker<O> {
    pub(super) fn new(
        plan: LoadPlan,
        number: u8,
        connections: usize,
        start: Instant,
        live: Arc<Live>,
        workload: Box<dyn Workload>,
        observer: O,
    ) -> Self {
        Self {
            tally: RefCell::new(Tally::new(workload.kinds().len())),
            slots: (0..connections).map(|_| Slot::default()).collect(),
            plan,
            number,
            start,
            live,
            workload: RefCell::new(workload),
            observer: RefCell::new(observer),
            next: Cell::new(0),
            next_id: Cell::new(0),
            idle: RefCell::new(VecDeque::with_capacity(connections)),
            pacer: Cell::new(None),
            open_tasks: Cell::new(connections),
        }
    }

    /// Runs the whole plan; returns what was counted and the observer.
    pub(super) async fn run(self) -> std::io::Result<(Tally, O)> {
        let worker = Rc::new(self);
        let connections: Vec<_> = (0..worker.slots.len())
            .map(|slot| monoio::spawn(connection::run(Rc::clone(&worker), slot)))
            .collect();
        let sweeper = monoio::spawn(Rc::clone(&worker).sweep());
        if let Pace::Open(_) = worker.plan.pace {
            worker.pace().await?;
        }
        for connection in connections {
            connection.await;
        }
        sweeper.await;
        worker.give_up_the_rest();
        // Every task that had a share has ended.
        let Ok(worker) = Rc::try_unwrap(worker) else {
            return Err(std::io::Error::other("a task outlived the run"));
        };
        Ok((worker.tally.into_inner(), worker.observer.into_inner()))
    }

    /// Time since the start of the run; zero before: connections are made in that time, nothing is sent.
    pub(super) fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// When request `next` of this worker is due: workers take turns, so that their requests interleave evenly.
    fn next_due(&self) -> Option<Duration> {
        let Pace::Open(schedule) = &self.plan.pace else { return None };
        schedule.due(self.next.get() * u64::from(self.plan.threads) + u64::from(self.number))
    }

    /// Whether nothing may be sent any more at `now`.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        let end = match &self.plan.pace {
            Pace::Open(schedule) => schedule.duration() + GRACE,
            Pace::Closed(length) => *length,
        };
        now >= end || self.live.stop.load(Relaxed)
    }

    /// What a free connection does at `now`.
    pub(super) fn turn(&self, now: Duration) -> Turn {
        if self.is_over(now) {
            return Turn::Over;
        }
        if let Pace::Closed(_) = self.plan.pace {
            self.tally.borrow_mut().planned(now);
            return Turn::Send(now);
        }
        while let Some(due) = self.next_due() {
            if due > now || now.is_zero() {
                return Turn::Wait;
            }
            self.next.set(self.next.get() + 1);
            self.tally.borrow_mut().planned(due);
            if now.saturating_sub(due) <= self.plan.timeout {
                return Turn::Send(due);
            }
            // A real client would have given up by now.
            self.give_up(self.plan.timeout, now);
        }
        Turn::Over
    }

    /// Waits until a request is due for this connection; `None` when the run is over.
    pub(super) async fn wait_turn(&self, slot: usize) -> Option<Duration> {
        if let (Pace::Closed(_), true) = (&self.plan.pace, self.now().is_zero()) {
            monoio::time::sleep_until(self.start.into()).await;
        }
        let now = self.now();
        self.slots[slot].free_since.set(now);
        match self.turn(now) {
            Turn::Send(due) => return Some(due),
            Turn::Over => return None,
            Turn::Wait => {}
        }
        self.idle.borrow_mut().push_back(slot);
        if let Some(pacer) = self.pacer.take() {
            pacer.wake();
        }
        let turn = poll_fn(|context| {
            if let Some(turn) = self.slots[slot].granted.take() {
                return Poll::Ready(turn);
            }
            self.slots[slot].waker.replace(Some(context.waker().clone()));
            Poll::Pending
        });
        match turn.await {
            Turn::Send(due) => Some(due),
            Turn::Wait | Turn::Over => None,
        }
    }

    /// Hands every request to a connection at its time.
    async fn pace(&self) -> std::io::Result<()> {
        let alarm = Alarm::new()?;
        while let Some(due) = self.next_due() {
            // In naps, to hear of `stop` in time.
            let nap = due.min(self.now() + Duration::from_millis(100));
            alarm.sleep_until(self.start + nap).await?;
            let now = self.now();
            if self.is_over(now) {
                break;
            }
            if now < due {
                continue;
            }
            if !self.grant(now) {
                self.park().await;
            }
        }
        for slot in self.idle.take() {
            self.slots[slot].grant(Turn::Over);
        }
        Ok(())
    }

    /// Gives what is due to the idle; false when more is due than are idle.
    fn grant(&self, now: Duration) -> bool {
        loop {
            let Some(slot) = self.idle.borrow_mut().pop_front() else { return false };
            match self.turn(now) {
                Turn::Send(due) => self.slots[slot].grant(Turn::Send(due)),
                Turn::Wait => {
                    self.idle.borrow_mut().push_front(slot);
                    return true;
                }
                Turn::Over => {
                    self.slots[slot].grant(Turn::Over);
                    return true;
                }
            }
        }
    }

    /// Until a connection joins the idle, or the sweeper comes round.
    async fn park(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            self.pacer.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Cuts what takes too long, and publishes the p99 of the last full second.
    async fn sweep(self: Rc<Self>) {
        while self.open_tasks.get() > 0 {
            monoio::time::sleep(SWEEP).await;
            let now = self.now();
            for slot in &self.slots {
                slot.cut_if_older_than(self.plan.timeout, now);
            }
            if let Some(last) = usize::try_from(now.as_secs()).ok().and_then(|second| second.checked_sub(1)) {
                self.live.p99_us.store(self.tally.borrow().p99_of(last), Relaxed);
            }
            if let Some(pacer) = self.pacer.take() {
                pacer.wake();
            }
        }
    }

    /// A connection's task has ended.
    pub(super) fn task_ended(&self) {
        self.open_tasks.set(self.open_tasks.get() - 1);
    }

    /// Writes the next request, and tells who listens.
    pub(super) fn write_request(&self, due: Duration, free_since: Duration, wire: &mut Vec<u8>) -> Sent {
        let number = self.next_id.replace(self.next_id.get() + 1);
        let id = RequestId { run: self.plan.run, worker: self.number, number };
        let from = wire.len();
        let shape = self.workload.borrow_mut().next(id, wire);
        self.observer.borrow_mut().sending(id, &shape);
        let at = self.now();
        self.tally.borrow_mut().sending(&shape, wire.len() - from, due, free_since, at);
        Sent { id, shape, due, at }
    }

    /// Counts how a request ended, and tells who listens.
    pub(super) fn ended(&self, request: &Sent, outcome: Outcome) {
        let times = Times { due: request.due, sent: request.at, ended: self.now() };
        self.tally.borrow_mut().ended(&request.shape, outcome, times);
        self.observer.borrow_mut().ended(request.id, &request.shape, outcome);
        let counter = if outcome.acked() { &self.live.succeeded } else { &self.live.failed };
        counter.fetch_add(1, Relaxed);
    }

    fn give_up(&self, waited: Duration, now: Duration) {
        self.tally.borrow_mut().given_up(waited, now);
        self.live.failed.fetch_add(1, Relaxed);
    }

    /// What was due within the run and never left.
    fn give_up_the_rest(&self) {
        if self.live.stop.load(Relaxed) {
            return;
        }
        let now = self.now();
        while let Some(due) = self.next_due() {
            self.next.set(self.next.get() + 1);
            self.tally.borrow_mut().planned(due);
            self.give_up(now.saturating_sub(due).min(self.plan.timeout), now);
        }
    }
}

/// A request that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) id: RequestId,
    pub(super) shape: Shape,
    pub(super) due: Duration,
    /// When it left.
    pub(super) at: Duration,
}
