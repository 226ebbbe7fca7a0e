//! Compression of bodies.

use crate::accept::Coding;
use bytes::Bytes;
use std::io::Write;

/// A body must be longer than this to be worth compressing, bytes.
pub(crate) const COMPRESSED_ABOVE: usize = 860;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For a body made for one request.
    Quick,
    /// For a body kept for as long as the server runs.
    Thorough,
}

/// The compressed form; `None` when it would not be shorter.
pub(crate) fn compress(coding: Coding, body: &[u8], effort: Effort) -> Option<Bytes> {
    let thorough = effort == Effort::Thorough;
    let compressed = match coding {
        Coding::Gzip => {
            let level = if thorough { 9 } else { 4 };
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(body).ok()?;
            encoder.finish().ok()?
        }
        Coding::Brotli => {
            let quality = if thorough { 10 } else { 4 };
            let mut compressed = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut compressed, 4_096, quality, 20);
            encoder.write_all(body).ok()?;
            encoder.flush().ok()?;
            drop(encoder);
            compressed
        }
        Coding::Zstd => zstd::bulk::compress(body, if thorough { 15 } else { 3 }).ok()?,
    };
    (compressed.len() < body.len()).then(|| Bytes::from(compressed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn every_coding_gives_the_same_bytes_back() {
        let body = "{\"pair\":\"BTC-USD\",\"value\":\"54000.000123\"}"
            .repeat(50)
            .into_bytes();
        for effort in [Effort::Quick, Effort::Thorough] {
            for coding in Coding::ALL {
                let compressed = compress(coding, &body, effort).unwrap();
                let mut back = Vec::new();
                match coding {
                    Coding::Gzip => {
                        flate2::read::GzDecoder::new(&compressed[..])
                            .read_to_end(&mut back)
                            .unwrap();
                    }
                    Coding::Brotli => {
                        brotli::Decompressor::new(&compressed[..], 4_096)
                            .read_to_end(&mut back)
                            .unwrap();
                    }
                    Coding::Zstd => back = zstd::stream::decode_all(&compressed[..]).unwrap(),
                }
                assert_eq!(back, body, "{coding:?}");
            }
        }
    }

    #[test]
    fn what_does_not_get_shorter_stays_as_it_is() {
        assert_eq!(compress(Coding::Gzip, b"x", Effort::Quick), None);
    }
}
