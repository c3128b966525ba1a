//! Where requests end: a head at its empty line, a body after as many bytes as `Content-Length` says (RFC 9112
//! sections 2.1 and 6.2). That and nothing else.

const CONTENT_LENGTH: &[u8] = b"content-length:";

/// What has been read of a connection's current request.
#[derive(Debug, Default)]
pub struct Requests {
    /// Bytes of the body that have not come yet.
    body_left: usize,
}

/// What [`Requests::advance`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Requests whose last byte is there.
    pub ended: usize,
    /// Bytes that are done with. What is behind them begins a head that is not complete: give it again, with more.
    pub consumed: usize,
}

impl Requests {
    /// Looks at what a connection holds. `None`: a `Content-Length` that is no number, so that the end can't be known.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<Progress> {
        let mut progress = Progress { ended: 0, consumed: 0 };
        loop {
            if self.body_left > 0 {
                let body = self.body_left.min(bytes.len() - progress.consumed);
                progress.consumed += body;
                self.body_left -= body;
                if self.body_left > 0 {
                    return Some(progress);
                }
                progress.ended += 1;
            }
            let Some((head_len, body_len)) = head(&bytes[progress.consumed..])? else {
                return Some(progress);
            };
            progress.consumed += head_len;
            self.body_left = body_len;
            progress.ended += usize::from(body_len == 0);
        }
    }
}

/// Lengths of a head and of the body that it announces. Outer `None`: no number; inner `None`: no end yet.
#[allow(clippy::option_option, reason = "two ways to have no result, and a private one-liner of a function")]
fn head(bytes: &[u8]) -> Option<Option<(usize, usize)>> {
    let (mut line_start, mut body_len) = (0, 0);
    for newline in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[line_start..newline];
        if line == b"\r" && line_start > 0 {
            return Some(Some((newline + 1, body_len)));
        }
        if let Some((name, value)) = line.split_at_checked(CONTENT_LENGTH.len())
            && name.eq_ignore_ascii_case(CONTENT_LENGTH)
        {
            body_len = str::from_utf8(value).ok()?.trim().parse().ok()?;
        }
        line_start = newline + 1;
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ends found when the bytes come in pieces that end at `cuts`.
    fn ended(bytes: &[u8], cuts: &[usize]) -> Option<usize> {
        let mut requests = Requests::default();
        let (mut held, mut from, mut ended) = (Vec::new(), 0, 0);
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            held.extend_from_slice(&bytes[from..cut]);
            from = cut;
            let progress = requests.advance(&held)?;
            held.drain(..progress.consumed);
            ended += progress.ended;
        }
        Some(ended)
    }

    #[test]
    fn a_request_ends_behind_its_body() {
        let request = b"POST / HTTP/1.1\r\ncontent-LENGTH: 5 \r\nA: b\r\n\r\n12345";
        assert_eq!(ended(request, &[]), Some(1));
        assert_eq!(ended(&request[..request.len() - 1], &[]), Some(0));
        assert_eq!(ended(b"GET / HTTP/1.1\r\n\r\n", &[]), Some(1));
        assert_eq!(ended(b"GET / HTTP/1.1\r\nHost: a\r\n", &[]), Some(0));
        assert_eq!(ended(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", &[]), None);
    }

    #[test]
    fn an_incomplete_head_is_kept() {
        let progress = Requests::default().advance(b"GET / HTTP/1.1\r\n\r\nGET /");
        assert_eq!(progress, Some(Progress { ended: 1, consumed: 18 }));
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_ends(
            bodies in prop::collection::vec("[a\r\n]{0,20}", 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let request = |body: &String| format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let bytes = bodies.iter().map(request).collect::<String>().into_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(ended(&bytes, &cuts), Some(bodies.len()));
        }
    }
}
