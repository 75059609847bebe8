//! A cache value's bytes, as django-redis writes and reads them.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use rhubarb_core::config::Serializer;

use crate::{
    bigint::Integer,
    format::FormatError,
    msgpack, pickle,
    value::{MAX_DEPTH, PyValue},
};

/// The greatest value that is read or written, in bytes, before and after decompression.
pub const MAX_VALUE: usize = 16 << 20;

/// Returns the bytes that django-redis would store: an int as its digits, all else serialised.
///
/// # Errors
/// See [`FormatError`]: the value does not fit the serializer or passes a cap.
pub fn encode(value: &PyValue, serializer: Serializer) -> Result<Vec<u8>, FormatError> {
    let bytes = match (value, serializer) {
        (PyValue::Int(i), _) => i.to_string().into_bytes(),
        (PyValue::BigInt(i), _) => i.as_str().as_bytes().to_vec(),
        (_, Serializer::Pickle) => pickle::write(value)?,
        (_, Serializer::Json) => {
            serde_json::to_vec(&value.to_json()?).map_err(FormatError::Json)?
        }
        (_, Serializer::MsgPack) => msgpack::write(value)?,
    };
    check_size(bytes.len())?;
    Ok(bytes)
}

/// Reads a stored value: an int's digits first, then decompressed by its magic and deserialised.
///
/// # Errors
/// See [`FormatError`]. A value that cannot be read belongs to someone: leave it as it is.
pub fn decode(bytes: &[u8], serializer: Serializer) -> Result<PyValue, FormatError> {
    check_size(bytes.len())?;
    if let Some(int) = python_int(bytes) {
        return Ok(PyValue::from(int));
    }
    let inflated = decompress(bytes)?;
    let bytes = inflated.as_deref().unwrap_or(bytes);
    match serializer {
        Serializer::Pickle => pickle::read(bytes),
        Serializer::Json => {
            let json: serde_json::Value =
                serde_json::from_slice(bytes).map_err(FormatError::Json)?;
            Ok(PyValue::from(json))
        }
        Serializer::MsgPack => msgpack::read(bytes),
    }
}

pub(crate) fn check_size(len: usize) -> Result<(), FormatError> {
    if len > MAX_VALUE {
        Err(FormatError::TooLarge { limit: MAX_VALUE, of: "bytes" })
    } else {
        Ok(())
    }
}

pub(crate) fn check_depth(depth: usize) -> Result<(), FormatError> {
    if depth > MAX_DEPTH {
        return Err(FormatError::TooLarge { limit: MAX_DEPTH, of: "nested levels" });
    }
    Ok(())
}

/// Python's `int(bytes)`: white space around, one sign, single underscores between digits.
fn python_int(bytes: &[u8]) -> Option<Integer> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(space);
    if !text.contains('_') {
        return Integer::parse(text);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits.split('_').all(|group| !group.is_empty());
    if whole { Integer::parse(&text.replace('_', "")) } else { None }
}

/// Decompresses by magic; values of 15 bytes or fewer are stored plain whatever the setting.
fn decompress(bytes: &[u8]) -> Result<Option<Vec<u8>>, FormatError> {
    match bytes {
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => inflate(ZlibDecoder::new(bytes), "zlib").map(Some),
        [0x1f, 0x8b, 0x08, ..] => inflate(MultiGzDecoder::new(bytes), "gzip").map(Some),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Err(FormatError::Compressor { compressor: "lzma" })
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => Err(FormatError::Compressor { compressor: "lz4" }),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(FormatError::Compressor { compressor: "zstd" }),
        _ => Ok(None),
    }
}

fn inflate(reader: impl Read, format: &'static str) -> Result<Vec<u8>, FormatError> {
    let mut inflated = Vec::new();
    let cap = MAX_VALUE as u64 + 1;
    let read = reader.take(cap).read_to_end(&mut inflated);
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
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    #[test]
    fn digits_are_read_first_as_python_reads_them() {
        let check = |bytes: &[u8], int: Option<i64>| {
            assert_eq!(python_int(bytes), int.map(Integer::Small), "{}", bytes.escape_ascii());
        };
        for (bytes, int) in
            [(&b" 12 "[..], 12), (b"1_000", 1000), (b"\n-7\x0b", -7), (b"+0_0", 0), (b"007", 7)]
        {
            check(bytes, Some(int));
        }
        for bytes in
            [&b""[..], b" ", b"_1", b"1_", b"1__0", b"-_1", b"- 1", b"1.0", b"\xc2\xa01", b"0x1"]
        {
            check(bytes, None);
        }
    }

    #[test]
    fn an_int_is_stored_as_digits_by_every_serializer() {
        for serializer in [Serializer::Pickle, Serializer::Json, Serializer::MsgPack] {
            for text in ["-41", "1180591620717411303424"] {
                let value = decode(text.as_bytes(), serializer).unwrap();
                assert_eq!(encode(&value, serializer).unwrap(), text.as_bytes());
            }
        }
    }

    #[test]
    fn a_small_value_that_unpacks_to_a_huge_one_is_refused() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; MAX_VALUE + 1]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 32 << 10);
        let error = decode(&bomb, Serializer::Json).unwrap_err();
        assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_value_over_the_cap_is_neither_read_nor_written() {
        let text = PyValue::Str("x".repeat(MAX_VALUE));
        for serializer in [Serializer::Pickle, Serializer::Json, Serializer::MsgPack] {
            let error = encode(&text, serializer).unwrap_err();
            assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
            let error = decode(&vec![b'['; MAX_VALUE + 1], serializer).unwrap_err();
            assert!(matches!(error, FormatError::TooLarge { .. }), "{error}");
        }
    }
}
