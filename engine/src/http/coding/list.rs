//! The list of codings in a head.

use crate::http::Refusal;

/// Codings that one request may have; `identity` does not count. More is an attack: no sender has a use for two.
const CODINGS_MAX: usize = 4;

/// A content coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Zstd,
    Snappy,
}

impl Coding {
    /// Names are case-insensitive (RFC 9110 section 8.4.1).
    fn of(name: &[u8]) -> Result<Self, Refusal> {
        for (known, coding) in [
            (&b"gzip"[..], Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"zstd", Self::Zstd),
            (b"snappy", Self::Snappy),
        ] {
            if name.eq_ignore_ascii_case(known) {
                return Ok(coding);
            }
        }
        Err(Refusal::UnsupportedEncoding)
    }
}

/// The codings of one request, in the order in which they were applied.
#[derive(Debug, Default)]
pub(super) struct Codings {
    codings: [Option<Coding>; CODINGS_MAX],
    count: usize,
}

impl Codings {
    /// Reads field values, each a comma list; empty elements and `identity` don't count.
    pub(super) fn parse<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Result<Self, Refusal> {
        let mut codings = Self::default();
        for element in fields.flat_map(|field| field.split(|&byte| byte == b',')) {
            let name = element.trim_ascii();
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let place = codings.codings.get_mut(codings.count).ok_or(Refusal::UnsupportedEncoding)?;
            *place = Some(Coding::of(name)?);
            codings.count += 1;
        }
        Ok(codings)
    }

    /// In the order in which they have to be undone.
    pub(super) fn last_to_first(&self) -> impl Iterator<Item = Coding> {
        self.codings.iter().rev().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_http_has_them() {
        use Coding::{Deflate, Gzip, Snappy, Zstd};
        for (fields, expected) in [
            (&[][..], Ok(vec![])),
            (&[""], Ok(vec![])),
            (&["identity", ", ,IDENTITY"], Ok(vec![])),
            (&["gzip"], Ok(vec![Gzip])),
            (&["GZip , x-gzip"], Ok(vec![Gzip, Gzip])),
            (&["deflate,zstd", "\tsnappy "], Ok(vec![Snappy, Zstd, Deflate])),
            (&["gzip,gzip,gzip,gzip,identity"], Ok(vec![Gzip; 4])),
            (&["gzip,gzip,gzip,gzip,gzip"], Err(Refusal::UnsupportedEncoding)),
            (&["br"], Err(Refusal::UnsupportedEncoding)),
            (&["gzip;q=1"], Err(Refusal::UnsupportedEncoding)),
            (&["gzip zstd"], Err(Refusal::UnsupportedEncoding)),
        ] {
            let codings = Codings::parse(fields.iter().map(|field| field.as_bytes()));
            assert_eq!(
                codings.map(|codings| codings.last_to_first().collect::<Vec<_>>()),
                expected,
                "{fields:?}"
            );
        }
    }
}
