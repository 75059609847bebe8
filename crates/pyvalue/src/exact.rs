//! JSON as `serde_json`'s values, with what they cannot hold kept as the text that it was.
//!
//! Python writes `NaN`, integers of any size and halves of surrogate pairs; `serde_json` has no
//! room for them. What only passes through a worker must not change, so such a value is *sealed*: a
//! text that begins with a mark and goes on with the value's JSON. [`json()`] writes that JSON
//! again; [`open`] gives what a handler can use. The mark is drawn at random by each process, so
//! that nobody outside can write a text that counts as sealed.
//!
//! Depth and memory are bounded: 1,000 levels of JSON, 512 of MessagePack; 64 MiB, or twelve times
//! the length of a longer text.
//!
//! ```
//! use rhubarb_pyvalue::exact;
//!
//! let value = exact::read(b"[NaN, 1e400, 1.10, 1180591620717411303424]")?;
//! assert_eq!(exact::json(&value), "[NaN, 1e400, 1.10, 1180591620717411303424]");
//! let opened = serde_json::json!(["NaN", "1e400", 1.1, "1180591620717411303424"]);
//! assert_eq!(exact::open(value), opened);
//! # Ok::<(), rhubarb_pyvalue::FormatError>(())
//! ```

pub use crate::json::dump::{dump, dump_map, dump_text};

use serde_json::{Map, Value};

use crate::{
    error::FormatError,
    json,
    limits::{BLOCK, Budget, MEMBER},
    msgpack,
    seal::{sealed, unsealed},
    tree::Json,
};

/// The deepest nesting of JSON that is read: about what Python's own reader takes before its
/// recursion ends.
pub const DEPTH: usize = 1_000;

/// The deepest nesting of MessagePack: as deep as Python's packer goes.
const PACKED_DEPTH: usize = 512;

/// Reads JSON from Python, so that [`json()`] writes it again as it was.
///
/// # Errors
/// `Malformed` for what is no JSON even by Python's rules, `TooLarge` beyond the bounds.
pub fn read(bytes: &[u8]) -> Result<Value, FormatError> {
    json::read_tree::<Json<true>>(bytes, Budget::of_json(bytes.len(), DEPTH))
}

/// As [`read`], for a message whose body is a text: what else stands in it may take little.
///
/// # Errors
/// As for [`read`].
pub fn read_message(bytes: &[u8]) -> Result<Value, FormatError> {
    json::read_tree::<Json<true>>(bytes, Budget::of_message(bytes.len(), DEPTH))
}

/// As [`read`], for whoever does not write it again: as if it were [`open`]ed.
///
/// # Errors
/// As for [`read`].
pub fn read_lossy(bytes: &[u8]) -> Result<Value, FormatError> {
    json::read_tree::<Json<false>>(bytes, Budget::of_json(bytes.len(), DEPTH))
}

/// Reads MessagePack as the value of the JSON that kombu would have written instead: bytes are its
/// markers `{"__type__": "bytes", "__value__": …}`, or `base64` where they are no text.
///
/// # Errors
/// As for [`read`]; `Unsupported` for extension types.
pub fn read_msgpack(bytes: &[u8]) -> Result<Value, FormatError> {
    msgpack::read_tree::<Json<true>>(bytes, Budget::of_json(bytes.len(), PACKED_DEPTH))
}

/// What can be held of a sealed value.
pub(crate) fn lossy(json: &str) -> Value {
    read_lossy(json.as_bytes()).unwrap_or_default()
}

/// The text of a string value; half of a surrogate pair in it is lost.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => match unsealed(text).map(lossy) {
            None => Some(text.clone()),
            Some(value) => value.as_str().map(str::to_owned),
        },
        _ => None,
    }
}

/// Gives what was read as something to work with: what cannot be held exactly as its text.
///
/// `NaN`, `Infinity`, `-Infinity`, integers beyond 64 bits and floats beyond the range of `f64`
/// become texts, half of a surrogate pair U+FFFD. Use [`json()`] to have a value without any loss.
pub fn open(value: Value) -> Value {
    if has_seal(&value) { opened(value) } else { value }
}

