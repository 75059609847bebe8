//! MessagePack as Python's `msgpack` writes it for django-redis: no extension types.

use crate::{
    codec::{check_depth, check_size},
    format::FormatError,
    value::PyValue,
};

/// The most values that one message may hold.
const MAX_ELEMENTS: usize = 1_000_000;

/// Returns the message for a value; tuples are written as arrays, as Python does.
///
/// # Errors
/// `Unsupported` for what Python's packer refuses (sets, times, decimals, ints beyond 64 bits), and
/// `TooLarge` beyond the caps.
pub(crate) fn write(value: &PyValue) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    put(&mut out, value, 0)?;
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &PyValue, depth: usize) -> Result<(), FormatError> {
    check_depth(depth)?;
    check_size(out.len())?;
    match value {
        PyValue::None => out.push(0xc0),
        PyValue::Bool(b) => out.push(0xc2 + u8::from(*b)),
        PyValue::Int(i) => put_int(out, *i),
        PyValue::BigInt(i) => {
            let unsigned: u64 = i.as_str().parse().map_err(|_| FormatError::unsupported("int"))?;
            out.push(0xcf);
            out.extend(unsigned.to_be_bytes());
        }
        PyValue::Float(f) => {
            out.push(0xcb);
            out.extend(f.to_be_bytes());
        }
        PyValue::Str(s) => {
            put_len(out, s.len(), Some((0xa0, 32)), [Some(0xd9), Some(0xda), Some(0xdb)])?;
            out.extend_from_slice(s.as_bytes());
        }
        PyValue::Bytes(b) | PyValue::ByteArray(b) => {
            put_len(out, b.len(), None, [Some(0xc4), Some(0xc5), Some(0xc6)])?;
            out.extend_from_slice(b);
        }
        PyValue::List(items) | PyValue::Tuple(items) => {
            put_len(out, items.len(), Some((0x90, 16)), [None, Some(0xdc), Some(0xdd)])?;
            items.iter().try_for_each(|item| put(out, item, depth + 1))?;
        }
        PyValue::Dict(pairs) | PyValue::OrderedDict(pairs) => {
            put_len(out, pairs.len(), Some((0x80, 16)), [None, Some(0xde), Some(0xdf)])?;
            for (key, value) in pairs {
                // The reader's `strict_map_key` refuses all others.
                if !matches!(key, PyValue::Str(_) | PyValue::Bytes(_)) {
                    return Err(FormatError::unsupported(
                        "a key in msgpack that is neither text nor bytes",
                    ));
                }
                put(out, key, depth + 1)?;
                put(out, value, depth + 1)?;
            }
        }
        PyValue::Set(_) => return Err(FormatError::unsupported("set in msgpack")),
        PyValue::FrozenSet(_) => return Err(FormatError::unsupported("frozenset in msgpack")),
        PyValue::DateTime(_) | PyValue::Date(_) | PyValue::Time(_) | PyValue::TimeDelta(_) => {
            return Err(FormatError::unsupported("time in msgpack"));
        }
        PyValue::Decimal(_) => return Err(FormatError::unsupported("decimal.Decimal in msgpack")),
        PyValue::Uuid(_) => return Err(FormatError::unsupported("uuid.UUID in msgpack")),
    }
    Ok(())
}

