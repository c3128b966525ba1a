//! Bodies: events as a JSON array, and the ways it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::kind::Encoding;

/// Sends a body in one of the encodings; keeps its buffers.
pub(super) struct Encoder {
    deflate: Compress,
    gzip: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        // The fastest level: the generator's time is not what is measured, but it must have enough of it.
        Self { deflate: Compress::new(Compression::fast(), false), gzip: Vec::new() }
    }

    /// Appends `plain` to `out` as `encoding` has it on the wire.
    pub(super) fn encode(&mut self, encoding: Encoding, plain: &[u8], out: &mut Vec<u8>) {
        match encoding {
            Encoding::Plain => out.extend_from_slice(plain),
            Encoding::Gzip => {
                self.compress(plain);
                out.extend_from_slice(&self.gzip);
            }
            Encoding::Base64Gzip => {
                self.compress(plain);
                let from = out.len();
                out.resize(from + self.gzip.len().div_ceil(3) * 4, 0);
                // The room was measured for it.
                let _fits = STANDARD.encode_slice(&self.gzip, &mut out[from..]);
            }
        }
    }

    /// One gzip member (RFC 1952) around a raw deflate stream; `Compress` keeps its window between requests.
    fn compress(&mut self, plain: &[u8]) {
        self.deflate.reset();
        self.gzip.clear();
        self.gzip.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut read = 0;
        loop {
            // Room first: without any it could not go on.
            self.gzip.reserve(256 + (plain.len() - read) / 2);
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(&plain[read..], &mut self.gzip, FlushCompress::Finish);
            read += usize::try_from(self.deflate.total_in() - before).unwrap_or(0);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
        }
        let mut crc = Crc::new();
        crc.update(plain);
        self.gzip.extend_from_slice(&crc.sum().to_le_bytes());
        self.gzip.extend_from_slice(&crc.amount().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    }

    proptest! {
        #[test]
        fn what_is_compressed_can_be_read(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 1..4)) {
            let mut encoder = Encoder::new();
            for body in bodies {
                let (mut gzip, mut text) = (Vec::new(), Vec::new());
                encoder.encode(Encoding::Gzip, &body, &mut gzip);
                prop_assert_eq!(&gunzip(&gzip), &body);
                encoder.encode(Encoding::Base64Gzip, &body, &mut text);
                prop_assert_eq!(gunzip(&STANDARD.decode(&text).unwrap()), body);
            }
        }
    }
}
