//! How the end of a body is found (RFC 9112 section 6), and the fields that decide it.

use super::Refusal;

/// The body's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; 0 when nothing announces a body.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl Framing {
    /// Judges the two fields together. A request in which both occur is the classic smuggling form: refused.
    pub(super) fn of(
        content_length: Option<&[u8]>,
        transfer_encoding: Option<&[u8]>,
        http_1_0: bool,
    ) -> Result<Self, Refusal> {
        match (content_length, transfer_encoding) {
            (Some(_), Some(_)) => Err(Refusal::LengthAndTransferEncoding),
            (None, None) => Ok(Self::Length(0)),
            (Some(length), None) => Ok(Self::Length(decimal(length).ok_or(Refusal::BadContentLength)?)),
            (None, Some(_)) if http_1_0 => Err(Refusal::BadTransferEncoding),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Self::Chunked),
            (None, Some(coding)) => Err(refuse_codings(coding)),
        }
    }
}

/// Why a `Transfer-Encoding` other than `chunked` is refused: one that is merely not served (RFC 9112 section 6.1 asks
/// for 501), or one that is wrong.
fn refuse_codings(codings: &[u8]) -> Refusal {
    let mut chunked = 0;
    for coding in list(codings) {
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked += 1;
        } else if coding.is_empty()
            || !coding.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        {
            return Refusal::BadTransferEncoding;
        }
    }
    if chunked > 1 { Refusal::BadTransferEncoding } else { Refusal::UnsupportedTransferEncoding }
}

/// A decimal number without sign, space or overflow.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + u64::from(digit))
    })
}

/// The elements of a comma list, without the spaces around them (RFC 9110 section 5.6.1).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The bytes of a registered name or an IPv4 address (RFC 3986 section 3.2.2).
const NAME_BYTE: [bool; 256] = {
    const PUNCTUATION: &[u8] = b"-._~!$&'()*+;=%";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < u8::MAX {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < PUNCTUATION.len() {
        table[PUNCTUATION[at] as usize] = true;
        at += 1;
    }
    table
};

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2); empty is allowed there, and by us.
pub(super) fn is_host(host: &[u8]) -> bool {
    if let Some(rest) = host.strip_prefix(b"[") {
        return is_bracketed_host(rest);
    }
    let is_name = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & NAME_BYTE[usize::from(*byte)]);
    // Nearly all are a name, or a name and a port of four or five digits.
    for digits in [4, 5] {
        if let Some((name, [b':', port @ ..])) = host.split_at_checked(host.len().wrapping_sub(digits + 1))
            && is_port(port)
        {
            return is_name(name);
        }
    }
    is_name(host)
        || host
            .iter()
            .rposition(|byte| *byte == b':')
            .is_some_and(|colon| is_port(&host[colon + 1..]) && is_name(&host[..colon]))
}

/// An IPv6 address, whose `[` is gone.
fn is_bracketed_host(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
    let (literal, rest) = (&rest[..end], &rest[end + 1..]);
    let is_address =
        !literal.is_empty() && literal.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
    is_address
        && match rest {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

fn is_port(port: &[u8]) -> bool {
    port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_table() {
        use Refusal::{
            BadContentLength, BadTransferEncoding, LengthAndTransferEncoding, UnsupportedTransferEncoding,
        };
        let of = |length: Option<&str>, coding: Option<&str>| {
            Framing::of(length.map(str::as_bytes), coding.map(str::as_bytes), false)
        };
        assert_eq!(of(None, None), Ok(Framing::Length(0)));
        assert_eq!(of(Some("0012"), None), Ok(Framing::Length(12)));
        assert_eq!(of(None, Some("Chunked")), Ok(Framing::Chunked));
        for length in ["", "+5", "-1", "5 5", "5,5", "0x10", "5.0", "99999999999999999999", "\t5"] {
            assert_eq!(of(Some(length), None), Err(BadContentLength), "{length:?}");
        }
        for (coding, refusal) in [
            ("gzip", UnsupportedTransferEncoding),
            ("gzip, chunked", UnsupportedTransferEncoding),
            ("identity", UnsupportedTransferEncoding),
            ("chunked, chunked", BadTransferEncoding),
            ("xchunked", UnsupportedTransferEncoding),
            ("chunked;q=1", BadTransferEncoding),
            ("", BadTransferEncoding),
        ] {
            assert_eq!(of(None, Some(coding)), Err(refusal), "{coding:?}");
        }
        assert_eq!(of(Some("5"), Some("chunked")), Err(LengthAndTransferEncoding));
        assert_eq!(Framing::of(None, Some(b"chunked"), true), Err(BadTransferEncoding));
    }

    #[test]
    fn hosts() {
        for host in ["", "a", "a.example.com:8088", "[::1]", "[::1]:80", "127.0.0.1:", "xn--a_b"] {
            assert!(is_host(host.as_bytes()), "{host:?}");
        }
        for host in ["a b", "a,b", "a/b", "a@b", "a:b", "a:123456", "[::1", "[]", "[::1]x", "a\u{e9}", "a?b"]
        {
            assert!(!is_host(host.as_bytes()), "{host:?}");
        }
    }
}
