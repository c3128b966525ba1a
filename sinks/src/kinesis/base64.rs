//! Base64 (RFC 4648, section 4) into a buffer that is there already: three bytes become four characters by two look-
//! ups in a table of all pairs, without an allocation per record.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The two characters of every 12 bits.
static PAIRS: [[u8; 2]; 4096] = {
    let mut pairs = [[0; 2]; 4096];
    let mut bits = 0;
    while bits < 4096 {
        pairs[bits] = [ALPHABET[bits >> 6], ALPHABET[bits & 63]];
        bits += 1;
    }
    pairs
};

/// Characters that `bytes` bytes become, padding included.
pub(super) fn encoded_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Appends `data`, encoded.
pub(super) fn append(out: &mut Vec<u8>, data: &[u8]) {
    let start = out.len();
    out.resize(start + encoded_bytes(data.len()), b'=');
    let (threes, rest) = data.as_chunks::<3>();
    let (fours, tail) = out[start..].split_at_mut(threes.len() * 4);
    let (fours, _) = fours.as_chunks_mut::<4>();
    for (three, four) in threes.iter().zip(fours) {
        let bits = usize::from(three[0]) << 16 | usize::from(three[1]) << 8 | usize::from(three[2]);
        let ([a, b], [c, d]) = (PAIRS[bits >> 12], PAIRS[bits & 0xFFF]);
        *four = [a, b, c, d];
    }
    match *rest {
        [a] => tail[..2].copy_from_slice(&PAIRS[usize::from(a) << 4]),
        [a, b] => {
            let bits = usize::from(a) << 16 | usize::from(b) << 8;
            tail[..2].copy_from_slice(&PAIRS[bits >> 12]);
            tail[2] = PAIRS[bits & 0xFFF][0];
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(data: &[u8]) -> String {
        let mut out = b"before".to_vec();
        append(&mut out, data);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn the_vectors_of_the_rfc() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(data.as_bytes()), text);
        }
    }

    proptest! {
        #[test]
        fn it_decodes_to_what_went_in(data in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(aws_smithy_types::base64::decode(encode(&data)).unwrap(), data);
        }
    }
}
