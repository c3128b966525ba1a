//! The thin shell over librdkafka: this module (with its parts) is the only one that names it, and the only one with
//! `unsafe`.
//!
//! # How long librdkafka reads a record's memory
//!
//! Records are produced without copy: librdkafka keeps a pointer into the batch's arena (keys are copied). What
//! happens to that memory, read in librdkafka 2.12:
//!
//! - A request is built, compressed, sent and given up on one thread only, that of the partition's broker. Small
//!   values (`message.copy.max.bytes`) are copied into the request, larger ones are linked into it as a segment, and
//!   compression replaces both by a buffer of its own. The socket call copies (there is no `MSG_ZEROCOPY`; OpenSSL
//!   encrypts into its own records). So the arena is read from the moment of producing until the request is gone.
//! - A request answered, timed out, purged or failed with its connection is first taken off its queue, then its
//!   messages get their reports or go back to the partition's queue (retries build a *new* request), and nothing
//!   looks at the old request's content again: it is only freed, and linked segments have no free function. Half-sent
//!   requests are no exception: their connection is closed in the same step.
//! - Messages in a partition's queue are in no request.
//!
//! Hence: **a message's report is the end of every read of its memory**, also after a timeout or a purge, and
//! waiting for the last report of a batch is all that is needed. That is what [`InFlight`] enforces. What is left is
//! a producer that is dropped with batches in flight: `rd_kafka_destroy` returns only when librdkafka's threads are
//! joined, and [`Producer`] calls it before its `InFlight` is dropped.

mod broker_setting;
pub(super) mod code;
mod configuration;
mod event;
mod metadata;
#[cfg(test)]
mod provoke;
mod sign_in;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as rd;

use self::configuration::new_client;
use self::event::{Event, log_line};
use self::sign_in::SignIn;
use super::config::Property;
use super::fault::{self, Persistence, Report};
use super::in_flight::{InFlight, pack, unpack};
use super::token::TokenSource;
use crate::{Fault, OpenError, Settled, Submission, Wake};

pub(super) use self::code::Code;
pub(super) use self::metadata::{Metadata, Partition};

/// What [`Producer::poll`] tells.
pub(super) trait Observer {
    /// A batch whose last record was reported.
    fn settled(&mut self, settled: Settled);
    /// The brokers confirmed `records` records.
    fn delivered(&mut self, records: usize);
    /// A record failed; may refine the fault by what it knows. `text` is the broker's or librdkafka's reason.
    fn failed(&mut self, fault: Fault, code: Code, text: &str) -> Fault;
    /// Something is wrong with a connection; or, if it is `fatal`, with the producer, which takes and sends nothing
    /// more.
    fn error(&mut self, code: Code, fatal: bool, text: &str);
    /// librdkafka's statistics, JSON.
    fn statistics(&mut self, json: &str);
    /// A line of librdkafka's log. `level` as in syslog(3).
    fn log(&mut self, level: i32, facility: &str, text: &str);
}

/// `RD_KAFKA_PARTITION_UA`, a macro that the binding lacks: the partitioner chooses.
const PARTITION_UNASSIGNED: i32 = -1;

/// A producer for one topic, and the batches that it may still read.
#[derive(Debug)]
pub(super) struct Producer {
    client: NonNull<rd::rd_kafka_t>,
    topic: NonNull<rd::rd_kafka_topic_t>,
    queue: NonNull<rd::rd_kafka_queue_t>,
    /// Leaked box: librdkafka's callback holds it until the client is destroyed.
    wake: NonNull<Wake>,
    /// Where the brokers are shown bearer tokens.
    sign_in: Option<SignIn>,
    /// Prepared messages of the batch that is being produced; kept for its memory.
    messages: Vec<rd::rd_kafka_message_t>,
    closing: bool,
    in_flight: InFlight,
}

// SAFETY: librdkafka's handles may be used from any thread, and the raw messages in `messages` are only memory that
// is kept between calls. `Wake` is Send and Sync.
unsafe impl Send for Producer {}