fn put_int(out: &mut Vec<u8>, i: i64) {
    if let Ok(small) = i8::try_from(i)
        && small >= -32
    {
        out.push(small.cast_unsigned());
    } else if let Ok(i) = i32::try_from(i) {
        out.push(0xd2);
        out.extend(i.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend(i.to_be_bytes());
    }
}

/// Writes a length in the shortest of the forms that a type has: in the tag, or in 1, 2 or 4 bytes.
fn put_len(
    out: &mut Vec<u8>,
    len: usize,
    fixed: Option<(u8, usize)>,
    [one, two, four]: [Option<u8>; 3],
) -> Result<(), FormatError> {
    check_size(len)?;
    // The cap above lies below `u32::MAX`.
    let bytes = (len as u32).to_be_bytes();
    match (fixed, one, two, four) {
        (Some((tag, end)), ..) if len < end => out.push(tag | bytes[3]),
        (_, Some(tag), ..) if len < 1 << 8 => out.extend([tag, bytes[3]]),
        (_, _, Some(tag), _) if len < 1 << 16 => out.extend([tag, bytes[2], bytes[3]]),
        (_, _, _, Some(tag)) => {
            out.push(tag);
            out.extend(bytes);
        }
        _ => return Err(FormatError::unsupported("a length without a form")),
    }
    Ok(())
}

/// Reads one message, to its end.
///
/// # Errors
/// `Unsupported` for extension types, `TooLarge` beyond the caps, `Malformed` for all else.
pub(crate) fn read(bytes: &[u8]) -> Result<PyValue, FormatError> {
    let mut reader = Reader { bytes, at: 0, elements: 0 };
    let value = reader.value(0)?;
    if reader.at < bytes.len() {
        return Err(reader.error("more bytes after the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { format: "msgpack", at: self.at, what }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let taken = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.error("it ends early"))?;
        self.at += len;
        Ok(taken)
    }

    /// Takes a big-endian number of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, FormatError> {
        Ok(self.take(width)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, width: usize) -> Result<i64, FormatError> {
        let unused = 64 - 8 * width;
        Ok(self.unsigned(width)?.cast_signed() << unused >> unused)
    }

    fn len(&mut self, width: usize) -> Result<usize, FormatError> {
        let len = self.unsigned(width)?;
        usize::try_from(len).map_err(|_| self.error("it ends early"))
    }

    fn value(&mut self, depth: usize) -> Result<PyValue, FormatError> {
        check_depth(depth)?;
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(FormatError::TooLarge { limit: MAX_ELEMENTS, of: "elements" });
        }
        let tag = self.take(1)?[0];
        // Widths of the tags that come in rows of 1, 2, 4 and 8 bytes.
        let width = |first: u8| 1_usize << (tag - first);
        Ok(match tag {
            0x00..=0x7f | 0xe0.. => PyValue::Int(tag.cast_signed().into()),
            0x80..=0x8f => self.map(usize::from(tag & 0x0f), depth)?,
            0x90..=0x9f => self.array(usize::from(tag & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(tag & 0x1f))?,
            0xc0 => PyValue::None,
            0xc2 | 0xc3 => PyValue::Bool(tag == 0xc3),
            0xc4..=0xc6 => {
                let len = self.len(width(0xc4))?;
                PyValue::Bytes(self.take(len)?.to_vec())
            }
            0xca => PyValue::Float(f32::from_bits(self.unsigned(4)? as u32).into()),
            0xcb => PyValue::Float(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => PyValue::from(serde_json::Value::from(self.unsigned(width(0xcc))?)),
            0xd0..=0xd3 => PyValue::Int(self.signed(width(0xd0))?),
            0xd9..=0xdb => {
                let len = self.len(width(0xd9))?;
                self.text(len)?
            }
            0xdc | 0xdd => {
                let len = self.len(2 * width(0xdc))?;
                self.array(len, depth)?
            }
            0xde | 0xdf => {
                let len = self.len(2 * width(0xde))?;
                self.map(len, depth)?
            }
            0xc7..=0xc9 | 0xd4..=0xd8 => {
                return Err(FormatError::unsupported("a msgpack extension type"));
            }
            0xc1 => return Err(self.error("the tag that is never used")),
        })
    }

    fn text(&mut self, len: usize) -> Result<PyValue, FormatError> {
        let bytes = self.take(len)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.error("text is not UTF-8"))?;
        Ok(PyValue::from(text))
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<PyValue, FormatError> {
        (0..len).map(|_| self.value(depth + 1)).collect::<Result<_, _>>().map(PyValue::List)
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<PyValue, FormatError> {
        let pairs = (0..len).map(|_| Ok((self.value(depth + 1)?, self.value(depth + 1)?)));
        pairs.collect::<Result<_, _>>().map(PyValue::Dict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_length_and_an_int_comes_back() {
        let mut values: Vec<PyValue> = [0, 31, 32, 255, 256, 65_535, 65_536]
            .iter()
            .flat_map(|len| {
                let items = vec![PyValue::None; *len];
                let pairs =
                    (0..*len).map(|n| (PyValue::Str(n.to_string()), PyValue::None)).collect();
                let bytes = PyValue::Bytes(vec![1; *len]);
                [PyValue::Str("x".repeat(*len)), bytes, PyValue::List(items), PyValue::Dict(pairs)]
            })
            .collect();
        values.extend([-33, -32, -1, 127, 128, i64::MIN, i64::MAX, 1 << 31].map(PyValue::Int));
        values.push(PyValue::from(serde_json::json!(u64::MAX)));
        for value in values {
            assert_eq!(read(&write(&value).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        for tag in [0xc6, 0xdb, 0xdd, 0xdf] {
            let error = read(&[tag, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
            assert!(matches!(error, FormatError::Malformed { .. }), "{error}");
        }
        assert!(matches!(read(&[0x91; 1000]), Err(FormatError::TooLarge { .. })));
        assert!(matches!(read(&[0xd4, 1, 1]), Err(FormatError::Unsupported { .. })));
    }
}
