//! Every limit that is not configurable, in one place, with its arithmetic.

use std::time::Duration;

/// Bytes of the read buffer that every connection owns.
///
/// A 1 KiB event with a browser's headers is some 1.8 KiB: one read. 10,000 idle connections own 40 MB.
pub const CONNECTION_BUFFER_BYTES: usize = 4 * 1024;

/// What a connection costs besides its buffer: its task (1.7 KiB) and its entries in the registry and in the driver.
/// 10,000 idle connections that had each served a request took 60 MB of resident memory: 2 KiB each besides the
/// buffer, rounded up.
pub const CONNECTION_STATE_BYTES: usize = 3 * 1024;

/// Room that is kept behind a head of the largest size for the framing of a chunked body (one chunk header).
pub const FRAMING_SLACK_BYTES: usize = 1024;

/// Capacity of an answer's buffer: the longest refusal with CORS headers and a 256-byte origin is below 1 KiB.
pub const ANSWER_BYTES: usize = 1024;

/// How often a shard looks at its deadlines. Every timeout is late by at most four of these.
pub const TICK: Duration = Duration::from_millis(100);

/// Connections are looked at in this many slices, one a tick: 10,000 of them cost 2,500 visits a tick.
pub const SWEEP_SLICES: u64 = 4;

/// An answer that the client does not read for this long is given up.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// After a refusal that closes the connection: how long what the client still sends is read and thrown away, so
/// that the refusal is not lost in a reset (RFC 9112 section 9.6).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// And how much of it, in bytes: a client that has not looked for an answer by then does not look for any.
pub const LINGER_BYTES_MAX: usize = 16 << 20;

/// A body may be slow for this long before `limits.body_rate_min` counts.
pub const BODY_RATE_GRACE: Duration = Duration::from_secs(5);

/// Pause of the accept loop when the kernel has no file descriptor or memory left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// File descriptors that are not for connections: rings, listeners, wires, sinks' files and sockets, logs.
pub const FILES_RESERVED: u64 = 256;

/// `Retry-After` of an overload in seconds: a batch comes back within milliseconds, but a client in a hurry would
/// make it worse.
pub const OVERLOAD_RETRY_AFTER_S: u32 = 1;

/// Bytes of chunk sizes and extensions in one body. A body of 1 MiB in chunks of 64 bytes has 65 KiB of sizes; a
/// client that sends smaller ones is not worth its cost.
pub const CHUNK_OVERHEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of trailers behind one body. Nobody reads them.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Connections beyond `limits.connections_max` that a shard answers 503 at a time; further ones are closed without a
/// word. Each is held for at most [`LINGER_TIMEOUT`].
pub const TURNED_AWAY_MAX: usize = 64;

/// Records in one linger from which on a feed counts as busy and gathers. A batch costs its sink some 100 us of CPU
/// time however few records it holds (wake-ups, a request to the broker): below this, answering at once is worth more.
pub const BUSY_RECORDS: usize = 16;

/// How many times larger a connection's buffer becomes when a body has filled it. What was read is copied then: for a
/// long body a third of it, once more.
pub const BODY_BUFFER_GROWTH: usize = 4;