/// Called by librdkafka's threads when an event enters the empty queue, with the queue's lock held.
unsafe extern "C" fn wake_lane(_client: *mut rd::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: `wake` is the leaked box of the producer, freed after the client was destroyed.
    unsafe { &*wake.cast::<Wake>() }.wake();
}

impl Producer {
    /// Starts librdkafka's threads. Nothing here waits for a broker, or for a token.
    pub(super) fn open(
        properties: &[Property],
        topic: &str,
        batches_in_flight: usize,
        tokens: Option<TokenSource>,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        let topic_name = c_string("topic", topic)?;
        let client = new_client(properties)?;
        // SAFETY: `client` is a live handle, the name a C string; a null configuration means the client's own.
        let topic = unsafe { rd::rd_kafka_topic_new(client.as_ptr(), topic_name.as_ptr(), ptr::null_mut()) };
        let Some(topic) = NonNull::new(topic) else {
            // SAFETY: nothing else holds the handle.
            unsafe { rd::rd_kafka_destroy(client.as_ptr()) };
            let problem = "librdkafka can't make a handle of it".to_owned();
            return Err(OpenError {
                key: "topic".to_owned(),
                value: topic_name.to_string_lossy().into(),
                problem,
            });
        };
        // SAFETY: `client` is a live handle. The main queue exists in every producer.
        let queue = unsafe { rd::rd_kafka_queue_get_main(client.as_ptr()) };
        let queue = NonNull::new(queue).unwrap_or_else(|| unreachable!("every client has a main queue"));
        let wake = NonNull::from(Box::leak(Box::new(wake)));
        // SAFETY: handles are live; `wake` lives until the client is destroyed (see Drop).
        unsafe {
            rd::rd_kafka_set_log_queue(client.as_ptr(), queue.as_ptr());
            rd::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(wake_lane), wake.as_ptr().cast());
            // What was queued before the callback was there has woken nobody.
            wake.as_ref().wake();
        }
        let in_flight = InFlight::new(batches_in_flight);
        let sign_in = None;
        let mut producer =
            Self { client, topic, queue, wake, sign_in, messages: Vec::new(), closing: false, in_flight };
        producer.sign_in = tokens.map(|source| SignIn::start(client, source)).transpose()?;
        Ok(producer)
    }

    /// Batches that wait for reports.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Takes a batch with at least one submitted record. Records that librdkafka refuses are told at once; if it
    /// takes none, so is the batch.
    pub(super) fn submit(&mut self, submission: Submission, observer: &mut impl Observer) {
        let slot = self.in_flight.insert(submission);
        self.prepare(slot);
        let count = c_int::try_from(self.messages.len()).unwrap_or(c_int::MAX);
        // SAFETY: `messages` holds `count` initialised messages. Their payloads point into the arena of the batch in
        // `slot`, which stays there, unmoved (an arena is a box) and unwritten, until each of them is reported: by
        // this call's `err` or by a delivery report. The keys are copied by this call.
        unsafe {
            rd::rd_kafka_produce_batch(
                self.topic.as_ptr(),
                PARTITION_UNASSIGNED,
                0,
                self.messages.as_mut_ptr(),
                count,
            )
        };
        for message in 0..self.messages.len() {
            let message = &raw const self.messages[message];
            // SAFETY: `message` is an element of the array that the call above has filled.
            let (code, opaque) = unsafe { (code_of(message), (*message)._private) };
            if code == code::NO_ERROR {
                continue;
            }
            let (slot, index) = unpack(opaque.addr());
            let fault = observer.failed(fault::of_refusal(code), code, code.text());
            if let Some(settled) = self.in_flight.report(slot, index, Err(fault)) {
                observer.settled(settled);
            }
        }
    }

    /// Fills `messages` from the batch in `slot`.
    fn prepare(&mut self, slot: u32) {
        self.messages.clear();
        let submission = self.in_flight.submission(slot);
        self.messages.extend(submission.indices().map(|index| {
            let record = submission.batch.record(index);
            // No key is not an empty key: only records without one are spread over the partitions.
            let key = if record.key.is_empty() { ptr::null() } else { record.key.as_ptr() };
            rd::rd_kafka_message_t {
                err: rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition: 0,
                payload: record.value.as_ptr().cast_mut().cast(),
                len: record.value.len(),
                key: key.cast_mut().cast(),
                key_len: record.key.len(),
                offset: 0,
                _private: ptr::without_provenance_mut(pack(slot, index)),
            }
        }));
    }

    /// Takes everything out of the event queue. It has to be emptied: librdkafka wakes only when it was empty.
    pub(super) fn poll(&mut self, observer: &mut impl Observer) {
        while let Some(event) = Event::take(self.queue) {
            // SAFETY: `event` is live until the end of this turn, and so are the strings that librdkafka lends from it.
            let kind = unsafe { rd::rd_kafka_event_type(event.0.as_ptr()) };
            match kind {
                rd::RD_KAFKA_EVENT_DR => self.take_reports(&event, observer),
                rd::RD_KAFKA_EVENT_ERROR => {
                    // SAFETY: see above.
                    let (code, fatal, text) = unsafe {
                        let code = Code(unchecked::rd_kafka_event_error(event.0.as_ptr()));
                        let fatal = rd::rd_kafka_event_error_is_fatal(event.0.as_ptr()) != 0;
                        (code, fatal, lossy(rd::rd_kafka_event_error_string(event.0.as_ptr())))
                    };
                    if code == code::LOCAL_AUTHENTICATION
                        && let Some(sign_in) = &self.sign_in
                    {
                        sign_in.refused();
                    }
                    observer.error(code, fatal, &text);
                }
                rd::RD_KAFKA_EVENT_STATS => {
                    // SAFETY: see above.
                    let json = unsafe { lossy(rd::rd_kafka_event_stats(event.0.as_ptr())) };
                    observer.statistics(&json);
                }
                rd::RD_KAFKA_EVENT_LOG => log_line(&event, observer),
                _ => {}
            }
        }
    }

    fn take_reports(&mut self, event: &Event, observer: &mut impl Observer) {
        // Messages of one event went the same way: for a broker's answer, they are those of one request.
        // SAFETY: `event` is a live delivery report event.
        let alone = unsafe { rd::rd_kafka_event_message_count(event.0.as_ptr()) } == 1;
        let mut delivered = 0;
        let mut reports = [ptr::null(); 64];
        loop {
            // SAFETY: `event` is a live delivery report event, `reports` has room for its length.
            let taken = unsafe {
                rd::rd_kafka_event_message_array(event.0.as_ptr(), reports.as_mut_ptr(), reports.len())
            };
            for &message in &reports[..taken] {
                // SAFETY: librdkafka lends `message` until the event is destroyed.
                let (code, persistence, opaque) =
                    unsafe { (code_of(message), persistence_of(message), (*message)._private) };
                let (slot, index) = unpack(opaque.addr());
                let report = Report { code, persistence, alone, closing: self.closing };
                let outcome = fault::of_report(report).map_err(|fault| {
                    // SAFETY: as above; the text is lent as long as the message.
                    let text = unsafe { lossy(rd::rd_kafka_message_produce_errstr(message)) };
                    // Only brokers send a text; librdkafka's own errors have none.
                    observer.failed(fault, code, if text.is_empty() { code.text() } else { &text })
                });
                delivered += usize::from(outcome.is_ok());
                if let Some(settled) = self.in_flight.report(slot, index, outcome) {
                    observer.settled(settled);
                }
            }
            if taken == 0 {
                break;
            }
        }
        if delivered > 0 {
            observer.delivered(delivered);
        }
    }

    /// Gives everything up because the sink closes. The reports follow through [`Producer::poll`]; until then the
    /// batches stay here.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.purge();
    }

    /// Gives everything up: what waits in librdkafka's queues, and what waits for a broker's answer. The reports
    /// follow through [`Producer::poll`]; until then the batches stay here.
    pub(super) fn purge(&mut self) {
        let flags =
            rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT | rd::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: `client` is a live producer.
        unsafe { rd::rd_kafka_purge(self.client.as_ptr(), flags) };
    }

    /// What the brokers say about themselves and the topic. Waits for up to `timeout`.
    pub(super) fn metadata(&self, timeout: Duration) -> Result<Metadata, Code> {
        let mut found = ptr::null();
        let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: handles are live, `found` is written on success.
        let code = unsafe {
            unchecked::rd_kafka_metadata(
                self.client.as_ptr(),
                0,
                self.topic.as_ptr(),
                &raw mut found,
                timeout_ms,
            )
        };
        if code != code::NO_ERROR.0 || found.is_null() {
            return Err(Code(code));
        }
        // SAFETY: `found` is what the call above has made; it is destroyed once and not used afterwards.
        unsafe {
            let metadata = Metadata::copy(&*found);
            rd::rd_kafka_metadata_destroy(found);
            Ok(metadata)
        }
    }
}

