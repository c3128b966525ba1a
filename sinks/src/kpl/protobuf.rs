//! As much of the protobuf wire format as the aggregated record needs: varints and length-delimited fields.

/// Wire type of a varint.
pub(super) const VARINT: u64 = 0;
/// Wire type of a 64-bit value.
const FIXED64: u64 = 1;
/// Wire type of a string, bytes or a message.
pub(super) const LENGTH_DELIMITED: u64 = 2;
/// Wire type of a 32-bit value.
const FIXED32: u64 = 5;

/// Bytes that `value` takes as a varint: 1 to 10.
pub(super) fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends `value` as a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(value as u8);
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-width value; nothing here has one, so it is only skipped.
    Fixed,
}

/// Reads a message field by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next field and its number; `Ok(None)` at the end, `Err` where this is no protobuf.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            VARINT => Field::Varint(self.varint()?),
            LENGTH_DELIMITED => {
                let length = usize::try_from(self.varint()?).map_err(|_| "a length beyond memory")?;
                Field::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Field::Fixed)?,
            FIXED32 => self.take(4).map(|_| Field::Fixed)?,
            _ => return Err("a wire type that does not exist"),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0_u64;
        for (place, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(value);
            }
        }
        Err("a number that does not end")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a field that is cut off")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_and_take_the_bytes_that_were_foretold() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_bytes(value), "{value}");
            let mut reader = Reader(&out);
            assert_eq!(reader.varint(), Ok(value));
            assert!(reader.0.is_empty());
        }
    }

    #[test]
    fn what_is_no_protobuf_is_an_error() {
        for bytes in [&[0x80][..], &[0x0A, 5, 1], &[0x0B], &[0x09, 1, 2], &[0xFF; 12]] {
            assert!(Reader(bytes).next().is_err(), "{bytes:?}");
        }
    }
}
