//! Values that `serde_json` cannot hold, kept as the JSON text that they were.
//!
//! Python writes `NaN`, integers of any size and halves of surrogate pairs; `serde_json` has no
//! room for them. What only passes through a worker must not change, so such a value is *sealed*: a
//! text that begins with a mark and goes on with the value's JSON. [`dump`](crate::dump) writes
//! that JSON again; [`open`] gives what a handler can use. The mark is drawn at random by each
//! process, so that nobody outside can write a text that counts as sealed.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::dump::dumps;
use crate::reader;

/// The last character that there is, which no text of people has, so that a look at one byte mostly
/// decides.
const FIRST: char = '\u{10ffff}';

static MARK: LazyLock<String> = LazyLock::new(|| {
    let random = || RandomState::new().hash_one(0_u8);
    format!("{FIRST}{:016x}{:016x}", random(), random())
});

/// The text that stands for a piece of JSON.
pub(crate) fn sealed(json: &str) -> String {
    [MARK.as_str(), json].concat()
}

/// The JSON that a text stands for, if it is sealed.
pub(crate) fn unsealed(text: &str) -> Option<&str> {
    // 0xf4 begins only characters of the last plane.
    if text.as_bytes().first() != Some(&0xf4) {
        return None;
    }
    text.strip_prefix(MARK.as_str())
}

/// Gives what was read as something to work with: what cannot be held exactly as its text.
///
/// `NaN`, `Infinity`, `-Infinity`, integers beyond 64 bits and floats beyond the range of `f64` become texts, half of a
/// surrogate pair U+FFFD. Use [`json`] to have a value without any loss.
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
            Some(json) => reader::lossy(json),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(opened).collect(),
        Value::Object(map) => Value::Object(open_map(map)),
        scalar => scalar,
    }
}

/// [`open`] for an object.
pub fn open_map(map: Map<String, Value>) -> Map<String, Value> {
    let key = |key: String| match unsealed(&key).map(reader::lossy) {
        Some(Value::String(text)) => text,
        _ => key,
    };
    map.into_iter().map(|(name, value)| (key(name), open(value))).collect()
}

/// The JSON text of a value that was read from a message, without any loss: numbers and halves of
/// surrogate pairs as their producer wrote them, beside that spaced and escaped as Python does.
pub fn json(value: &Value) -> String {
    // What `dump` writes is ASCII.
    String::from_utf8(dumps(value)).unwrap_or_default()
}

/// Reads JSON text so that it is written again as it was, whatever numbers of Python's are in it.
///
/// What cannot be held is sealed: pass the value on, or [`open`] it.
///
/// # Errors
/// The text is no JSON, even by Python's rules, nested deeper than 1,000 levels, or too large to be
/// held.
pub fn exact(text: &str) -> Result<Value, String> {
    reader::read(text.as_bytes())
}

/// Reads JSON for places that hold no more than `serde_json` does, such as a schedule.
///
/// # Errors
/// As for [`exact`]; and for a value that would be changed there, which is named.
pub fn common(text: &str) -> Result<Value, String> {
    let value = exact(text)?;
    match changed(&value) {
        Some(json) => {
            let shown: String = json.chars().take(40).collect();
            Err(format!("`{shown}` cannot be kept as it is: pass it as text"))
        }
        None => Ok(open(value)),
    }
}

/// The first value that [`open`] would turn into a text, or a text that it would change.
fn changed(value: &Value) -> Option<&str> {
    let seal = |text| unsealed(text).filter(|json| reader::lossy(json).is_string());
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
    size_of::<Value>() + inside + if inside > 0 { reader::BLOCK } else { 0 }
}

/// [`memory`] of an object's members.
pub fn memory_of(map: &Map<String, Value>) -> usize {
    map.iter().map(|(key, value)| reader::MEMBER + key.len() + reader::BLOCK + memory(value)).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for text in [
            "[NaN, Infinity, -Infinity]",
            "[1180591620717411303424, -1180591620717411303424, -0, -0.0]",
            "[1e400, -1.5E+999, 1E2, 1.10, 100000000000000000000000.5]",
            r#"["\ud800", "a\udc00\"b\\", "\ud83e\udd80"]"#,
            r#"{"\ud800": {"k": NaN}, "a": []}"#,
        ] {
            assert_eq!(json(&exact(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_opened_is_as_exact_as_it_can_be() {
        let check = |text: &str, expected: Value| {
            assert_eq!(open(exact(text).unwrap()), expected, "{text}")
        };
        check("[NaN, 1e400, 1E2, 1.10]", json!(["NaN", "1e400", 100.0, 1.1]));
        check("[36893488147419103232, -0]", json!(["36893488147419103232", 0]));
        check(r#"{"\ud800": ["\udc00x"]}"#, json!({"\u{fffd}": ["\u{fffd}x"]}));
    }

    #[test]
    fn what_would_be_changed_is_named() {
        for fine in [r#"[1E2, 1.10, -0, 18446744073709551615, "\ud83e\udd80", {"a": null}]"#, "{}"]
        {
            assert_eq!(common(fine), Ok(open(exact(fine).unwrap())), "{fine}");
        }
        for (text, named) in [
            ("[1, NaN]", "`NaN`"),
            (r#"{"a": {"b": [1180591620717411303424]}}"#, "`1180591620717411303424`"),
            (r#"["\ud800"]"#, r#"`"\ud800"`"#),
            (r#"{"\udc00": 1}"#, r#"`"\udc00"`"#),
        ] {
            let told = common(text).unwrap_err();
            assert!(told.starts_with(named), "{told}");
        }
    }

    #[test]
    fn a_text_from_outside_is_never_sealed() {
        let text = format!("{FIRST}{:032x}NaN", 0);
        assert_eq!(unsealed(&text), None);
        assert_eq!(json(&json!(text)), "\"\\udbff\\udfff00000000000000000000000000000000NaN\"");
    }
}
