//! HTTP/1.1 (RFC 9112) as plain functions and state machines: no socket, no clock.
//!
//! ```text
//!   bytes ─▶ scan: where does the head end ─▶ head: what does it say ─▶ chunked: where does the body end
//!                                                                     ─▶ coding: what does the body say
//!   answer ◀─ refusal: everything that is not a success, in one table
//!          ◀─ cors: who may read it
//! ```

mod answer;
mod chunked;
pub mod coding;
mod cors;
mod framing;
#[doc(hidden)]
pub mod fuzz;
mod head;
pub mod refusal;
mod scan;
mod target;

pub use answer::{Answer, CONTINUE, Content, DATE_LEN};
pub use chunked::{Dechunker, Progress};
pub use coding::ContentDecoder;
pub use cors::{CorsPolicy, Grant};
pub use framing::Framing;
pub use head::{HEADERS_MAX, Head, Method, Span, Spans};
pub use refusal::Refusal;
pub use scan::{HeadEnd, HeadScanner};
