//! A cache value's bytes, as django-redis writes and reads them.

use crate::config::{Compressor, Serializer};

use rhubarb_pyvalue::{json, msgpack, pickle};

pub use crate::size::MAX_VALUE;

use crate::{FormatError, PyValue, compress, size::check_size};

/// Returns the bytes that django-redis would store: an int as its digits, all else serialised.
///
/// # Errors
/// See [`FormatError`]: the value does not fit the serializer or passes a cap.
pub fn encode(value: &PyValue, serializer: Serializer) -> Result<Vec<u8>, FormatError> {
    let bytes = match (value, serializer) {
        (PyValue::Int(i), _) => i.to_string().into_bytes(),
        (PyValue::BigInt(i), _) => i.to_string().into_bytes(),
        (_, Serializer::Pickle) => pickle::write(value)?,
        (_, Serializer::Json) => json::write(value)?,
        (_, Serializer::MsgPack) => msgpack::write(value)?,
    };
    check_size(bytes.len())?;
    Ok(bytes)
}

/// Returns the bytes that django-redis would store with a `COMPRESSOR`; ints stay digits.
///
/// # Errors
/// As for [`encode`].
pub fn encode_compressed(
    value: &PyValue,
    serializer: Serializer,
    compressor: Compressor,
) -> Result<Vec<u8>, FormatError> {
    let bytes = encode(value, serializer)?;
    match value {
        PyValue::Int(_) | PyValue::BigInt(_) => Ok(bytes),
        _ => compress::compress(bytes, compressor),
    }
}

/// Reads a stored value: an int's digits first, then decompressed by its magic and deserialised.
///
/// # Errors
/// See [`FormatError`]. A value that cannot be read belongs to someone: leave it as it is.
pub fn decode(bytes: &[u8], serializer: Serializer) -> Result<PyValue, FormatError> {
    check_size(bytes.len())?;
    if let Some(int) = python_int(bytes) {
        return Ok(int);
    }
    let inflated = compress::decompress(bytes)?;
    let bytes = inflated.as_deref().unwrap_or(bytes);
    match serializer {
        Serializer::Pickle => pickle::read(bytes),
        Serializer::Json => json::read(bytes),
        Serializer::MsgPack => msgpack::read(bytes),
    }
}

/// Python's `int(bytes)`: white space around, one sign, single underscores between digits.
fn python_int(bytes: &[u8]) -> Option<PyValue> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(space);
    if !text.contains('_') {
        return PyValue::parse_int(text);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits.split('_').all(|group| !group.is_empty());
    if whole { PyValue::parse_int(&text.replace('_', "")) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_first_as_python_reads_them() {
        let check = |bytes: &[u8], int: Option<i64>| {
            assert_eq!(python_int(bytes), int.map(PyValue::Int), "{}", bytes.escape_ascii());
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
