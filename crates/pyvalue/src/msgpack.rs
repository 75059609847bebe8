//! MessagePack as Python's `msgpack` has it: no extension types.
//!
//! The forms of ints and lengths are `rmp`'s, the shortest that there are, as Python writes them.
//! What is bounded is ours: depth, number of values and memory, which no reader of whole values
//! that we know of counts before it takes them.

use rmp::{Marker, decode, encode};

use crate::{
    error::FormatError,
    limits::{BLOCK, Budget, check_depth, check_size, too_deep},
    tree::{Python, Tree},
    value::PyValue,
};

/// About what stands for bytes takes beside twice their length where JSON is made of them, bytes.
const MARKED: usize = 512;

/// Returns the message for a value; tuples are written as arrays, as Python does.
///
/// # Errors
/// `Unsupported` for what Python's packer refuses (sets, times, decimals, ints beyond 64 bits), and
/// `TooLarge` beyond the caps.
///
/// ```
/// use rhubarb_pyvalue::{PyValue, msgpack};
///
/// let value = PyValue::Tuple(vec![PyValue::Int(200), PyValue::Bytes(vec![0])]);
/// let bytes = msgpack::write(&value)?;
/// assert_eq!(bytes, b"\x92\xcc\xc8\xc4\x01\0");
/// let list = PyValue::List(vec![PyValue::Int(200), PyValue::Bytes(vec![0])]);
/// assert_eq!(msgpack::read(&bytes)?, list);
/// # Ok::<(), rhubarb_pyvalue::FormatError>(())
/// ```
pub fn write(value: &PyValue) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    put(&mut out, value, 0)?;
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &PyValue, depth: usize) -> Result<(), FormatError> {
    check_depth(depth)?;
    check_size(out.len())?;
    match value {
        PyValue::None => in_memory(encode::write_nil(out)),
        PyValue::Bool(flag) => in_memory(encode::write_bool(out, *flag)),
        PyValue::Int(int) => in_memory(encode::write_sint(out, *int)),
        PyValue::BigInt(int) => {
            let int = u64::try_from(int).map_err(|_| FormatError::unsupported("int"))?;
            in_memory(encode::write_uint(out, int));
        }
        PyValue::Float(float) => in_memory(encode::write_f64(out, *float)),
        PyValue::Str(text) => {
            in_memory(encode::write_str_len(out, length(text.len())?));
            out.extend_from_slice(text.as_bytes());
        }
        PyValue::Bytes(bytes) | PyValue::ByteArray(bytes) => {
            in_memory(encode::write_bin_len(out, length(bytes.len())?));
            out.extend_from_slice(bytes);
        }
        PyValue::List(items) | PyValue::Tuple(items) => {
            in_memory(encode::write_array_len(out, length(items.len())?));
            items.iter().try_for_each(|item| put(out, item, depth + 1))?;
        }
        PyValue::Dict(pairs) | PyValue::OrderedDict(pairs) => {
            in_memory(encode::write_map_len(out, length(pairs.len())?));
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

/// Drops what `rmp` says of writing into memory, which cannot fail.
fn in_memory<T, E>(_: Result<T, E>) {}

fn length(length: usize) -> Result<u32, FormatError> {
    check_size(length)?;
    // The cap above lies below `u32::MAX`.
    Ok(length as u32)
}

/// Reads one message, to its end.
///
/// # Errors
/// `Unsupported` for extension types, `TooLarge` beyond the caps, `Malformed` for all else.
pub fn read(bytes: &[u8]) -> Result<PyValue, FormatError> {
    read_tree::<Python>(bytes, Budget::of_python())
}

/// A claimed length allocates nothing: memory is in proportion to the bytes that are there.
pub(crate) fn read_tree<T: Tree>(bytes: &[u8], budget: Budget) -> Result<T::Value, FormatError> {
    let mut reader = Reader { length: bytes.len(), rest: bytes, budget };
    let value = reader.value::<T>(0)?;
    if !reader.rest.is_empty() {
        return Err(reader.error("more bytes follow the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    length: usize,
    rest: &'a [u8],
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { format: "msgpack", at: self.length - self.rest.len(), what }
    }

    /// Reads the marker and the number of one value; there is one way in which that can fail.
    fn head<N, E>(
        &mut self,
        read: impl FnOnce(&mut &'a [u8]) -> Result<N, E>,
    ) -> Result<N, FormatError> {
        let before = self.rest;
        read(&mut self.rest).map_err(|_| {
            self.rest = before;
            self.error("it ends early")
        })
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], FormatError> {
        let taken = self.rest.split_at_checked(length as usize);
        let (taken, rest) = taken.ok_or_else(|| self.error("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn peek(&self) -> Result<Marker, FormatError> {
        let first = self.rest.first().ok_or_else(|| self.error("it ends early"))?;
        Ok(Marker::from_u8(*first))
    }

    fn value<T: Tree>(&mut self, depth: usize) -> Result<T::Value, FormatError> {
        match self.peek()? {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let length = self.head(decode::read_array_len)?;
                self.array::<T>(length, depth)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let length = self.head(decode::read_map_len)?;
                self.map::<T>(length, depth)
            }
            marker => self.scalar::<T>(marker),
        }
    }

    /// Reads what holds no other values; apart, so that the stack has room for many levels of the
    /// others.
    fn scalar<T: Tree>(&mut self, marker: Marker) -> Result<T::Value, FormatError> {
        let leaf = match marker {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.text()?,
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => self.bytes()?,
            Marker::Null => self.head(decode::read_nil).map(|()| PyValue::None)?,
            Marker::False | Marker::True => PyValue::Bool(self.head(decode::read_bool)?),
            Marker::F32 => PyValue::Float(self.head(decode::read_f32)?.into()),
            Marker::F64 => PyValue::Float(self.head(decode::read_f64)?),
            Marker::U64 => PyValue::from(self.head(decode::read_u64)?),
            Marker::Reserved => return Err(self.error("the tag that is never used")),
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => return Err(extension()),
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 => return Err(extension()),
            Marker::FixExt8 | Marker::FixExt16 => return Err(extension()),
            _ => PyValue::Int(self.head(decode::read_int)?),
        };
        self.budget.value(0)?;
        Ok(T::leaf(leaf))
    }

    fn text(&mut self) -> Result<PyValue, FormatError> {
        let length = self.head(decode::read_str_len)?;
        self.budget.bytes((length as usize).saturating_add(BLOCK))?;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(PyValue::from).map_err(|_| self.error("text is not UTF-8"))
    }

    /// Counts them before they are taken: where JSON is made of them, they are told in many words.
    fn bytes(&mut self) -> Result<PyValue, FormatError> {
        let length = self.head(decode::read_bin_len)?;
        self.budget.bytes((length as usize).saturating_mul(2).saturating_add(MARKED))?;
        Ok(PyValue::Bytes(self.take(length)?.to_vec()))
    }

    /// Counts a container, and tells whether it may be there.
    fn open(&mut self, length: u32, depth: usize) -> Result<(), FormatError> {
        self.budget.value(0)?;
        if length > 0 {
            self.budget.container()?;
        }
        if depth >= self.budget.depth && length > 0 {
            return Err(too_deep(self.budget.depth));
        }
        Ok(())
    }

    fn array<T: Tree>(&mut self, length: u32, depth: usize) -> Result<T::Value, FormatError> {
        self.open(length, depth)?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value::<T>(depth + 1)?);
        }
        Ok(T::list(items))
    }

    fn map<T: Tree>(&mut self, length: u32, depth: usize) -> Result<T::Value, FormatError> {
        self.open(length, depth)?;
        let mut pairs = Vec::new();
        for _ in 0..length {
            let key = T::key(self.value::<Python>(depth + 1)?);
            let key = key.ok_or_else(|| self.error("a key is no text"))?;
            self.budget.key(0)?;
            pairs.push((key, self.value::<T>(depth + 1)?));
        }
        Ok(T::dict(pairs.into_iter()))
    }
}

fn extension() -> FormatError {
    FormatError::unsupported("a msgpack extension type")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::exact::{self, read_msgpack};

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
        values.push(PyValue::from(u64::MAX));
        for value in values {
            assert_eq!(read(&write(&value).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn every_type_is_read() {
        let check = |bytes: &[u8], expected: Value| {
            assert_eq!(read_msgpack(bytes).unwrap(), expected);
        };
        check(b"\xc0", json!(null));
        check(b"\x93\xc2\xc3\x7f", json!([false, true, 127]));
        check(b"\x92\xe0\xd0\x80", json!([-32, -128]));
        check(b"\xd3\x80\0\0\0\0\0\0\0", json!(i64::MIN));
        check(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX));
        check(b"\x92\xca\x3f\xc0\0\0\xcb\xbf\xf8\0\0\0\0\0\0", json!([1.5, -1.5]));
        let odd =
            read_msgpack(b"\x93\xcb\x7f\xf0\0\0\0\0\0\0\xca\xff\x80\0\0\xcb\x7f\xf8\0\0\0\0\0\0");
        assert_eq!(exact::json(&odd.unwrap()), "[Infinity, -Infinity, NaN]");
        check(b"\x82\xa1a\x01\xc4\x01b\xd9\x01c", json!({"a": 1, "b": "c"}));
        check(b"\xde\0\x01\xda\0\x01k\xdc\0\x01\xdb\0\0\0\x01v", json!({"k": ["v"]}));
        check(b"\xc4\x02ab", json!({"__type__": "bytes", "__value__": "ab"}));
        check(b"\xc5\0\x02\0\xff", json!({"__type__": "base64", "__value__": "AP8="}));
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(read_msgpack(bytes).unwrap_err().to_string(), expected);
        };
        check(b"", "broken msgpack at byte 0: it ends early");
        check(b"\xcc", "broken msgpack at byte 0: it ends early");
        check(b"\xc0\xc0", "broken msgpack at byte 1: more bytes follow the value");
        check(b"\xd4\x01\x01", &extension().to_string());
        check(b"\xc1", "broken msgpack at byte 0: the tag that is never used");
        check(b"\xa1\xff", "broken msgpack at byte 2: text is not UTF-8");
        check(b"\x81\x01\x01", "broken msgpack at byte 2: a key is no text");
        check(&[0x91; 2000], "the value passes the limit of 512 nested levels");
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
