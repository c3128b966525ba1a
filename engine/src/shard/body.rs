//! Reading a body into the connection's buffer, right behind its head.
//!
//! ```text
//!   Content-Length    │ head │ body ············│ next request │
//!   chunked           │ head │ payload │ raw bytes not decoded yet │      decoded in place, gap closed
//! ```

use std::ops::Range;

use monoio::io::{AsyncReadRent, AsyncWriteRent};

use super::connection::{Connection, End, Stop};
use super::watch::{Cut, Phase};
use crate::http::{CONTINUE, Dechunker, Framing, Head, Refusal};
use crate::limits;
use crate::observe::CloseReason;

/// Where a body lies in the buffer, and where the next request begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) payload: Range<usize>,
    pub(super) next: usize,
}

impl<S: AsyncReadRent + AsyncWriteRent> Connection<S> {
    /// The body if all of it has been read already, without waiting for anything; for requests that are answered
    /// without looking at their bodies.
    pub(super) fn body_at_hand(&self, head: &Head, head_len: usize) -> Option<Body> {
        let Framing::Length(length) = head.framing else { return None };
        let next = head_len.checked_add(usize::try_from(length).ok()?)?;
        (next <= self.buffer.filled().len()).then_some(Body { payload: head_len..next, next })
    }

    /// Reads the body of `head`.
    pub(super) async fn read_body(&mut self, head: &Head, head_len: usize) -> Result<Body, Stop> {
        if let Some(body) = self.body_at_hand(head, head_len) {
            self.check_length(head)?;
            return Ok(body);
        }
        self.check_length(head)?;
        if head.expect_continue && self.buffer.filled().len() == head_len {
            let mut interim = self.shard.answer_buffer();
            interim.extend_from_slice(CONTINUE);
            self.write(interim).await.map_err(Stop::End)?;
        }
        let tick = self.shard.tick();
        let begun = self.buffer.filled().len() - head_len;
        self.watch.enter_body(tick, tick + self.shard.timeouts.body, begun as u64);
        match head.framing {
            Framing::Length(length) => {
                let length = usize::try_from(length).map_err(|_| Refusal::BodyTooLarge)?;
                self.read_length(head_len, length).await
            }
            Framing::Chunked => self.read_chunked(head_len).await,
        }
    }

    fn check_length(&self, head: &Head) -> Result<(), Refusal> {
        let body_bytes_max = self.shard.settings.limits.body_bytes_max as u64;
        match head.framing {
            Framing::Length(length) if length > body_bytes_max => Err(Refusal::BodyTooLarge),
            _ => Ok(()),
        }
    }

    async fn read_length(&mut self, head_len: usize, length: usize) -> Result<Body, Stop> {
        let next = head_len + length;
        while self.buffer.filled().len() < next {
            if self.buffer.is_full() {
                // As far as the bytes have come: what a client only announces holds no memory.
                self.grow(next.min(self.buffer.capacity() * limits::BODY_BUFFER_GROWTH))?;
            }
            self.read_more().await?;
        }
        Ok(Body { payload: head_len..next, next })
    }

    async fn read_chunked(&mut self, head_len: usize) -> Result<Body, Stop> {
        let body_bytes_max = self.shard.settings.limits.body_bytes_max;
        let mut dechunker = Dechunker::new(body_bytes_max as u64);
        let mut end = head_len;
        loop {
            let progress = dechunker.advance(&mut self.buffer.filled_mut()[end..])?;
            let consumed = end + progress.consumed;
            end += progress.written;
            self.buffer.close_gap(end, consumed);
            if progress.done {
                return Ok(Body { payload: head_len..end, next: end });
            }
            if self.buffer.is_full() {
                let largest = head_len + body_bytes_max + limits::FRAMING_SLACK_BYTES;
                self.grow((self.buffer.capacity() * 2).min(largest.max(self.buffer.capacity() + 1)))?;
            }
            self.read_more().await?;
        }
    }

    /// Reads more of a body. The client closing in the middle of it is not a request.
    async fn read_more(&mut self) -> Result<(), Stop> {
        let read = self.read().await?;
        if read > 0 {
            self.watch.received(read);
            return Ok(());
        }
        Err(match self.watch.cut() {
            Some(Cut::Late(Phase::Body)) => Stop::Refuse(Refusal::BodyTimeout),
            Some(Cut::Slow) => Stop::Refuse(Refusal::BodyTooSlow),
            _ => Stop::End(End::Gone(CloseReason::Error)),
        })
    }
}
