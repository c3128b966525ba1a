//! Events in the client's queue.

use std::ptr::{self, NonNull};

use rdkafka_sys as rd;

use super::{Observer, lossy};

/// An event, destroyed when dropped.
pub(super) struct Event(pub(super) NonNull<rd::rd_kafka_event_t>);

impl Event {
    /// The next one in the queue, which must be live.
    pub(super) fn take(queue: NonNull<rd::rd_kafka_queue_t>) -> Option<Self> {
        // SAFETY: the caller's queue is live. A timeout of 0 does not wait.
        NonNull::new(unsafe { rd::rd_kafka_queue_poll(queue.as_ptr(), 0) }).map(Self)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: taken once, destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// Hands a log event to the observer.
pub(super) fn log_line(event: &Event, observer: &mut impl Observer) {
    let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
    // SAFETY: `event` is a live log event, and lends the strings that it writes to our locals.
    unsafe {
        if rd::rd_kafka_event_log(event.0.as_ptr(), &raw mut facility, &raw mut text, &raw mut level) == 0 {
            observer.log(level, &lossy(facility), &lossy(text));
        }
    }
}