impl Drop for Producer {
    /// Waits for librdkafka's threads to end; then, as the fields are dropped, frees batches that are left.
    fn drop(&mut self) {
        self.sign_in = None;
        // SAFETY: each handle is given back once, after the one thread of ours that uses one has ended. Without its callback the queue wakes nobody, and `wake` is freed
        // after the threads that could have called it are gone; so are `in_flight`'s arenas.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
            rd::rd_kafka_topic_destroy(self.topic.as_ptr());
            rd::rd_kafka_destroy(self.client.as_ptr());
            drop(Box::from_raw(self.wake.as_ptr()));
        }
    }
}

/// # Safety
/// `message` is live.
unsafe fn code_of(message: *const rd::rd_kafka_message_t) -> Code {
    // SAFETY: `err` is a 32-bit enumeration in C. It is read as the number that it is: a broker newer than the
    // binding may answer a code that the binding's Rust enumeration does not have.
    Code(unsafe { (&raw const (*message).err).cast::<i32>().read() })
}

/// # Safety
/// `message` is lent by a delivery report event.
unsafe fn persistence_of(message: *const rd::rd_kafka_message_t) -> Persistence {
    use rd::rd_kafka_msg_status_t as Status;
    // SAFETY: the caller's promise. librdkafka has these three values only.
    match unsafe { rd::rd_kafka_message_status(message) } {
        Status::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Persistence::Not,
        Status::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Persistence::Possibly,
        Status::RD_KAFKA_MSG_STATUS_PERSISTED => Persistence::Yes,
    }
}

