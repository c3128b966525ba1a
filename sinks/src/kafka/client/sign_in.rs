//! Keeps a producer supplied with bearer tokens, on a thread of its own: where they come from may block for seconds.
//!
//! ```text
//!  thread kafka-token:  source ─▶ set_token ─▶ wait ─┬─ 80 % of the token's life ─▶ source …
//!                                                    ├─ the brokers refused it ───▶ source … (at most every 5 s)
//!                       no token: set_failure ─▶ wait └─ 0.5 s to 10 s ───────────▶ source …
//! ```
//!
//! librdkafka's own reminder (its refresh callback) is not used: it comes once for each token, at the same 80 %, and
//! not where a token is refused.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka_sys as rd;

use super::super::token::{REFUSED_PAUSE, Renewal, Token, TokenSource};
use super::lossy;
use crate::OpenError;

/// The name beside the token. MSK takes the token's own.
const PRINCIPAL: &std::ffi::CStr = c"millrun";

/// The thread and the way to wake it. Dropped, it waits for the thread, which may be asking for credentials.
#[derive(Debug)]
pub(super) struct SignIn {
    /// `None` once it is to end.
    refused: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A handle of librdkafka for the token's functions, which any thread may call.
struct Client(NonNull<rd::rd_kafka_t>);

// SAFETY: librdkafka's handle may be used from any thread; `SignIn` is dropped, and with it the thread joined, before
// the handle is destroyed.
unsafe impl Send for Client {}

impl SignIn {
    /// Starts to supply `client`, which must outlive what is returned.
    pub(super) fn start(client: NonNull<rd::rd_kafka_t>, source: TokenSource) -> Result<Self, OpenError> {
        let (refused, refusals) = channel();
        let client = Client(client);
        let thread = std::thread::Builder::new()
            .name("kafka-token".to_owned())
            .spawn(move || supply(&client, source, &refusals))
            .map_err(|error| OpenError {
                key: "sasl.mechanism".to_owned(),
                value: "AWS_MSK_IAM".to_owned(),
                problem: format!("there is no thread for its tokens: {error}"),
            })?;
        Ok(Self { refused: Some(refused), thread: Some(thread) })
    }

    /// The brokers refused the token.
    pub(super) fn refused(&self) {
        if let Some(refused) = &self.refused {
            // A thread that is gone has panicked and said so.
            let _ = refused.send(());
        }
    }
}

impl Drop for SignIn {
    fn drop(&mut self) {
        self.refused = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn supply(client: &Client, mut source: TokenSource, refusals: &Receiver<()>) {
    let mut renewal = Renewal::default();
    loop {
        let pause = match source().and_then(|token| client.set(&token).map(|()| token)) {
            Ok(token) => renewal.got(&token),
            Err(text) => {
                client.set_failure(&text);
                renewal.failed()
            }
        };
        if !wait(refusals, pause) {
            return;
        }
    }
}

/// Waits for the end of `pause`, or for a refusal but not less than its pause. False when it is to end.
fn wait(refusals: &Receiver<()>, pause: Duration) -> bool {
    let start = Instant::now();
    let mut until = start + pause;
    loop {
        match refusals.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => until = until.min(start + REFUSED_PAUSE),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

impl Client {
    fn set(&self, token: &Token) -> Result<(), String> {
        let value =
            CString::new(token.value.as_str()).map_err(|_| "the token holds a zero byte".to_owned())?;
        let expires_ms = i64::try_from(token.expires.as_millis()).unwrap_or(i64::MAX);
        let mut text: [c_char; 512] = [0; 512];
        // SAFETY: the handle is live, the strings are C strings that it copies, `text` has the length that is said and
        // ends with a zero.
        unsafe {
            let code = rd::rd_kafka_oauthbearer_set_token(
                self.0.as_ptr(),
                value.as_ptr(),
                expires_ms,
                PRINCIPAL.as_ptr(),
                ptr::null_mut(),
                0,
                text.as_mut_ptr(),
                text.len(),
            );
            match code {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
                _ => Err(lossy(text.as_ptr()).into_owned()),
            }
        }
    }

    /// Tells the sink why there is no token: it comes back as an error event.
    fn set_failure(&self, text: &str) {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the handle is live, the string is a C string that it copies.
        unsafe { rd::rd_kafka_oauthbearer_set_token_failure(self.0.as_ptr(), text.as_ptr()) };
    }
}
