//! Every limit that is not configurable, in one place, with its arithmetic.

/// Bytes of the read buffer that every connection owns.
///
/// A 1 KiB event with a browser's headers is some 1.8 KiB: one read. 10,000 idle connections own 40 MB.
pub const CONNECTION_BUFFER_BYTES: usize = 4 * 1024;
