//! The request target (RFC 9112 section 3.2): origin form, absolute form and, for OPTIONS, the asterisk.

use super::Refusal;
use super::framing::is_host;

/// A target in origin form: `uri` is `path` and, behind a `?`, `query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'head> {
    pub uri: &'head [u8],
    pub path: &'head [u8],
    pub query: Option<&'head [u8]>,
}

impl<'head> Target<'head> {
    /// Reduces any form to origin form.
    pub(super) fn parse(target: &'head [u8], method: &str) -> Result<Self, Refusal> {
        // httparse refuses spaces and control characters, but lets non-ASCII pass; a URI has none (RFC 3986), nor a
        // fragment on the wire.
        if !target.is_ascii() || memchr::memchr(b'#', target).is_some() {
            return Err(Refusal::BadTarget);
        }
        match target {
            [b'/', ..] => Ok(Self::split(target)),
            b"*" if method == "OPTIONS" => Ok(Self { uri: target, path: target, query: None }),
            _ => Self::absolute(target),
        }
    }

    fn absolute(target: &'head [u8]) -> Result<Self, Refusal> {
        let scheme_end = target.windows(3).position(|window| window == b"://").ok_or(Refusal::BadTarget)?;
        let scheme = &target[..scheme_end];
        if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
            return Err(Refusal::BadTarget);
        }
        let rest = &target[scheme_end + 3..];
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        if end == 0 || !is_host(&rest[..end]) {
            return Err(Refusal::BadTarget);
        }
        match &rest[end..] {
            origin @ [b'/', ..] => Ok(Self::split(origin)),
            // An empty path is "/" (RFC 9112 section 3.2.2), which is not in the buffer and is no route of ours. What
            // stands for it is: every part of a target has its place there.
            origin => {
                let (path, query) = (&origin[..0], origin.split_first().map(|(_, query)| query));
                Ok(Self { uri: origin, path, query })
            }
        }
    }

    fn split(uri: &'head [u8]) -> Self {
        match memchr::memchr(b'?', uri) {
            Some(mark) => Self { uri, path: &uri[..mark], query: Some(&uri[mark + 1..]) },
            None => Self { uri, path: uri, query: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_origin_form() {
        for (target, uri, path, query) in [
            ("/collect", "/collect", "/collect", None),
            ("/collect?", "/collect?", "/collect", Some("")),
            ("/collect?a=b?c", "/collect?a=b?c", "/collect", Some("a=b?c")),
            ("http://h:80/collect?x", "/collect?x", "/collect", Some("x")),
            ("HTTPS://h/", "/", "/", None),
            ("http://h?x", "?x", "", Some("x")),
            ("http://h", "", "", None),
        ] {
            let parsed = Target::parse(target.as_bytes(), "GET").unwrap();
            assert_eq!((parsed.uri, parsed.path), (uri.as_bytes(), path.as_bytes()), "{target}");
            assert_eq!(parsed.query, query.map(str::as_bytes), "{target}");
        }
        assert!(Target::parse(b"*", "OPTIONS").is_ok());
    }

    #[test]
    fn other_targets_are_refused() {
        for target in ["*", "collect", "h:80", "ftp://h/", "http:///x", "http://u@h/", "/a#b", "/\u{e9}"] {
            assert_eq!(Target::parse(target.as_bytes(), "GET"), Err(Refusal::BadTarget), "{target}");
        }
    }
}
