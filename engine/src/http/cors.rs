//! Cross-origin resource sharing (the Fetch standard): who may read our answers.
//!
//! SDKs in browsers send credentials, so `*` is never an answer: an allowed origin is echoed. Every answer carries
//! the grant, errors included: without it a browser hides the status and the SDK sends again what was stored.
//! Patterns are anchored at both ends; scheme and port are part of an origin.

use std::fmt::Write as _;

use crate::config::{AllowedOrigin, Cors};

/// Request headers that a page may set: the list of the system that this engine replaces.
const ALLOWED_HEADERS: &str =
    "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type";

/// Longest origin that is echoed: a host name has at most 253 bytes.
const ORIGIN_BYTES_MAX: usize = 253 + "https://:65535".len();

/// The configured policy, rendered.
#[derive(Clone, Debug)]
pub struct CorsPolicy {
    origins: Vec<AllowedOrigin>,
    /// What follows the echoed origin.
    answer: Box<[u8]>,
    preflight: Box<[u8]>,
}

/// What one request is granted.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The origin to echo; `None`: nothing is granted.
    origin: Option<&'a [u8]>,
    /// The headers behind it.
    rest: &'a [u8],
    /// The answer depends on the origin, whether or not this one is granted anything.
    varies: bool,
}

impl CorsPolicy {
    /// Renders the policy.
    #[must_use]
    pub fn new(cors: &Cors) -> Self {
        let common = "\r\nAccess-Control-Allow-Credentials: true\r\n";
        let answer = format!("{common}Access-Control-Expose-Headers: X-Request-ID, Retry-After\r\n");
        let mut preflight = format!(
            "{common}Access-Control-Allow-Methods: GET, POST, OPTIONS\r\nAccess-Control-Allow-Headers: {ALLOWED_HEADERS}\r\n"
        );
        // Writing to a String can't fail.
        let _ = write!(preflight, "Access-Control-Max-Age: {}\r\n", cors.max_age.as_secs());
        Self {
            origins: cors.origins.clone(),
            answer: answer.into_bytes().into_boxed_slice(),
            preflight: preflight.into_bytes().into_boxed_slice(),
        }
    }

    /// What a request from `origin` is granted.
    #[must_use]
    pub fn grant<'a>(&'a self, origin: Option<&'a [u8]>, preflight: bool) -> Grant<'a> {
        Grant {
            origin: origin.filter(|origin| self.allows(origin)),
            rest: if preflight { &self.preflight } else { &self.answer },
            varies: !self.origins.is_empty(),
        }
    }

    /// True when pages of `origin` may read our answers.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        // What goes back into a header must not be able to end it.
        let plain = origin.len() <= ORIGIN_BYTES_MAX && origin.iter().all(u8::is_ascii_graphic);
        plain && self.origins.iter().any(|allowed| matches(allowed, origin))
    }
}

fn matches(allowed: &AllowedOrigin, origin: &[u8]) -> bool {
    match allowed {
        AllowedOrigin::Any => true,
        AllowedOrigin::Exact(exact) => origin.eq_ignore_ascii_case(exact.as_bytes()),
        AllowedOrigin::Subdomain { scheme, suffix } => {
            let (scheme, suffix) = (scheme.as_bytes(), suffix.as_bytes());
            let Some(labels_len) = origin.len().checked_sub(scheme.len() + suffix.len()) else {
                return false;
            };
            let (front, rest) = origin.split_at(scheme.len());
            let (labels, back) = rest.split_at(labels_len);
            front.eq_ignore_ascii_case(scheme) && back.eq_ignore_ascii_case(suffix) && are_labels(labels)
        }
    }
}

/// One or more host labels: nothing that could be a user, a port or another host.
fn are_labels(labels: &[u8]) -> bool {
    labels.split(|byte| *byte == b'.').all(|label| {
        !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    })
}

impl Grant<'_> {
    /// Appends the header lines.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(origin) = self.origin {
            out.extend_from_slice(b"Access-Control-Allow-Origin: ");
            out.extend_from_slice(origin);
            out.extend_from_slice(self.rest);
        }
        if self.varies {
            out.extend_from_slice(b"Vary: Origin\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn policy(origins: &[AllowedOrigin]) -> CorsPolicy {
        CorsPolicy::new(&Cors { origins: origins.to_vec(), max_age: Duration::from_hours(2) })
    }

    fn text(grant: Grant<'_>) -> String {
        let mut out = vec![];
        grant.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn patterns_are_anchored_and_know_scheme_and_port() {
        let policy = policy(&[
            AllowedOrigin::Exact("https://a.example.com".into()),
            AllowedOrigin::Exact("http://localhost:3000".into()),
            AllowedOrigin::Subdomain { scheme: "https://".into(), suffix: ".example.org".into() },
        ]);
        for allowed in [
            "https://a.example.com",
            "HTTPS://A.Example.com",
            "http://localhost:3000",
            "https://x.example.org",
            "https://x.y.example.org",
        ] {
            assert!(policy.allows(allowed.as_bytes()), "{allowed}");
        }
        for denied in [
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://axexample.com",
            "https://a.example.com.evil.org",
            "https://evil.org/https://a.example.com",
            "http://localhost",
            "http://localhost:30001",
            "https://example.org",
            "https://.example.org",
            "https://x..example.org",
            "https://evil.com/.example.org",
            "https://evil.com:80.example.org",
            "https://u@x.example.org",
            "http://x.example.org",
            "https://x.example.org:8443",
            "https://xexample.org",
            "null",
            "",
        ] {
            assert!(!policy.allows(denied.as_bytes()), "{denied}");
        }
    }

    #[test]
    fn any_origin_is_echoed_but_nothing_that_could_end_a_header() {
        let policy = policy(&[AllowedOrigin::Any]);
        assert!(policy.allows(b"https://whoever.example") && policy.allows(b"null"));
        assert!(
            !policy.allows(b"https://a b")
                && !policy.allows(b"https://a\xff")
                && !policy.allows(&[b'a'; 300])
        );
    }

    #[test]
    fn the_grant_as_text() {
        let policy = policy(&[AllowedOrigin::Exact("https://a.example.com".into())]);
        assert_eq!(
            text(policy.grant(Some(b"https://a.example.com"), false)),
            "Access-Control-Allow-Origin: https://a.example.com\r\nAccess-Control-Allow-Credentials: true\r\n\
             Access-Control-Expose-Headers: X-Request-ID, Retry-After\r\nVary: Origin\r\n"
        );
        let preflight = text(policy.grant(Some(b"https://a.example.com"), true));
        assert!(preflight.contains("Access-Control-Max-Age: 7200\r\n"));
        assert!(
            preflight.contains("Access-Control-Allow-Headers: DNT,")
                && preflight.contains(",Content-Type\r\n")
        );
        assert_eq!(text(policy.grant(Some(b"https://evil.org"), true)), "Vary: Origin\r\n");
        assert_eq!(text(policy.grant(None, false)), "Vary: Origin\r\n");
        assert_eq!(text(self::policy(&[]).grant(Some(b"https://a.example.com"), false)), "");
    }
}
