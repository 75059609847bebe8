//! Compressed values, as django-redis's five compressors write and read them.

use std::io::{self, Read, Write};

use flate2::{
    Compression,
    read::{MultiGzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use lzma_rust2::{XzOptions, XzReader, XzWriter};

use crate::{
    FormatError,
    config::Compressor,
    size::{MAX_VALUE, check_size},
};

/// The memory that an xz stream may ask for: the dictionary of `xz -9` is 64 MiB. In KiB.
const XZ_MEMORY: u32 = 68 << 10;

/// The window that a zstd frame may ask for, as a power of two: a value that fits has no use for a
/// larger one.
const ZSTD_WINDOW: u32 = MAX_VALUE.trailing_zeros();

/// Returns the bytes as django-redis 7.0.0 would store them, with each of its compressors' own
/// level and least length.
///
/// # Errors
/// `Malformed` when a compressor fails, which none is known to do.
pub(crate) fn compress(bytes: Vec<u8>, compressor: Compressor) -> Result<Vec<u8>, FormatError> {
    let least = if compressor == Compressor::Lzma { 100 } else { 15 };
    if bytes.len() <= least {
        return Ok(bytes);
    }
    let (format, compressed) = match compressor {
        Compressor::None => return Ok(bytes),
        Compressor::Zlib => ("zlib", zlib(&bytes)),
        Compressor::Gzip => ("gzip", gzip(&bytes)),
        Compressor::Lzma => ("lzma", xz(&bytes)),
        Compressor::Lz4 => ("lz4", lz4(&bytes)),
        Compressor::Zstd => ("zstd", zstd::encode_all(bytes.as_slice(), 3)),
    };
    let what = "it cannot be compressed";
    compressed.map_err(|_| FormatError::Malformed { format, at: 0, what })
}

fn zlib(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(4))?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn lz4(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes)?;
    encoder.finish().map_err(io::Error::other)
}

/// Decompresses by magic; `None` for bytes without one, which are stored plain.
///
/// No serializer's bytes begin like any of these: a pickle that long begins with its protocol, and
/// what MessagePack writes with such a first byte is a whole small int, which is stored as digits.
///
/// # Errors
/// `Malformed` for what breaks off or asks for more memory than any value needs; `TooLarge` beyond
/// [`MAX_VALUE`].
pub(crate) fn decompress(bytes: &[u8]) -> Result<Option<Vec<u8>>, FormatError> {
    match bytes {
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => inflate(ZlibDecoder::new(bytes), "zlib"),
        [0x1f, 0x8b, 0x08, ..] => inflate(MultiGzDecoder::new(bytes), "gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            inflate(XzReader::new_mem_limit(bytes, true, XZ_MEMORY), "lzma")
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => inflate(FrameDecoder::new(bytes), "lz4"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => inflate(zstd_reader(bytes)?, "zstd"),
        _ => return Ok(None),
    }
    .map(Some)
}

fn zstd_reader(bytes: &[u8]) -> Result<impl Read, FormatError> {
    let failed =
        |_| FormatError::Malformed { format: "zstd", at: 0, what: "it cannot be decompressed" };
    let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(failed)?;
    decoder.window_log_max(ZSTD_WINDOW).map_err(failed)?;
    Ok(decoder)
}

fn inflate(reader: impl Read, format: &'static str) -> Result<Vec<u8>, FormatError> {
    let mut inflated = Vec::new();
    let read = reader.take(MAX_VALUE as u64 + 1).read_to_end(&mut inflated);
    read.map_err(|_| FormatError::Malformed {
        format,
        at: inflated.len(),
        what: "it cannot be decompressed",
    })?;
    check_size(inflated.len())?;
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Compressor; 5] =
        [Compressor::Zlib, Compressor::Gzip, Compressor::Lzma, Compressor::Lz4, Compressor::Zstd];

    #[test]
    fn short_values_stay_plain_as_in_django_redis() {
        for compressor in ALL {
            let least = if compressor == Compressor::Lzma { 100 } else { 15 };
            let short = vec![b'a'; least];
            assert_eq!(compress(short.clone(), compressor).unwrap(), short);
            let long = vec![b'a'; least + 1];
            let stored = compress(long.clone(), compressor).unwrap();
            assert_ne!(stored, long, "{compressor:?}");
            assert_eq!(decompress(&stored).unwrap(), Some(long), "{compressor:?}");
        }
    }

    #[test]
    fn a_small_value_that_unpacks_to_a_huge_one_is_refused() {
        for compressor in ALL {
            let bomb = compress(vec![b' '; MAX_VALUE + 1], compressor).unwrap();
            assert!(bomb.len() < MAX_VALUE / 100, "{compressor:?}: {}", bomb.len());
            let error = decompress(&bomb).unwrap_err();
            assert!(matches!(error, FormatError::TooLarge { .. }), "{compressor:?}: {error}");
        }
    }

    #[test]
    fn what_asks_for_huge_memory_is_refused_before_it_has_it() {
        // A zstd frame with a window of 2 GiB.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(matches!(decompress(&window), Err(FormatError::Malformed { .. })));
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = 512 << 20;
        let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
        encoder.write_all(b"small").unwrap();
        let dictionary = encoder.finish().unwrap();
        assert!(matches!(decompress(&dictionary), Err(FormatError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn whatever_is_compressed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            for compressor in ALL {
                let stored = compress(bytes.clone(), compressor).unwrap();
                if bytes.len() > 100 {
                    let found = decompress(&stored).unwrap();
                    prop_assert_eq!(found.as_ref(), Some(&bytes));
                }
            }
        }

        #[test]
        fn damaged_streams_never_panic(
            bytes in proptest::collection::vec(0_u8..4, 101..2000),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            for compressor in ALL {
                let mut stored = compress(bytes.clone(), compressor).unwrap();
                let _ = decompress(&stored[..cut.index(stored.len())]);
                for (at, byte) in &changes {
                    let at = at.index(stored.len());
                    stored[at] = *byte;
                }
                let _ = decompress(&stored);
            }
        }
    }
}