/// # Safety
/// `text` is null or a C string that lives as long as the result is used.
unsafe fn lossy<'a>(text: *const c_char) -> std::borrow::Cow<'a, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// `text` as a C string; `option` names it in the error.
pub(super) fn c_string(option: &str, text: &str) -> Result<CString, OpenError> {
    CString::new(text).map_err(|_| OpenError {
        key: option.to_owned(),
        value: super::options::MASK.to_owned(),
        problem: "holds a zero byte".to_owned(),
    })
}

/// Functions whose codes the binding declares as a Rust enumeration: a code that it does not know would be
/// undefined behaviour, so they are declared here with the number that C returns.
#[allow(clashing_extern_declarations, reason = "an enumeration in C is an int")]
mod unchecked {
    use super::{c_char, c_int, rd};

    unsafe extern "C" {
        pub fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> i32;
        pub fn rd_kafka_err2str(code: i32) -> *const c_char;
        pub fn rd_kafka_err2name(code: i32) -> *const c_char;
        pub fn rd_kafka_metadata(
            client: *mut rd::rd_kafka_t,
            all_topics: c_int,
            only_topic: *mut rd::rd_kafka_topic_t,
            metadata: *mut *const rd::rd_kafka_metadata,
            timeout_ms: c_int,
        ) -> i32;
    }
}
