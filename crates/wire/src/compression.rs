//! Compressed bodies and results, by the names of `kombu/compression.py` (5.7.0).

use std::io::{self, Read, Write};

use brotli_decompressor::Decompressor as Brotli;
use bzip2::{read::MultiBzDecoder, write::BzEncoder};
use flate2::{
    read::{MultiGzDecoder, ZlibDecoder},
    write::ZlibEncoder,
};
use zstd::stream::read::Decoder as Zstd;

/// How results are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zlib.
    Zlib,
    /// bzip2.
    Bzip2,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Kombu's short name of it.
    pub(crate) fn alias(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        }
    }

    /// Compresses at the method's usual level.
    pub(crate) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Bzip2 => {
                let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(bytes, 3),
        }
    }
}

/// Why a body could not be decompressed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The method has no known name.
    Unknown,
    /// There is more than the limit.
    TooLarge,
    /// The bytes are not what the method writes.
    Damaged(io::Error),
}

/// Decompresses `bytes` to at most `max_bytes`; `name` is a content type of kombu's or its alias.
///
/// Python's `lzma` is not supported.
pub(crate) fn decompress(name: &str, bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Failure> {
    match name {
        // Kombu's `gzip` is zlib's format under gzip's name; real gzip is told by its magic.
        "application/x-gzip" | "application/gzip" | "gzip" | "zlib" => {
            if bytes.starts_with(&[0x1f, 0x8b]) {
                read(MultiGzDecoder::new(bytes), max_bytes)
            } else {
                read(ZlibDecoder::new(bytes), max_bytes)
            }
        }
        "application/x-bz2" | "bzip2" | "bzip" => read(MultiBzDecoder::new(bytes), max_bytes),
        "application/x-brotli" | "brotli" => read(Brotli::new(bytes, 4096), max_bytes),
        "application/zstd" | "zstd" | "zstandard" => {
            let mut decoder = Zstd::with_buffer(bytes).map_err(Failure::Damaged)?;
            decoder.window_log_max(window(max_bytes)).map_err(Failure::Damaged)?;
            read(decoder, max_bytes)
        }
        _ => Err(Failure::Unknown),
    }
}

/// The largest window that a zstd stream may ask to be held in memory, as a power of two.
///
/// A stream that fits into the limit has no use for a larger one; 8 MiB is what the format's
/// specification (RFC 8878, 3.1.1.1.2) recommends to accept at least.
fn window(max_bytes: usize) -> u32 {
    max_bytes.checked_next_power_of_two().map_or(27, usize::trailing_zeros).clamp(23, 27)
}

fn read(decoder: impl Read, max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    decoder.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(Failure::Damaged)?;
    if out.len() > max_bytes { Err(Failure::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const MAX: usize = 10_000;

    /// What each method makes of `bytes`, under each of its names.
    fn all(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(bytes).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        bzip2.write_all(bytes).unwrap();
        let bzip2 = bzip2.finish().unwrap();
        let zstd = zstd::encode_all(bytes, 3).unwrap();
        vec![
            ("application/x-gzip", zlib.clone()),
            ("application/x-gzip", gzip.clone()),
            ("gzip", zlib.clone()),
            ("zlib", zlib),
            ("application/gzip", gzip),
            ("application/x-bz2", bzip2.clone()),
            ("bzip2", bzip2.clone()),
            ("bzip", bzip2),
            ("application/zstd", zstd.clone()),
            ("zstd", zstd.clone()),
            ("zstandard", zstd),
        ]
    }

    #[test]
    fn every_name_is_read_and_bounded() {
        let text = "ab".repeat(MAX / 2);
        for (name, bytes) in all(text.as_bytes()) {
            assert!(bytes.len() < MAX / 10);
            assert_eq!(decompress(name, &bytes, MAX).unwrap(), text.as_bytes(), "{name}");
            let found = decompress(name, &bytes, MAX - 1);
            assert!(matches!(found, Err(Failure::TooLarge)), "{name}: {found:?}");
        }
        // Made by Python's `brotli.compress`.
        let brotli = *b"\x1b\x0f'\xf8\xa5\xc2\xc4\xe2\xb20\x00\xd9\x03@";
        let found = decompress("application/x-brotli", &brotli, MAX).unwrap();
        assert_eq!(found, text.as_bytes());
        assert!(matches!(decompress("brotli", &brotli, MAX - 1), Err(Failure::TooLarge)));
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        for (name, bytes) in all(&vec![b' '; 20_000_000]) {
            assert!(matches!(decompress(name, &bytes, MAX), Err(Failure::TooLarge)), "{name}");
        }
        // A frame that asks for a window of 2 GiB.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(matches!(decompress("zstd", &window, MAX), Err(Failure::Damaged(_))));
    }

    #[test]
    fn damaged_bytes_are_told_from_unknown_names() {
        for (name, bytes) in all(b"[[1], {}, {}]") {
            let found = decompress(name, &bytes[..bytes.len() - 3], MAX);
            assert!(matches!(found, Err(Failure::Damaged(_))), "{name}: {found:?}");
            let found = decompress(name, b"[[1], {}, {}]", MAX);
            assert!(matches!(found, Err(Failure::Damaged(_))), "{name}: {found:?}");
        }
        for name in ["lzma", "xz", "application/x-lzma", "ZLIB", "lz4", "x"] {
            assert!(matches!(decompress(name, b"", MAX), Err(Failure::Unknown)), "{name}");
        }
    }
}