fn has_seal(value: &Value) -> bool {
    match value {
        Value::String(text) => unsealed(text).is_some(),
        Value::Array(items) => items.iter().any(has_seal),
        Value::Object(map) => {
            map.iter().any(|(key, value)| unsealed(key).is_some() || has_seal(value))
        }
        _ => false,
    }
}

fn opened(value: Value) -> Value {
    match value {
        Value::String(text) => match unsealed(&text) {
            Some(json) => lossy(json),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(opened).collect(),
        Value::Object(map) => Value::Object(open_map(map)),
        scalar => scalar,
    }
}

/// [`open`] for an object.
pub fn open_map(map: Map<String, Value>) -> Map<String, Value> {
    let key = |key: String| match unsealed(&key).map(lossy) {
        Some(Value::String(text)) => text,
        _ => key,
    };
    map.into_iter().map(|(name, value)| (key(name), open(value))).collect()
}

/// The JSON text of a value that was read from a message, without any loss: numbers and halves of
/// surrogate pairs as their producer wrote them, beside that spaced and escaped as Python does.
pub fn json(value: &Value) -> String {
    let mut out = Vec::with_capacity(256);
    dump(&mut out, value);
    // What is written is ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// The JSON of the first value that [`open`] would turn into a text, or of a text that it would
/// change.
pub fn changed(value: &Value) -> Option<&str> {
    let seal = |text| unsealed(text).filter(|json| lossy(json).is_string());
    match value {
        Value::String(text) => seal(text),
        Value::Array(items) => items.iter().find_map(changed),
        Value::Object(map) => map.iter().find_map(|(key, value)| seal(key).or(changed(value))),
        _ => None,
    }
}

/// Seals a whole value, which takes no more memory than its text then.
pub fn seal(value: &Value) -> Value {
    Value::String(sealed(&json(value)))
}

/// About how much memory a value takes, bytes.
pub fn memory(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(memory).sum(),
        Value::Object(map) => memory_of(map),
        _ => return size_of::<Value>(),
    };
    size_of::<Value>() + inside + if inside > 0 { BLOCK } else { 0 }
}

/// [`memory`] of an object's members.
pub fn memory_of(map: &Map<String, Value>) -> usize {
    map.iter().map(|(key, value)| MEMBER + key.len() + BLOCK + memory(value)).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::seal::FIRST;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for text in [
            "[NaN, Infinity, -Infinity]",
            "[1180591620717411303424, -1180591620717411303424, -0, -0.0]",
            "[1e400, -1.5E+999, 1E2, 1.10, 100000000000000000000000.5]",
            r#"["\ud800", "a\udc00\"b\\", "\ud83e\udd80"]"#,
            r#"{"\ud800": {"k": NaN}, "a": []}"#,
        ] {
            assert_eq!(json(&read(text.as_bytes()).unwrap()), text);
        }
    }

    #[test]
    fn what_is_opened_is_as_exact_as_it_can_be() {
        let check = |text: &str, expected: Value| {
            assert_eq!(open(read(text.as_bytes()).unwrap()), expected, "{text}")
        };
        check("[NaN, 1e400, 1E2, 1.10]", json!(["NaN", "1e400", 100.0, 1.1]));
        check("[36893488147419103232, -0]", json!(["36893488147419103232", 0]));
        check(r#"{"\ud800": ["\udc00x"]}"#, json!({"\u{fffd}": ["\u{fffd}x"]}));
    }

    #[test]
    fn a_text_from_outside_is_never_sealed() {
        let text = format!("{FIRST}{:032x}NaN", 0);
        assert_eq!(unsealed(&text), None);
        assert_eq!(json(&json!(text)), "\"\\udbff\\udfff00000000000000000000000000000000NaN\"");
    }
}
