//! Small helpers for JSON values.

pub(crate) use rhubarb_pyvalue::exact::text;
use serde_json::{Map, Value};

/// Takes a known field out of `map` when `read` accepts its value.
///
/// A null counts as absent and goes; a value of an odd type stays, so that it is written back.
pub(crate) fn take<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let value = map.get(key)?;
    let taken = read(value);
    if taken.is_some() || value.is_null() {
        map.shift_remove(key);
    }
    taken
}

/// The text of a string value that is only written again, for [`take`].
pub(crate) fn exact_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The object of an object value, for [`take`].
pub(crate) fn object(value: &Value) -> Option<Map<String, Value>> {
    value.as_object().cloned()
}

/// Adds what was kept aside; a known field that says something wins over it.
pub(crate) fn extend(map: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        if map.get(key).is_none_or(is_blank) {
            map.insert(key.clone(), value.clone());
        }
    }
}

/// Whether a value says nothing.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(Value::is_null),
        Value::Object(map) => map.is_empty(),
    }
}

/// What a person calls the type of `value`.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A number of seconds as Python writes it: `30` for a whole one, `0.5` otherwise.
///
/// Not a number and infinite values become null.
pub(crate) fn seconds(value: f64) -> Value {
    // Whole numbers up to 2^53 are exact in an f64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within 2^53, checked above"
        )]
        return Value::from(value as i64);
    }
    Value::from(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_whole_when_they_can_be() {
        assert_eq!(seconds(30.0), json!(30));
        assert_eq!(seconds(0.5), json!(0.5));
        assert_eq!(seconds(f64::NAN), Value::Null);
    }
}
