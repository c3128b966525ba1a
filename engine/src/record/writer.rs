//! Where the text of a record goes: into memory, or only into a sum.
//!
//! An encoder describes its record once, against [`Output`]; the exact length and the text then can't disagree.

use super::escape::{escape_into, escaped_len};

/// Takes the text of a record, piece by piece. `None` means that it does not fit; what was written by then is
/// worthless.
pub trait Output {
    /// Appends `bytes` as they are.
    fn put(&mut self, bytes: &[u8]) -> Option<()>;
    /// Appends `bytes` as the inside of a JSON string (see [`super::escape`]).
    fn put_escaped(&mut self, bytes: &[u8]) -> Option<()>;
    /// Bytes so far.
    fn written(&self) -> usize;

    /// Appends a JSON string, quotes and all.
    #[inline]
    fn put_string(&mut self, bytes: &[u8]) -> Option<()> {
        self.put(b"\"")?;
        self.put_escaped(bytes)?;
        self.put(b"\"")
    }
}

/// Writes into memory.
#[derive(Debug)]
pub struct Text<'a> {
    /// What is still free.
    room: &'a mut [u8],
    room_at_first: usize,
}

impl<'a> Text<'a> {
    /// Begins at the start of `out`.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { room_at_first: out.len(), room: out }
    }
}

impl Output for Text<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let (place, room) = std::mem::take(&mut self.room).split_at_mut_checked(bytes.len())?;
        place.copy_from_slice(bytes);
        self.room = room;
        Some(())
    }

    #[inline]
    fn put_escaped(&mut self, bytes: &[u8]) -> Option<()> {
        let len = escape_into(bytes, self.room)?;
        self.room = std::mem::take(&mut self.room).get_mut(len..)?;
        Some(())
    }

    fn written(&self) -> usize {
        self.room_at_first - self.room.len()
    }
}

/// Writes nothing and counts; always fits.
#[derive(Debug, Default)]
pub struct Length {
    written: usize,
}

impl Output for Length {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.written += bytes.len();
        Some(())
    }

    fn put_escaped(&mut self, bytes: &[u8]) -> Option<()> {
        self.written += escaped_len(bytes);
        Some(())
    }

    fn written(&self) -> usize {
        self.written
    }
}
