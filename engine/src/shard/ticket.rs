//! Requests that wait for their records: one ticket a request, resolved record by record.
//!
//! A ticket lives until the last of its records is decided, whether or not its request still waits. Within one
//! shard and its thread: no lock, no atomic, and after warm-up no allocation.

use std::task::{Poll, Waker};

use millrun_sinks::{Fate, Fault, Retry};
use slab::Slab;

use crate::http::Refusal;

/// A waiting request, small enough to lie beside each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

#[derive(Debug)]
struct State {
    /// Records that are not decided yet, and one more while the request is still adding records.
    undecided: u32,
    outcome: Result<(), Fault>,
    waker: Option<Waker>,
    abandoned: bool,
}

/// All tickets of one shard.
#[derive(Debug)]
pub struct Tickets {
    states: Slab<State>,
}

impl Tickets {
    /// Room for `expected` tickets without allocating.
    #[must_use]
    pub fn with_capacity(expected: usize) -> Self {
        Self { states: Slab::with_capacity(expected) }
    }

    /// A ticket for a request that is about to add its records. It can't be decided before [`Tickets::seal`].
    ///
    /// # Panics
    /// With more than 2^32 requests waiting: they would not fit into the arenas.
    pub fn open(&mut self) -> Ticket {
        let key = self.states.insert(State { undecided: 1, outcome: Ok(()), waker: None, abandoned: false });
        Ticket(u32::try_from(key).expect("fewer tickets than records in all arenas"))
    }

    /// One more record belongs to this request.
    pub fn add(&mut self, ticket: Ticket) {
        self.states[ticket.0 as usize].undecided += 1;
    }

    /// The request has added all of its records.
    pub fn seal(&mut self, ticket: Ticket) {
        self.decide(ticket, Ok(()));
    }

    /// The request does not wait (any more); its records go their way.
    pub fn abandon(&mut self, ticket: Ticket) {
        let state = &mut self.states[ticket.0 as usize];
        state.abandoned = true;
        state.waker = None;
        if state.undecided == 0 {
            self.states.remove(ticket.0 as usize);
        }
    }

    /// One record of the request is decided.
    pub fn decide(&mut self, ticket: Ticket, outcome: Result<(), Fault>) {
        let state = &mut self.states[ticket.0 as usize];
        state.undecided -= 1;
        state.outcome = worse(state.outcome, outcome);
        if state.undecided == 0 {
            if state.abandoned {
                self.states.remove(ticket.0 as usize);
            } else if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }

    /// The request's outcome once every record is decided; the ticket is gone then.
    pub fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Result<(), Fault>> {
        let state = &mut self.states[ticket.0 as usize];
        if state.undecided == 0 {
            return Poll::Ready(self.states.remove(ticket.0 as usize).outcome);
        }
        if !state.waker.as_ref().is_some_and(|registered| registered.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Requests that wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// True when no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

/// Which of two outcomes of one request is told to the client: the one that asks most of it. A record that may be
/// tried again outweighs one that may not (the client resends the request and loses nothing), and an unknown fate
/// outweighs a known one.
fn worse(one: Result<(), Fault>, other: Result<(), Fault>) -> Result<(), Fault> {
    let rank = |outcome: &Result<(), Fault>| match outcome {
        Ok(()) => 0,
        Err(Fault { retry: Retry::No, .. }) => 1,
        Err(Fault { fate: Fate::NotStored, .. }) => 2,
        Err(Fault { fate: Fate::Unknown, .. }) => 3,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// What a client is told about a failed delivery.
#[must_use]
pub fn refusal_of(fault: Fault) -> Refusal {
    match fault {
        Fault { retry: Retry::No, kind: millrun_sinks::FaultKind::RecordTooLarge, .. } => {
            Refusal::RecordTooLarge
        }
        Fault { retry: Retry::No, .. } => Refusal::RecordRejected,
        Fault { fate: Fate::Unknown, .. } => Refusal::DeliveryUnknown,
        Fault { fate: Fate::NotStored, .. } => Refusal::DeliveryFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrun_sinks::{FaultKind, Whose};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const LARGE: Fault = Fault::new(FaultKind::RecordTooLarge, Whose::Client, Retry::No, Fate::NotStored);
    const DOWN: Fault = Fault::new(FaultKind::Unreachable, Whose::Sink, Retry::Client, Fate::NotStored);
    const LATE: Fault = Fault::new(FaultKind::TimedOut, Whose::Sink, Retry::Client, Fate::Unknown);

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_request_is_answered_when_the_last_of_its_records_is_decided() {
        let (mut tickets, count) = (Tickets::with_capacity(4), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let ticket = tickets.open();
        tickets.add(ticket);
        tickets.decide(ticket, Ok(()));
        assert_eq!(tickets.poll(ticket, &waker), Poll::Pending, "the request is still adding records");
        tickets.add(ticket);
        tickets.seal(ticket);
        tickets.decide(ticket, Err(DOWN));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(tickets.poll(ticket, &waker), Poll::Ready(Err(DOWN)));
        assert!(tickets.is_empty());
    }

    #[test]
    fn an_abandoned_ticket_lives_until_its_records_are_decided_and_wakes_nobody() {
        let (mut tickets, count) = (Tickets::with_capacity(4), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let ticket = tickets.open();
        tickets.add(ticket);
        tickets.seal(ticket);
        assert_eq!(tickets.poll(ticket, &waker), Poll::Pending);
        tickets.abandon(ticket);
        assert_eq!(tickets.len(), 1, "its number must not be given to another request yet");
        tickets.decide(ticket, Ok(()));
        assert!(tickets.is_empty());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_client_is_told_what_asks_most_of_it() {
        let told = |outcomes: &[Result<(), Fault>]| outcomes.iter().copied().fold(Ok(()), worse);
        assert_eq!(told(&[Ok(()), Ok(())]), Ok(()));
        assert_eq!(told(&[Ok(()), Err(LARGE)]), Err(LARGE));
        assert_eq!(told(&[Err(LARGE), Err(DOWN)]), Err(DOWN), "a retry can still store the other record");
        assert_eq!(told(&[Err(LATE), Err(DOWN)]), Err(LATE));
        assert_eq!(refusal_of(LARGE), Refusal::RecordTooLarge);
        assert_eq!(refusal_of(DOWN), Refusal::DeliveryFailed);
        assert_eq!(refusal_of(LATE), Refusal::DeliveryUnknown);
        assert_eq!(refusal_of(Fault { kind: FaultKind::RecordRejected, ..LARGE }), Refusal::RecordRejected);
    }
}
