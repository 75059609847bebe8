//! Python values that JSON does not know, as plain text.

use rhubarb_pyvalue::exact::DEPTH;
use serde_json::{Map, Value};

/// Replaces kombu's type markers by plain text, at any depth.
///
/// Kombu writes `{"__type__": T, "__value__": V}`. Dates, times and decimals become their text, a
/// uuid its canonical text with dashes, bytes that are UTF-8 (`bytes`) their text and other bytes
/// (`base64`) the base64 text. Unknown markers and odd values are left alone.
pub fn plain(value: Value) -> Value {
    // A tree without a marker, as most are, is not built anew.
    if has_marker(&value, DEPTH) { convert(value, DEPTH) } else { value }
}

fn has_marker(value: &Value, depth: usize) -> bool {
    let inside = |item| depth > 1 && has_marker(item, depth - 1);
    match value {
        Value::Array(items) => items.iter().any(inside),
        Value::Object(map) => map.contains_key("__type__") || map.values().any(inside),
        _ => false,
    }
}

fn convert(value: Value, depth: usize) -> Value {
    if depth == 0 {
        return value;
    }
    match value {
        Value::Array(items) => items.into_iter().map(|item| convert(item, depth - 1)).collect(),
        Value::Object(map) => match marked(&map) {
            Some(text) => Value::String(text),
            None => map.into_iter().map(|(key, item)| (key, convert(item, depth - 1))).collect(),
        },
        scalar => scalar,
    }
}

fn marked(map: &Map<String, Value>) -> Option<String> {
    let value = map.get("__value__")?;
    if map.len() != 2 {
        return None;
    }
    match map.get("__type__")?.as_str()? {
        "datetime" | "date" | "time" | "decimal" | "base64" | "bytes" => {
            value.as_str().map(str::to_owned)
        }
        "uuid" => {
            let hex = value.get("hex").unwrap_or(value).as_str()?;
            Some(uuid::Uuid::try_parse(hex).ok()?.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn markers_become_text() {
        let check = |kind: &str, value: Value, expected: Value| {
            let marker = json!({"__type__": kind, "__value__": value});
            assert_eq!(plain(json!([{"k": marker}])), json!([{"k": expected}]), "{kind}");
        };
        check("datetime", json!("2026-01-02T03:04:05+00:00"), json!("2026-01-02T03:04:05+00:00"));
        check("decimal", json!("1.10"), json!("1.10"));
        check(
            "uuid",
            json!({"hex": "00000000000000000000000000000005"}),
            json!("00000000-0000-0000-0000-000000000005"),
        );
        check("base64", json!("AP8="), json!("AP8="));
        check("bytes", json!("ab"), json!("ab"));
    }

    #[test]
    fn anything_else_is_left_alone() {
        for value in [
            json!({"__type__": "set", "__value__": [1]}),
            json!({"__type__": "uuid", "__value__": {"hex": "zz"}}),
            json!({"__type__": "date", "__value__": 3}),
            json!({"__type__": "date", "__value__": "x", "more": 1}),
            json!({"__value__": "x"}),
        ] {
            assert_eq!(plain(value.clone()), value);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..10_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
        let mut value = plain(deep);
        // Taken apart level by level: dropping it at once would recurse as deeply.
        while let Value::Array(mut items) = value {
            value = items.pop().unwrap_or_default();
        }
        assert_eq!(value, json!(1));
    }
}
