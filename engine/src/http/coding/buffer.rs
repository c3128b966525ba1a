//! A buffer that grows on demand up to a limit, and stays.

use crate::http::Refusal;

/// The least that a buffer begins with, unless its limit is lower.
const FIRST_BYTES_MIN: usize = 32 * 1024;

/// Memory for what one stage produces. What is in it stays until the next stage overwrites it.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("len", &self.bytes.len()).field("limit", &self.limit).finish()
    }
}

impl Buffer {
    /// Sets how much of the buffer may be used from now on.
    pub(super) fn limit(&mut self, bytes_max: usize) {
        self.limit = bytes_max;
    }

    /// What may be written behind the first `written` bytes; empty when the buffer is full.
    pub(super) fn room(&mut self, written: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.limit);
        &mut self.bytes[written.min(end)..end]
    }

    /// The first `len` bytes.
    pub(super) fn filled(&self, len: usize) -> &[u8] {
        &self.bytes[..len]
    }

    /// Makes room for `len` bytes in all.
    pub(super) fn reserve(&mut self, len: usize) -> Result<(), Refusal> {
        if len > self.limit {
            return Err(Refusal::DecodedTooLarge);
        }
        while self.bytes.len() < len {
            self.grow()?;
        }
        Ok(())
    }

    /// Takes the next larger of the sizes limit, limit/2, limit/4, …: so no step needs more than half of the limit
    /// besides the new size while the old one is copied.
    pub(super) fn grow(&mut self) -> Result<(), Refusal> {
        if self.bytes.len() >= self.limit {
            return Err(Refusal::DecodedTooLarge);
        }
        let mut size = self.limit;
        while size.div_ceil(2) > self.bytes.len() && size.div_ceil(2) >= FIRST_BYTES_MIN {
            size = size.div_ceil(2);
        }
        self.bytes.reserve_exact(size - self.bytes.len());
        self.bytes.resize(size, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_end_exactly_at_the_limit() {
        for limit in [1, 1000, FIRST_BYTES_MIN, 100_001, 8 << 20] {
            let mut buffer = Buffer::default();
            buffer.limit(limit);
            let mut before = 0;
            while buffer.grow().is_ok() {
                assert!(buffer.bytes.len() > before && buffer.bytes.len() <= limit);
                assert!(before <= limit.div_ceil(2), "{before} bytes are copied into {limit}");
                assert_eq!(buffer.bytes.capacity(), buffer.bytes.len());
                before = buffer.bytes.len();
            }
            assert_eq!(before, limit);
        }
    }

    #[test]
    fn a_lower_limit_hides_what_is_there() {
        let mut buffer = Buffer::default();
        buffer.limit(100);
        buffer.reserve(100).unwrap();
        buffer.limit(10);
        assert_eq!(buffer.room(4).len(), 6);
        assert_eq!(buffer.room(11).len(), 0);
        assert_eq!(buffer.grow(), Err(Refusal::DecodedTooLarge));
        assert_eq!(buffer.reserve(11), Err(Refusal::DecodedTooLarge));
    }
}
