//! Compresses one record's value. The compressor's state and output live as long as the sink.

use flate2::{Compress, FlushCompress, Status};

use super::options::Compression;

/// gzip's largest window: 2^15 bytes.
const GZIP_WINDOW_BITS: u8 = 15;

/// Makes what is sent out of a value.
pub(super) enum Payload {
    Plain,
    Gzip(Compress, Vec<u8>),
    Zstd(zstd::bulk::Compressor<'static>, Vec<u8>),
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Gzip(..) => "Gzip",
            Self::Zstd(..) => "Zstd",
        })
    }
}

impl Payload {
    /// A compressor, or the text of what is wrong with its level.
    pub(super) fn new(compression: Compression) -> Result<Self, String> {
        Ok(match compression {
            Compression::None => Self::Plain,
            Compression::Gzip { level } => {
                Self::Gzip(Compress::new_gzip(flate2::Compression::new(level), GZIP_WINDOW_BITS), Vec::new())
            }
            Compression::Zstd { level } => {
                let compressor = zstd::bulk::Compressor::new(level).map_err(|error| error.to_string())?;
                Self::Zstd(compressor, Vec::new())
            }
        })
    }

    /// The most bytes that a value of `bytes` can become: incompressible data grows by its framing.
    pub(super) fn bound(&self, bytes: usize) -> usize {
        match self {
            Self::Plain => bytes,
            // Stored blocks of deflate cost 5 bytes each 16 KiB at worst; gzip's header and trailer are 18.
            Self::Gzip(..) => bytes + bytes / 1024 + 64,
            Self::Zstd(..) => zstd::zstd_safe::compress_bound(bytes),
        }
    }

    /// What is sent for `value`; `Err` says why the compressor failed, which it has no reason to.
    pub(super) fn of<'a>(&'a mut self, value: &'a [u8]) -> Result<&'a [u8], String> {
        let bound = self.bound(value.len());
        match self {
            Self::Plain => Ok(value),
            Self::Gzip(state, out) => {
                state.reset();
                out.clear();
                out.reserve(bound);
                match state.compress_vec(value, out, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => Ok(out),
                    Ok(status) => Err(format!("gzip stopped with {status:?}")),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Zstd(compressor, out) => {
                out.clear();
                out.reserve(bound);
                compressor.compress_to_buffer(value, out).map_err(|error| error.to_string())?;
                Ok(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_value_comes_back_and_keeps_the_bound() {
        let mut random = fastrand::Rng::with_seed(3);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
        let text = "{\"event\":\"page_view\"}".repeat(100);
        for compression in [Compression::None, Compression::Gzip { level: 6 }, Compression::Zstd { level: 3 }]
        {
            let mut payload = Payload::new(compression).unwrap();
            for value in [&b""[..], b"x", text.as_bytes(), &noise, text.as_bytes()] {
                let bound = payload.bound(value.len());
                let packed = payload.of(value).unwrap();
                assert!(packed.len() <= bound, "{compression:?}");
                let mut back = Vec::new();
                match compression {
                    Compression::None => back.extend_from_slice(packed),
                    Compression::Gzip { .. } => {
                        flate2::read::GzDecoder::new(packed).read_to_end(&mut back).map(drop).unwrap();
                    }
                    Compression::Zstd { .. } => back = zstd::decode_all(packed).unwrap(),
                }
                assert_eq!(back, value, "{compression:?}");
            }
        }
    }
}
