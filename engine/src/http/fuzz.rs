//! What the fuzzers feed: shared with a unit test that replays their seeds.
//!
//! The first byte of an input says how many cuts follow it, each of the next that many bytes where one is; the rest is
//! what the client sends.

use super::{Dechunker, Framing, Head, HeadEnd, HeadScanner, Refusal};

const HEAD_BYTES_MAX: usize = 4096;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: u64 = 1 << 16;

/// Splits an input into cuts and bytes.
fn parts(input: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return (vec![], input) };
    let (cuts, bytes) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let mut cuts: Vec<_> = cuts.iter().map(|cut| usize::from(*cut) * (bytes.len() + 1) / 256).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    (cuts, bytes)
}

/// Heads: any split gives the same, and what is taken can be read in one way only.
///
/// # Panics
/// When it does not: that is a finding.
pub fn head(input: &[u8]) {
    let (cuts, bytes) = parts(input);
    let whole = scan(&[bytes.len()], bytes);
    assert_eq!(scan(&cuts, bytes), whole, "a split changes where the head ends");
    let glance = Head::at_first_sight(bytes, HEADERS_MAX, HEAD_BYTES_MAX);
    let Ok(Some(HeadEnd { start, end })) = whole else {
        assert_eq!(glance, None, "a glance takes what the scanner does not");
        return;
    };
    let text = &bytes[start..end];
    let Ok(head) = Head::parse(text, HEADERS_MAX) else {
        assert_eq!(glance, None, "a glance takes what a parse does not");
        return;
    };
    assert!(glance.is_none_or(|glance| glance == (head, end)), "a glance reads it differently");
    assert!(glance.is_some() || start > 0, "a head needs more than a glance");
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(
        request.parse(text),
        Ok(httparse::Status::Complete(text.len())),
        "httparse reads it differently"
    );
    assert_eq!(request.method.map(str::as_bytes), Some(head.method_name.of(text)));
    let count =
        |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    assert!(lengths + codings <= 1, "the body's end can be read in two ways");
    assert_eq!(head.framing == Framing::Chunked, codings == 1);
    assert!(count("host") == 1 || (head.http_1_0 && count("host") == 0));
    assert!(!text.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'), "a lone LF was taken");
}

fn scan(cuts: &[usize], bytes: &[u8]) -> Result<Option<HeadEnd>, Refusal> {
    let mut scanner = HeadScanner::new();
    for cut in cuts {
        match scanner.advance(&bytes[..*cut], HEAD_BYTES_MAX) {
            Ok(None) => {}
            decided => return decided,
        }
    }
    Ok(None)
}

/// Chunked bodies: any split gives the same payload, the same end or the same refusal.
///
/// # Panics
/// When it does not: that is a finding.
pub fn chunked(input: &[u8]) {
    let (cuts, bytes) = parts(input);
    let whole = dechunk(&[bytes.len()], bytes);
    assert_eq!(dechunk(&cuts, bytes), whole, "a split changes what is decoded");
    if let Ok((payload, consumed, _)) = whole {
        assert!(payload.len() <= consumed && consumed <= bytes.len());
    }
}

type Decoded = (Vec<u8>, usize, bool);

fn dechunk(cuts: &[usize], bytes: &[u8]) -> Result<Decoded, Refusal> {
    let mut dechunker = Dechunker::new(BODY_BYTES_MAX);
    let (mut payload, mut consumed, mut from) = (Vec::new(), 0, 0);
    for cut in cuts {
        let mut piece = bytes[from..*cut].to_vec();
        from = *cut;
        let progress = dechunker.advance(&mut piece)?;
        payload.extend_from_slice(&piece[..progress.written]);
        consumed += progress.consumed;
        if progress.done {
            return Ok((payload, consumed, true));
        }
        assert_eq!(progress.consumed, piece.len(), "everything is consumed before the end");
    }
    Ok((payload, consumed, false))
}

#[cfg(test)]
mod tests {
    /// The corpus is replayed on every test run, so that what was once found stays found.
    #[test]
    fn the_seeds_hold() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");
        for (name, target) in [("head", super::head as fn(&[u8])), ("chunked", super::chunked)] {
            let seeds: Vec<_> = std::fs::read_dir(format!("{corpus}/{name}")).unwrap().collect();
            assert!(seeds.len() >= 10, "{name} has lost its seeds");
            for seed in seeds {
                target(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
