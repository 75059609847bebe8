//! MessagePack as kombu writes it, read as the JSON value that kombu would have written instead.
//!
//! Kombu (5.4 and 5.7, `register_msgpack`) packs with `use_bin_type=True` and unpacks with
//! `raw=False`: text is UTF-8, bytes are a type of their own, keys are text or bytes, and there are
//! no extension types. Bytes become the markers of kombu's JSON (see [`plain`](crate::plain())).

use base64::Engine;
use serde_json::{Map, Value, json};

use crate::body::STANDARD;
use crate::exact::sealed;
use crate::reader::Budget;

/// Reads one value, to the end of `bytes`; the error is the reason as text.
///
/// A claimed length allocates nothing: memory is in proportion to the bytes that are there.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { bytes, at: 0, budget: Budget::of(bytes.len()) };
    let value = reader.value(0).and_then(|value| match reader.bytes.len() - reader.at {
        0 => Ok(value),
        more => Err(format!("{more} bytes follow the value")),
    });
    value.map_err(|reason| format!("not MessagePack: {reason} at byte {}", reader.at))
}

/// As deep as Python's packer goes.
const DEPTH: usize = 512;

/// About what the marker of bytes takes beside them, bytes.
const MARKER: usize = 512;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth >= DEPTH {
            return Err(format!("nested deeper than {DEPTH} levels"));
        }
        let tag = self.take(1)?[0];
        // Tags of one kind come in rows of widths: 1, 2, 4 and 8 bytes.
        let width = |first: u8| 1_usize << (tag - first);
        match tag {
            0x80..=0x8f => self.map(usize::from(tag & 0x0f), depth),
            0x90..=0x9f => self.array(usize::from(tag & 0x0f), depth),
            0xdc | 0xdd => {
                let length = self.length(2 * width(0xdc))?;
                self.array(length, depth)
            }
            0xde | 0xdf => {
                let length = self.length(2 * width(0xde))?;
                self.map(length, depth)
            }
            tag => self.scalar(tag),
        }
    }

    /// Reads what holds no other values; apart, so that the stack has room for many levels of the
    /// others.
    fn scalar(&mut self, tag: u8) -> Result<Value, String> {
        let width = |first: u8| 1_usize << (tag - first);
        match tag {
            0x00..=0x7f | 0xe0.. => Ok(json!(tag.cast_signed())),
            0xa0..=0xbf => self.text(usize::from(tag & 0x1f)).map(Value::from),
            0xc0 => Ok(Value::Null),
            0xc2 | 0xc3 => Ok(json!(tag == 0xc3)),
            0xc4..=0xc6 => {
                let length = self.length(width(0xc4))?;
                self.budget.value(2 * length + MARKER)?;
                Ok(marked(self.take(length)?))
            }
            0xca => {
                let bits = u32::try_from(self.unsigned(4)?).unwrap_or_default();
                Ok(float(f32::from_bits(bits).into()))
            }
            0xcb => Ok(float(f64::from_bits(self.unsigned(8)?))),
            0xcc..=0xcf => Ok(json!(self.unsigned(width(0xcc))?)),
            0xd0..=0xd3 => Ok(json!(self.signed(width(0xd0))?)),
            0xd9..=0xdb => {
                let length = self.length(width(0xd9))?;
                self.text(length).map(Value::from)
            }
            0xc7..=0xc9 | 0xd4..=0xd8 => Err("an extension type".to_owned()),
            _ => Err("the tag that is never used".to_owned()),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let taken = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or("it ends early")?;
        self.at += length;
        Ok(taken)
    }

    /// Takes a big-endian number of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, width: usize) -> Result<i64, String> {
        let unused = 64 - 8 * width;
        Ok(self.unsigned(width)?.cast_signed() << unused >> unused)
    }

    fn length(&mut self, width: usize) -> Result<usize, String> {
        usize::try_from(self.unsigned(width)?).map_err(|_| "it ends early".to_owned())
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        self.budget.value(length)?;
        let text = std::str::from_utf8(self.take(length)?);
        text.map(str::to_owned).map_err(|_| "text is not UTF-8".to_owned())
    }

    fn array(&mut self, length: usize, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        for _ in 0..length {
            self.budget.value(0)?;
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        for _ in 0..length {
            let key = self.key()?;
            self.budget.key(key.len())?;
            map.insert(key, self.value(depth + 1)?);
        }
        Ok(Value::Object(map))
    }

    fn key(&mut self) -> Result<String, String> {
        let tag = self.take(1)?[0];
        let length = match tag {
            0xa0..=0xbf => usize::from(tag & 0x1f),
            0xc4..=0xc6 => self.length(1 << (tag - 0xc4))?,
            0xd9..=0xdb => self.length(1 << (tag - 0xd9))?,
            _ => return Err("a key is no text".to_owned()),
        };
        self.text(length)
    }
}

/// A float; one that JSON does not know is sealed.
fn float(value: f64) -> Value {
    if value.is_finite() {
        return Value::from(value);
    }
    let infinite = if value > 0.0 { "Infinity" } else { "-Infinity" };
    Value::from(sealed(if value.is_nan() { "NaN" } else { infinite }))
}

fn marked(bytes: &[u8]) -> Value {
    let (kind, value) = match std::str::from_utf8(bytes) {
        Ok(text) => ("bytes", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(bytes)),
    };
    json!({"__type__": kind, "__value__": value})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read() {
        let check = |bytes: &[u8], expected: Value| assert_eq!(read(bytes), Ok(expected));
        check(b"\xc0", json!(null));
        check(b"\x93\xc2\xc3\x7f", json!([false, true, 127]));
        check(b"\x92\xe0\xd0\x80", json!([-32, -128]));
        check(b"\xd3\x80\0\0\0\0\0\0\0", json!(i64::MIN));
        check(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX));
        check(b"\x92\xca\x3f\xc0\0\0\xcb\xbf\xf8\0\0\0\0\0\0", json!([1.5, -1.5]));
        let odd = read(b"\x93\xcb\x7f\xf0\0\0\0\0\0\0\xca\xff\x80\0\0\xcb\x7f\xf8\0\0\0\0\0\0");
        assert_eq!(crate::exact::json(&odd.unwrap()), "[Infinity, -Infinity, NaN]");
        check(b"\x82\xa1a\x01\xc4\x01b\xd9\x01c", json!({"a": 1, "b": "c"}));
        check(b"\xde\0\x01\xda\0\x01k\xdc\0\x01\xdb\0\0\0\x01v", json!({"k": ["v"]}));
        check(b"\xc4\x02ab", json!({"__type__": "bytes", "__value__": "ab"}));
        check(b"\xc5\0\x02\0\xff", json!({"__type__": "base64", "__value__": "AP8="}));
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(read(bytes), Err(format!("not MessagePack: {expected}")));
        };
        check(b"", "it ends early at byte 0");
        check(b"\xc0\xc0", "1 bytes follow the value at byte 1");
        check(b"\xd4\x01\x01", "an extension type at byte 1");
        check(b"\xc1", "the tag that is never used at byte 1");
        check(b"\xa1\xff", "text is not UTF-8 at byte 2");
        check(b"\x81\x01\x01", "a key is no text at byte 2");
        check(&[0x91; 2000], "nested deeper than 512 levels at byte 512");
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        for tag in [0xc6, 0xdb, 0xdd, 0xdf] {
            assert!(read(&[tag, 0xff, 0xff, 0xff, 0xff]).is_err(), "{tag:x}");
        }
    }
}
